import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { toHex } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { type EventLog, parseEventLog, replayEventLog } from '../eventlog/index.ts';

const RECORDED = join(import.meta.dirname, '../../../../vectors/eventlog');
/** Logs of real machines, which are not part of the repository. */
const REAL =
  process.env.NEMEA_EVENTLOGS ?? join(import.meta.dirname, '../../../../../shared/vectors/eventlogs');
const OUTPUT_BYTES_MAX = 16 << 20;

async function readByTool(path: string): Promise<string> {
  // It warns of much on stderr.
  const { stdout } = await promisify(execFile)('tpm2_eventlog', [path], { maxBuffer: OUTPUT_BYTES_MAX });
  return stdout;
}

/** PCR, type and digests of each event, as tpm2_eventlog prints them. */
function eventsOf(log: EventLog): string[] {
  return log.events.map(({ pcr, typeName, digests }) =>
    [pcr, typeName, ...Object.values(digests).map(toHex)].join(' '),
  );
}

function printedEvents(text: string): string[] {
  const [, ...events] = text.split(/^ {2}PCRIndex: /m);
  return events.map((event) => {
    const pcr = /^(\d+)/.exec(event)?.[1];
    const type = /EventType: (\w+)/.exec(event)?.[1];
    const digests = [...event.matchAll(/ Digest: "([0-9a-f]+)"/g)].map(([, digest]) => digest);
    return [pcr, type, ...digests].join(' ');
  });
}

/** Bank and PCR to value. PCR 0 is left out: these tools overlook the locality that it starts with. */
function pcrsOf(log: EventLog): Record<string, string> {
  return Object.fromEntries(
    [...replayEventLog(log)].flatMap(([bank, pcrs]) =>
      [...pcrs].filter(([pcr]) => pcr > 0).map(([pcr, value]) => [`${bank}:${pcr}`, toHex(value)]),
    ),
  );
}

function printedPcrs(text: string): Record<string, string> {
  const values: Record<string, string> = {};
  let bank = '';
  for (const line of (text.split(/^pcrs:\n/m)[1] ?? '').split('\n')) {
    bank = /^ {2}(\w+):$/.exec(line)?.[1] ?? bank;
    const [, pcr, value] = /^ {4}(\d+) *: 0x([0-9a-f]+)$/.exec(line) ?? [];
    if (pcr !== undefined && value !== undefined && pcr !== '0') values[`${bank}:${pcr}`] = value;
  }
  return values;
}

async function expectSame(path: string): Promise<void> {
  const log = parseEventLog(readFileSync(path));
  const text = await readByTool(path);
  expect(printedEvents(text), path).toEqual(eventsOf(log));
  expect(Object.keys(pcrsOf(log)).length).toBeGreaterThan(5);
  expect(printedPcrs(text), path).toEqual(pcrsOf(log));
}

describe('event logs:', () => {
  test.each(['ovmf-kernel', 'ovmf-secure-boot'])(
    'tpm2_eventlog finds the same events and PCRs in %s as parseEventLog',
    (name) => expectSame(join(RECORDED, `${name}.bin`)),
  );

  test('tpm2_eventlog finds the same in the logs of real machines', async () => {
    if (!existsSync(REAL)) {
      console.warn(
        `NOT TESTED: no event logs of real machines in ${REAL}; set NEMEA_EVENTLOGS to their folder`,
      );
      return;
    }
    const logs = readdirSync(REAL).filter((name) => name.endsWith('.bin'));
    expect(logs.length).toBeGreaterThan(0);
    for (const name of logs) await expectSame(join(REAL, name));
  });
});
