import { createHash } from 'node:crypto';
import { toHex } from '@nemea/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Bank,
  decodeEvent,
  describeBoot,
  EVENT_TYPE,
  EventLogError,
  inspectEventLog,
  parseEventLog,
  replayEventLog,
  unverifiedEvents,
  verifyEventLog,
} from './index.ts';
import { bootEvents, type WrittenEvent, writeAgileLog, writeSha1Log } from './testing.ts';

const NODE_NAMES = {
  sha1: 'sha1',
  sha256: 'sha256',
  sha384: 'sha384',
  sha512: 'sha512',
  sm3_256: 'sm3',
  sha3_256: 'sha3-256',
  sha3_384: 'sha3-384',
  sha3_512: 'sha3-512',
} as const satisfies Record<Bank, string>;
const BANKS = Object.keys(NODE_NAMES) as Bank[];
const TYPES = Object.values(EVENT_TYPE);

const anyData = fc.oneof(
  fc.uint8Array({ maxLength: 80 }),
  fc.constantFrom(...bootEvents(30)).chain(({ data }) => mutated(data)),
);
const anyEvent: fc.Arbitrary<WrittenEvent> = fc.record({
  pcr: fc.nat(23),
  type: fc.oneof(fc.constantFrom(...TYPES), fc.nat(0xffffffff)),
  data: anyData,
});
const anyBanks = fc.uniqueArray(fc.constantFrom(...BANKS), { minLength: 1 });

function mutated(bytes: Uint8Array): fc.Arbitrary<Uint8Array> {
  const edit = fc.tuple(fc.nat(Math.max(0, bytes.length - 1)), fc.nat(255));
  return fc.tuple(fc.array(edit, { maxLength: 4 }), fc.nat(bytes.length)).map(([edits, cut]) => {
    const copy = bytes.slice();
    for (const [at, value] of edits) copy[at] = value;
    return cut % 3 === 0 ? copy.subarray(0, cut) : copy;
  });
}

/** TPM 2.0 Part 1, 17.2, written down once more, with another implementation of the hashes. */
function naiveReplay(events: readonly WrittenEvent[], bank: Bank): Record<string, string> {
  const hash = (...parts: Uint8Array[]): Buffer => {
    const context = createHash(NODE_NAMES[bank]);
    for (const part of parts) context.update(part);
    return context.digest();
  };
  const values: Record<string, Buffer> = {};
  const locality = events.find(
    ({ type, data }) => type === 3 && Buffer.from(data).includes('StartupLocality'),
  );
  for (const { pcr, type, data, measured } of events) {
    if (type === 3 || type === 'EV_NO_ACTION') continue;
    const digest = hash(measured ?? data);
    const start = Buffer.alloc(digest.length);
    if (pcr === 0 && locality !== undefined) start[start.length - 1] = locality.data[16] as number;
    values[pcr] = hash(values[pcr] ?? start, digest);
  }
  return Object.fromEntries(Object.entries(values).map(([pcr, value]) => [pcr, value.toString('hex')]));
}

/** An H-CRTM event moves the start of PCR 0, and events of 16 bytes may turn out to be the locality: told elsewhere. */
function isPlain({ type, data }: WrittenEvent): boolean {
  return type !== EVENT_TYPE.EV_EFI_HCRTM_EVENT && !Buffer.from(data).includes('StartupLocality');
}

test('what was written is read back, event by event, and replays as a naive replay says', () => {
  fc.assert(
    fc.property(anyBanks, fc.array(anyEvent.filter(isPlain), { maxLength: 12 }), (banks, events) => {
      const log = parseEventLog(writeAgileLog(banks, events));
      expect(log.banks).toEqual(banks);
      expect(log.events.slice(1).map(({ pcr, type, data }) => ({ pcr, type, data: toHex(data) }))).toEqual(
        events.map(({ pcr, type, data }) => ({ pcr, type, data: toHex(data) })),
      );
      const replayed = replayEventLog(log);
      for (const bank of banks) {
        const values = [...(replayed.get(bank) ?? [])].map(([pcr, value]) => [pcr, toHex(value)]);
        expect(Object.fromEntries(values), bank).toEqual(naiveReplay(events, bank));
      }
    }),
  );
});

