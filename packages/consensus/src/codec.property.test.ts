import { encodeCbor } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeDecision, parseDecision } from './certificate.ts';
import { ConsensusError } from './errors.ts';
import { encodeRecord, type JournalRecord, parseRecord } from './journal.ts';
import { BATCH_OPERATIONS_MAX } from './limits.ts';
import { encodeMessage, encodePayload, parseMessage, parsePayload } from './message.ts';
import { batches, certificates, contents, digests, messages } from './testing/arbitraries.ts';

const members = fc.array(
  fc.record({
    id: fc.string({ minLength: 1, maxLength: 9 }),
    publicKey: digests,
    weight: fc.integer({ min: 1, max: 99 }),
  }),
  { maxLength: 4 },
);
const own = fc.record({ content: contents, batch: batches });
const anchors = fc.record({ sequence: fc.integer({ min: 1, max: 99 }), digest: fc.option(digests) });
const prepared = fc.record({ certificate: certificates, batch: batches });
const counts = fc.integer({ min: 0, max: 99 });
const decisions = prepared.map(({ certificate, batch }) => ({
  sequence: certificate.sequence,
  batch,
  certificate,
}));

const records: fc.Arbitrary<JournalRecord> = fc.oneof(
  own.map((statement): JournalRecord => ({ type: 'sent', ...statement })),
  prepared.map((value): JournalRecord => ({ type: 'prepared', ...value })),
  fc.record({ type: fc.constant('entered' as const), view: counts, anchor: anchors, newView: messages }),
  decisions.map((decision): JournalRecord => ({ type: 'committed', decision })),
  fc.record({
    type: fc.constant('executed' as const),
    sequence: fc.integer({ min: 1, max: 99 }),
    members: fc.option(members),
  }),
  fc.record({
    type: fc.constant('base' as const),
    committed: counts,
    digest: digests,
    stable: counts,
    epoch: fc.integer({ min: 1, max: 99 }),
    members,
    view: counts,
    active: fc.boolean(),
    anchor: fc.option(anchors),
    newView: fc.option(messages),
    prepared: fc.option(prepared),
    own: fc.array(own, { maxLength: 3 }),
    operationIds: fc.array(digests, { maxLength: 3 }),
  }),
);

describe('what is encoded is parsed as the same', () => {
  test('payloads', () => {
    fc.assert(
      fc.property(contents, (content) => {
        expect(parsePayload(encodePayload(content))).toEqual(content);
      }),
    );
  });

  test('messages', () => {
    fc.assert(
      fc.property(messages, (message) => {
        expect(parseMessage(encodeMessage(message))).toEqual(message);
      }),
    );
  });

  test('decisions', () => {
    fc.assert(
      fc.property(decisions, (decision) => {
        expect(parseDecision(encodeDecision(decision))).toEqual(decision);
      }),
    );
  });

  test('journal records', () => {
    fc.assert(
      fc.property(records, (record) => {
        expect(parseRecord(encodeRecord(record))).toEqual(record);
      }),
    );
  });
});

describe('a parser throws only its own error', () => {
  const parsers = [parsePayload, parseMessage, parseDecision, parseRecord];

  test('on arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        for (const parse of parsers) expect(() => parse(bytes)).toThrow(ConsensusError);
      }),
    );
  });

  test('on valid messages with one byte changed', () => {
    fc.assert(
      fc.property(messages, fc.nat(), fc.integer({ min: 1, max: 255 }), (message, at, change) => {
        const bytes = encodeMessage(message);
        bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ change;
        try {
          parsePayload(parseMessage(bytes).payload);
        } catch (error) {
          expect(error).toBeInstanceOf(ConsensusError);
        }
      }),
    );
  });
});

describe('a message is refused', () => {
  const digest = new Uint8Array(32);
  const refused: [string, Uint8Array][] = [
    ['with a sequence of zero', encodeCbor(['prepare', 0, 0, digest])],
    ['with a negative view', encodeCbor(['prepare', -1, 1, digest])],
    ['with a short digest', encodeCbor(['prepare', 0, 1, digest.slice(1)])],
    ['with a field too many', encodeCbor(['prepare', 0, 1, digest, 1])],
    ['of an unknown kind', encodeCbor(['promise', 0, 1, digest])],
    ['that is no list', encodeCbor({ kind: 'prepare' })],
    ['with a certificate of another sequence', encodeCbor(['view-change', 1, 2, 5, [0, 5, digest, []]])],
    ['with a certificate of the view it asks for', encodeCbor(['view-change', 1, 2, 5, [2, 6, digest, []]])],
  ];

  test.each(refused)('%s', (_title, payload) => {
    expect(() => parsePayload(payload)).toThrow(ConsensusError);
  });

  test('with more operations than a batch may hold', () => {
    const batch = Array(BATCH_OPERATIONS_MAX + 1).fill(Uint8Array.of(1));
    const bytes = encodeCbor([Uint8Array.of(1), 'r0', new Uint8Array(64), batch]);
    expect(() => parseMessage(bytes)).toThrow(/batch/);
  });

  test('with an empty operation', () => {
    const bytes = encodeCbor([Uint8Array.of(1), 'r0', new Uint8Array(64), [new Uint8Array(0)]]);
    expect(() => parseMessage(bytes)).toThrow(/operation/);
  });

  test('with a new view that quotes anything but view changes', () => {
    const vote = encodeCbor(['prepare', 0, 1, digest]);
    const quoted = [vote, 'r0', new Uint8Array(64), []];
    expect(() => parsePayload(encodeCbor(['new-view', 1, 1, 1, [quoted]]))).toThrow(/view changes/);
  });
});
