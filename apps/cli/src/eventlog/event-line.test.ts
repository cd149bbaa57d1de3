import { parseEventLog } from '@nemea/attestation/eventlog';
import { u32, type WrittenEvent, writeAgileLog } from '@nemea/attestation/eventlog/testing';
import { concatBytes } from '@nemea/core';
import { expect, test } from 'vitest';
import { eventLine } from './event-line.ts';

const tagged = (id: number, data: Uint8Array): Uint8Array => concatBytes(u32(id), u32(data.length), data);

function lineOf(event: WrittenEvent): string {
  const written = parseEventLog(writeAgileLog(['sha256'], [event])).events[1];
  if (written === undefined) throw new Error('the event was not read back');
  return eventLine(written, false, 80);
}

test('what Windows nests is named down to the last level, also what a dynamic launch measured', () => {
  const boundary = concatBytes(tagged(0x00050001, Uint8Array.of(0)), tagged(0x000c0002, Uint8Array.of(1)));
  const line = lineOf({ pcr: 20, type: 'EV_EVENT_TAG', data: tagged(0x40010001, boundary) });
  expect(line).toContain('TrustBoundary: OsKernelDebug (1 bytes), DrtmSmmLevel');
  expect(line.length).toBeLessThanOrEqual(80);
});

test.each([
  [0, '   1   0  no action     01020304'],
  [0xffffffff, '   1   -  no action     01020304'],
  [0x01c10104, '   1  nv  no action     01020304'],
])('a no-action event of register %i names it, or that it has none', (pcr, line) => {
  expect(lineOf({ pcr, type: 'EV_NO_ACTION', data: Uint8Array.of(1, 2, 3, 4) })).toBe(line);
});
