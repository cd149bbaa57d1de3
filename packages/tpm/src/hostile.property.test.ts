import { CodedError, toHex } from '@nemea/core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TpmChannel } from './channel/channel.ts';
import { openUnixChannel } from './channel/unix.ts';
import { TEMPLATES } from './structures/templates.ts';
import {
  CALLS,
  hold,
  PASSWORD,
  type Prepared,
  prepare,
  REVEALING,
  SECRET,
  type Setting,
} from './test-calls.ts';
import { startTestTpm, type TestTpm } from './testing.ts';
import { Tpm } from './tpm.ts';

type Call = (typeof CALLS)[string];
/** Who sits between the client and the TPM does this to one response. */
type Attack = (response: Uint8Array) => Uint8Array;

const RUNS = 30;

const flip = fc.record({ at: fc.nat(), bit: fc.nat(7) }).map(
  ({ at, bit }): Attack =>
    (response) => {
      const index = at % response.length;
      return response.with(index, (response[index] as number) ^ (1 << bit));
    },
);
const overwrite = fc.record({ at: fc.nat(), value: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff) }).map(
  ({ at, value }): Attack =>
    (response) =>
      response.with(at % response.length, value),
);
const cut = fc.nat().map(
  (at): Attack =>
    (response) =>
      sized(response.slice(0, at % response.length)),
);
const extend = fc.uint8Array({ minLength: 1, maxLength: 40 }).map(
  (tail): Attack =>
    (response) =>
      sized(Uint8Array.from([...response, ...tail])),
);
const blow = fc.constantFrom(4096, 5000, 70_000).map(
  (size): Attack =>
    (response) => {
      const blown = new Uint8Array(size);
      blown.set(response.subarray(0, size));
      return sized(blown);
    },
);
const replace = fc.uint8Array({ maxLength: 100 }).map(
  (bytes): Attack =>
    () =>
      bytes,
);
const refuse = fc.nat(0xfff).map(
  (code): Attack =>
    () =>
      sized(Uint8Array.of(0x80, 1, 0, 0, 0, 10, 0, 0, code >> 8, code)),
);
const attack = fc.oneof({ weight: 4, arbitrary: flip }, overwrite, cut, extend, blow, replace, refuse);

/** As if the size in the header were right, so that the response gets further. */
function sized(bytes: Uint8Array): Uint8Array {
  if (bytes.length >= 6) new DataView(bytes.buffer, bytes.byteOffset).setUint32(2, bytes.length);
  return bytes;
}

let software: TestTpm;
let prepared: Prepared;
beforeAll(async () => {
  software = await startTestTpm();
  prepared = await prepare(software.tpm);
  await software.tpm.close();
});
afterAll(() => software.stop());

describe('a man in the middle who changes one response', () => {
  it.each(Object.keys(CALLS))(
    'gets from %s a coded error or the truth, and no secret in what it says',
    async (name) => {
      const call = CALLS[name] as Call;
      const commands = await countCommands(call);
      await fc.assert(
        fc.asyncProperty(fc.nat(commands - 1), attack, async (at, attack) => {
          const outcome = await outcomeUnder(attack, at, call);
          if ('error' in outcome) {
            expect(outcome.error).toBeInstanceOf(CodedError);
            expectNoSecret(outcome.error);
          } else if (REVEALING.includes(name)) {
            expect(toHex(outcome.value as Uint8Array)).toBe(toHex(SECRET));
          }
        }),
        { numRuns: RUNS },
      );
    },
  );

  it('finds no length of a response at which something else is thrown', async () => {
    const primary = (tpm: Tpm) => tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
    for (let length = 0; length < 40; length++) {
      const cut: Attack = (response) => sized(response.slice(0, length));
      const outcome = await outcomeUnder(cut, 0, primary, holdNothing);
      expect(outcome, `${length} bytes`).toMatchObject({ error: expect.any(CodedError) });
    }
  });

  it.each([
    ['the salt key', 0, 60],
    ['the handle of the session', 1, 13],
  ])('shuts out the TPM for no longer than he is there: %s', async (_what, at, byte) => {
    const changed: Attack = (response) => response.with(byte, (response[byte] as number) ^ 0x40);
    const outcome = await outcomeUnder(changed, at, (tpm) => tpm.getRandom(8), holdNothing);
    if ('error' in outcome) expect(outcome.error).toBeInstanceOf(CodedError);
  });
});

/** So that the first command needs no room. */
const holdNothing = (): Promise<Setting> => Promise.resolve({ ...prepared } as Setting);

/** What the call comes to. The TPM is opened each time anew: what an attacker made it hold, nobody knows of. */
async function outcomeUnder(attack: Attack, at: number, call: Call, holding = hold) {
  const channel = attacked(await openUnixChannel(software.socketPath));
  const tpm = await Tpm.open(channel);
  try {
    const setting = await holding(tpm, prepared);
    channel.watch(at, attack);
    const outcome = await outcomeOf(call(tpm, setting));
    channel.watch();
    // He is gone, and the TPM answers.
    expect(await tpm.getRandom(1)).toHaveLength(1);
    return outcome;
  } finally {
    await tpm.close();
  }
}

async function countCommands(call: Call): Promise<number> {
  const channel = attacked(await openUnixChannel(software.socketPath));
  const tpm = await Tpm.open(channel);
  const setting = await hold(tpm, prepared);
  channel.watch();
  await call(tpm, setting);
  const count = channel.count();
  await tpm.close();
  return count;
}

function outcomeOf(work: Promise<unknown>): Promise<{ value: unknown } | { error: unknown }> {
  return work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
}

/** In no form in which bytes are commonly written, anywhere in what a logger would print. */
function expectNoSecret(error: unknown): void {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { message, stack } = cause;
    const text = JSON.stringify([
      message,
      stack,
      cause instanceof CodedError ? cause.data : {},
    ]).toLowerCase();
    for (const secret of [SECRET, PASSWORD]) {
      expect(text).not.toContain(toHex(secret).slice(0, 12));
      expect(text).not.toContain(Buffer.from(secret).toString('base64').slice(0, 10).toLowerCase());
      expect(text.replaceAll(/[^0-9,]/g, '')).not.toContain([...secret].slice(0, 6).join(','));
    }
  }
}

interface AttackedChannel extends TpmChannel {
  /** Counts anew, and attacks the response to command `at`. */
  watch(at?: number, attack?: Attack): void;
  count(): number;
}

function attacked(channel: TpmChannel): AttackedChannel {
  let count = 0;
  let planned: { at?: number | undefined; attack?: Attack | undefined } = {};
  return {
    get isOpen() {
      return channel.isOpen;
    },
    async transmit(command, options) {
      const isIt = count++ === planned.at;
      const response = await channel.transmit(command, options);
      return isIt && planned.attack !== undefined ? planned.attack(response) : response;
    },
    close: () => channel.close(),
    watch(at, attack) {
      count = 0;
      planned = { at, attack };
    },
    count: () => count,
  };
}
