import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openUnixChannel } from '../channel/unix.ts';
import { openExecutor } from '../executor.ts';
import { decode, encode, struct } from '../structures/codec.ts';
import { TpmError } from '../structures/index.ts';
import { endProcess, startSwtpm, startTestTpm, type TestTpm } from '../testing.ts';
import * as table from './index.ts';
import { GetCapability, STARTUP, Startup } from './index.ts';
import { type Bench, benchOf, type Specimen } from './testing/bench.ts';
import { keys } from './testing/keys.ts';
import { lifecycle } from './testing/lifecycle.ts';
import { policies } from './testing/policies.ts';
import { statements } from './testing/statements.ts';
import { storage } from './testing/storage.ts';

const COMMANDS = Object.values(table).filter((entry) => 'code' in entry);
const succeeded = new Set<string>();
const specimens: Specimen[] = [];

let software: TestTpm;
let bench: Bench;
/** Without encryption, whose salt key would change under it. */
let spare: TestTpm;
let spareBench: Bench;
beforeAll(async () => {
  [software, spare] = await Promise.all([startTestTpm(), startTestTpm({ encryption: false })]);
  bench = benchOf(software.tpm, succeeded, specimens);
  spareBench = benchOf(spare.tpm, succeeded, specimens);
});
afterAll(async () => {
  await software.stop();
  await spare.stop();
});

keys(() => bench);
storage(() => bench);
statements(() => bench);
policies(() => bench);
lifecycle(() => spareBench);

describe('a TPM just switched on', () => {
  it('does nothing before Startup', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'tpm-'));
    const path = join(dir, 'sock');
    const options = ['--tpmstate', `dir=${dir}`, '--server', `type=unixio,path=${path}`];
    const process = await startSwtpm(options, { path }, 'not-need-init');
    const channel = await openUnixChannel(path);
    const blank = benchOf({ exclusive: (work) => work(openExecutor(channel)) }, succeeded, specimens);
    await expect(blank.run(table.ReadClock)).rejects.toMatchObject({ data: { name: 'INITIALIZE' } });
    await blank.run(Startup, { parameters: { startupType: STARTUP.clear } });
    await blank.run(table.ReadClock);
    await channel.close();
    await endProcess(process, 'SIGTERM');
    await rm(dir, { recursive: true });
  });
});

/** What the software TPM of these tests cannot do, and why. */
const UNTRIED: Readonly<Record<string, string>> = {
  ACT_SetTimeout: 'not implemented by it',
  ECC_Encrypt: 'not implemented by it',
  ECC_Decrypt: 'not implemented by it',
  PP_Commands: 'needs physical presence, which it does not have',
  PCR_SetAuthPolicy: 'its PCRs have no policies',
  PCR_SetAuthValue: 'its PCRs have no passwords',
};

describe('the table', () => {
  it('has every command that the software TPM has', async () => {
    const { capabilityData } = await bench.run(GetCapability, {
      parameters: { capability: 2, property: 0, propertyCount: 256 },
    });
    if (capabilityData.capability !== 'commands') throw new Error('want commands');
    const codes = new Set(COMMANDS.map(({ code }) => code));
    const missing = capabilityData.items
      .map((attributes) => attributes & 0xffff)
      .filter((code) => !codes.has(code));
    expect(capabilityData.items.length).toBeGreaterThan(100);
    expect(missing).toEqual([]);
  });

  it('has as many handles for each command as the TPM says', async () => {
    const { capabilityData } = await bench.run(GetCapability, {
      parameters: { capability: 2, property: 0, propertyCount: 256 },
    });
    if (capabilityData.capability !== 'commands') throw new Error('want commands');
    for (const attributes of capabilityData.items) {
      const command = COMMANDS.find(({ code }) => code === (attributes & 0xffff));
      // TPMA_CC (TPM 2.0 Part 2, 8.9): cHandles and rHandle.
      const handles = [(attributes >> 25) & 7, (attributes >> 28) & 1];
      const declared = [
        Object.keys(command?.handles ?? {}).length,
        command?.responseHandle === undefined ? 0 : 1,
      ];
      expect(declared, command?.name).toEqual(handles);
    }
  });

  it('was tried command by command, all but those that are named with a reason', () => {
    const untried = COMMANDS.map(({ name }) => name).filter((name) => !succeeded.has(name));
    expect(untried.sort()).toEqual(Object.keys(UNTRIED).sort());
  });

  it('has one entry for each code', () => {
    expect(new Set(COMMANDS.map(({ code }) => code)).size).toBe(COMMANDS.length);
  });
});

describe('every parameter area and answer', () => {
  it('is refused with a TpmError or has one encoding, however its bytes are changed', () => {
    const pairs = new Map(specimens.map((specimen) => [specimen.name, specimen]));
    const changes = fc.array(fc.record({ at: fc.nat(), value: fc.nat(255) }), { maxLength: 3 });
    for (const specimen of pairs.values()) {
      const codec = struct(specimen.fields);
      fc.assert(
        fc.property(changes, fc.nat(4), fc.uint8Array({ maxLength: 2 }), (edits, cut, tail) => {
          const bytes = Uint8Array.from([
            ...specimen.bytes.slice(0, Math.max(0, specimen.bytes.length - cut)),
            ...tail,
          ]);
          for (const { at, value } of edits) if (bytes.length > 0) bytes[at % bytes.length] = value;
          try {
            expect(encode(codec, decode(specimen.name, codec, bytes))).toEqual(bytes);
          } catch (error) {
            expect(error, specimen.name).toBeInstanceOf(TpmError);
          }
        }),
        { numRuns: 100 },
      );
    }
    expect(pairs.size).toBeGreaterThan(200);
  });
});
