import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '@nemea/core';
import { expect, test } from 'vitest';
import { parseEventLog, replayEventLog } from './index.ts';

/** Logs of real machines, which are not part of the repository. */
const DIR =
  process.env.NEMEA_EVENTLOGS ?? join(import.meta.dirname, '../../../../../shared/vectors/eventlogs');

test('every log of the development set replays to its known PCR values', () => {
  if (!existsSync(join(DIR, 'expected-pcrs.json'))) {
    console.warn(`NOT TESTED: no event logs of real machines in ${DIR}; set NEMEA_EVENTLOGS to their folder`);
    return;
  }
  const expected = JSON.parse(readFileSync(join(DIR, 'expected-pcrs.json'), 'utf8')) as Expected;
  expect(Object.keys(expected).length).toBeGreaterThan(0);
  for (const [name, banks] of Object.entries(expected)) {
    const replayed = replay(readFileSync(join(DIR, `${name}.bin`)));
    for (const [bank, pcrs] of Object.entries(banks)) expect(replayed[bank], `${name} ${bank}`).toEqual(pcrs);
  }
});

/** File, bank, PCR: value in hex. */
type Expected = Record<string, Record<string, Record<string, string>>>;

function replay(bytes: Uint8Array): Expected[string] {
  const banks = [...replayEventLog(parseEventLog(bytes))].map(([bank, pcrs]) => [
    bank,
    Object.fromEntries([...pcrs].map(([pcr, value]) => [pcr, toHex(value)])),
  ]);
  return Object.fromEntries(banks);
}