test('a SHA-1 log is read back as well', () => {
  const isNoHeader = ({ type }: WrittenEvent): boolean => type !== EVENT_TYPE.EV_NO_ACTION;
  fc.assert(
    fc.property(
      fc.array(anyEvent.filter(isPlain).filter(isNoHeader), { minLength: 1, maxLength: 12 }),
      (events) => {
        const log = parseEventLog(writeSha1Log(events));
        const values = [...(replayEventLog(log).get('sha1') ?? [])].map(([pcr, value]) => [
          pcr,
          toHex(value),
        ]);
        expect(Object.fromEntries(values)).toEqual(naiveReplay(events, 'sha1'));
      },
    ),
  );
});

test('a log that was tampered with is refused by its own error, or everything about it can still be told [LOG-1]', () => {
  const logs = [
    writeAgileLog(['sha256'], bootEvents(40)),
    writeAgileLog(['sha1', 'sha384'], bootEvents(32)),
    writeSha1Log(bootEvents(32).slice(1)),
  ];
  // The edits are the counterexample, not a log of thousands of bytes.
  const edit = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), value: fc.nat(255) });
  const edits = fc.record({
    log: fc.nat(logs.length - 1),
    edits: fc.array(edit, { maxLength: 4 }),
    cut: fc.nat(9),
  });
  const anything = fc.oneof(fc.uint8Array({ maxLength: 400 }), edits);
  fc.assert(
    fc.property(anything, fc.constantFrom('pcr' as const, 'cc' as const), (change, registers) => {
      const input = change instanceof Uint8Array ? change : applied(logs[change.log] as Uint8Array, change);
      try {
        const log = parseEventLog(input, { registers });
        inspectEventLog(log);
        replayEventLog(log);
        describeBoot(unverifiedEvents(log));
      } catch (error) {
        expect(error).toBeInstanceOf(EventLogError);
      }
    }),
    { numRuns: 1500 },
  );
});

function applied(
  log: Uint8Array,
  change: { edits: { at: number; value: number }[]; cut: number },
): Uint8Array {
  const copy = log.slice();
  for (const { at, value } of change.edits) copy[Math.floor(at * (copy.length - 1))] = value;
  return change.cut === 0 ? copy.subarray(0, Math.floor((change.edits[0]?.at ?? 0.5) * copy.length)) : copy;
}

test('any bytes under any type decode to a body, never to an exception [LOG-13]', () => {
  fc.assert(
    fc.property(anyEvent, ({ pcr, type, data }) => {
      const { body, problem } = decodeEvent({ pcr, type: Number(type), data });
      expect(typeof body.kind).toBe('string');
      expect(problem === null || problem.length > 0).toBe(true);
    }),
    { numRuns: 3000 },
  );
});

test('no digest that went into a quoted PCR can be changed, and no event moved, removed or added', () => {
  const log = parseEventLog(writeAgileLog(['sha256'], bootEvents(40)));
  const quoted = [...(replayEventLog(log).get('sha256') ?? [])].map(([pcr, value]) => {
    return { bank: 'sha256' as const, pcr, value };
  });
  expect(verifyEventLog(log, quoted).ok).toBe(true);
  const extended = log.events.filter(({ type }) => type !== EVENT_TYPE.EV_NO_ACTION);
  fc.assert(
    fc.property(
      fc.constantFrom(...extended),
      fc.nat(31),
      fc.integer({ min: 1, max: 255 }),
      (event, at, flip) => {
        const digest = (event.digests.sha256 as Uint8Array).slice();
        digest[at] = (digest[at] as number) ^ flip;
        const forged = { ...event, digests: { sha256: digest } };
        const others = log.events.filter((other) => other !== event);
        for (const events of [
          log.events.map((other) => (other === event ? forged : other)),
          others,
          [...log.events, event],
          log.events.map((other) => (other === event ? { ...event, pcr: (event.pcr + 1) % 16 } : other)),
        ]) {
          expect(verifyEventLog({ ...log, events }, quoted).ok).toBe(false);
        }
      },
    ),
  );
});
