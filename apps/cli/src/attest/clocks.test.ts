import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseClockRegistry } from '@nemea/attestation';
import { afterAll, describe, expect, test } from 'vitest';
import { openClocks } from './clocks.ts';

const JUDGE = fileURLToPath(new URL('test-judge.ts', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'clocks-'));
const at = (name: string): string => join(dir, name);
const AK_NAME = Uint8Array.from([0, 0x0b, ...new Uint8Array(32)]);
const CLOCK = { clock: 5n, resetCount: 1, restartCount: 0 };

afterAll(() => rmSync(dir, { recursive: true }));

describe('the registry of clocks', () => {
  test('keeps what each of two processes at once records', async () => {
    const file = at('shared');
    const judge = (key: number) => promisify(execFile)(process.execPath, [JUDGE, file, `${key}`, '50']);
    await Promise.all([judge(1), judge(2)]);
    const registry = parseClockRegistry(new Uint8Array(readFileSync(file)));
    expect([...registry.values()].map(({ clock }) => clock)).toEqual([50n, 50n]);
  });

  test('is free again when the process that holds it is killed', async () => {
    const file = at('killed');
    const script = `import { openClocks } from '${new URL('clocks.ts', import.meta.url)}';
      openClocks('${file}'); console.log('mine'); setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ['--input-type=module-typescript', '-e', script]);
    await once(holder.stdout, 'data');
    const ended = once(holder, 'exit');
    holder.kill('SIGKILL');
    await ended;
    using clocks = openClocks(file);
    clocks.record(AK_NAME, CLOCK);
    expect(parseClockRegistry(new Uint8Array(readFileSync(file))).size).toBe(1);
  });

  test('takes no clock back, and nothing that is none', () => {
    using clocks = openClocks(at('kept'));
    clocks.record(AK_NAME, CLOCK);
    using other = openClocks(at('other'));
    expect(other.registry.size).toBe(0);
    writeFileSync(at('broken'), 'no registry');
    expect(() => openClocks(at('broken'))).toThrow(
      expect.objectContaining({ code: 'CLOCK_REGISTRY_INVALID' }),
    );
    // And its lock is free: else this would wait for a minute.
    writeFileSync(at('broken'), readFileSync(at('kept')));
    using repaired = openClocks(at('broken'));
    expect(() => repaired.record(AK_NAME, { ...CLOCK, clock: 4n })).toThrow(
      expect.objectContaining({ code: 'CLOCK_DECREASED' }),
    );
  });

  test('is refused where no lock can be', () => {
    const refusal = expect.objectContaining({ code: 'CLOCKS_LOCKED' });
    expect(() => openClocks(join(dir, 'none', 'clocks'))).toThrow(refusal);
  });
});
