import { concatBytes } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeDecision, parseDecision } from './certificate.ts';
import { encodeHeader, encodeTransfer, parseHeader, parseTransfer } from './checkpoint.ts';
import { ConsensusError } from './errors.ts';
import { encodeRecord, type JournalRecord, parseRecord } from './journal.ts';
import { BATCH_OPERATIONS_MAX, VIEW_MAX } from './limits.ts';
import {
  type Content,
  encodeMessage,
  encodeNewViewEvidence,
  encodePayload,
  parseMessage,
  parseNewViewEvidence,
  parsePayload,
  parseSignatures,
  type ViewChange,
} from './message.ts';
import { batches, certificates, contents, digests, messages } from './testing/arbitraries.ts';

const members = fc.array(
  fc.record({
    id: fc.string({ minLength: 1, maxLength: 9 }),
    publicKey: digests,
    weight: fc.integer({ min: 1, max: 99 }),
  }),
  { maxLength: 4 },
);
const counts = fc.integer({ min: 0, max: 99 });
const sequences = fc.integer({ min: 1, max: 99 });
const own = fc.record({ content: contents, batch: batches, evidence: fc.uint8Array({ maxLength: 9 }) });
const links = fc.record({ sequence: sequences, parent: digests, batch: batches });
const epochs = fc.array(fc.record({ epoch: sequences, members }), { minLength: 1, maxLength: 3 });
const proofs = fc.record({
  header: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  signatures: certificates.map(({ signatures }) => signatures),
});
const recent = fc.array(
  fc.record({
    sequence: sequences,
    digest: digests,
    idBytes: fc.array(digests, { maxLength: 3 }).map((ids) => concatBytes(...ids)),
  }),
  { maxLength: 3 },
);
const transfers = fc.record({
  proofs: fc.array(proofs, { maxLength: 3 }),
  recentParent: digests,
  recent,
});
const decisions = fc
  .record({ certificate: certificates, batch: batches })
  .map(({ certificate, batch }) => ({ sequence: certificate.sequence, batch, certificate }));

const records: fc.Arbitrary<JournalRecord> = fc.oneof(
  own.map((statement): JournalRecord => ({ type: 'sent', ...statement })),
  links.map((link): JournalRecord => ({ type: 'repeated', ...link })),
  certificates.map((certificate): JournalRecord => ({ type: 'prepared', certificate })),
  messages.map((newView): JournalRecord => ({ type: 'entered', newView })),
  fc.record({
    type: fc.constant('committed' as const),
    certificate: certificates,
    batch: fc.option(batches),
  }),
  fc.record({
    type: fc.constant('executed' as const),
    sequence: sequences,
    members: fc.option(members),
    renews: fc.boolean(),
  }),
  fc.record({
    type: fc.constant('base' as const),
    committed: counts,
    digest: digests,
    executed: counts,
    executedDigest: digests,
    executedOperations: counts,
    epochs,
    epoch: sequences,
    view: counts,
    active: fc.boolean(),
    newView: fc.option(messages),
    tip: fc.option(certificates),
    stable: fc.option(proofs),
    waiting: fc.array(fc.record({ certificate: certificates, batch: batches }), { maxLength: 2 }),
    own: fc.array(own, { maxLength: 3 }),
    links: fc.array(links, { maxLength: 3 }),
    recentParent: digests,
    recent,
    muted: fc.oneof(fc.constant(null), fc.constant('until-epoch' as const), digests),
    isTransferred: fc.boolean(),
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

  test('checkpoints', () => {
    const headers = fc.record({
      sequence: sequences,
      digest: digests,
      operations: counts,
      state: digests,
      epochs,
    });
    fc.assert(
      fc.property(headers, (header) => {
        expect(parseHeader(encodeHeader(header))).toEqual(header);
      }),
    );
  });

  test('transfers', () => {
    fc.assert(
      fc.property(transfers, (transfer) => {
        expect(parseTransfer(encodeTransfer(transfer))).toEqual(transfer);
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
  const parsers = [
    parsePayload,
    parseMessage,
    parseDecision,
    parseRecord,
    parseHeader,
    parseTransfer,
    parseSignatures,
    parseNewViewEvidence,
  ];

  test('on arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        for (const parse of parsers) {
          try {
            parse(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(ConsensusError);
          }
        }
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

describe('a payload is refused', () => {
  const digest = new Uint8Array(32);
  const vote: Content = { kind: 'prepare', epoch: 1, view: 0, sequence: 1, digest };
  const viewChange: Content = {
    kind: 'view-change',
    epoch: 5,
    view: 2,
    committed: 6,
    tip: { view: 1, sequence: 7, digest },
  };
  const refused: [string, Uint8Array][] = [
    ['with a sequence of zero', encodePayload({ ...vote, sequence: 0 })],
    ['with a view beyond the largest', encodePayload({ ...vote, view: VIEW_MAX + 1 })],
    ['with a sequence beyond 2^53', encodePayload({ ...vote, sequence: 2 ** 54 })],
    ['with a short digest', encodePayload(vote).slice(0, -1)],
    ['with a byte too many', concatBytes(encodePayload(vote), Uint8Array.of(0))],
    ['of an unknown kind', concatBytes(Uint8Array.of(99), encodePayload(vote).slice(1))],
    ['of a kind without its fields', Uint8Array.of(1)],
    [
      'with a tip of an earlier epoch',
      encodePayload({ ...viewChange, tip: { view: 1, sequence: 4, digest } }),
    ],
    [
      'with a tip of the view it asks for',
      encodePayload({ ...viewChange, tip: { view: 2, sequence: 7, digest } }),
    ],
  ];

  test.each(refused)('%s', (_title, payload) => {
    expect(() => parsePayload(payload)).toThrow(ConsensusError);
  });
});

describe('a message is refused', () => {
  const message = {
    payload: Uint8Array.of(1),
    sender: 'r0',
    signature: new Uint8Array(64),
    batch: [],
    evidence: new Uint8Array(0),
  };

  test('with more operations than a batch may hold', () => {
    const batch = Array(BATCH_OPERATIONS_MAX + 1).fill(Uint8Array.of(1));
    expect(() => parseMessage(encodeMessage({ ...message, batch }))).toThrow(/batch/);
  });

  test('with an empty operation', () => {
    expect(() => parseMessage(encodeMessage({ ...message, batch: [new Uint8Array(0)] }))).toThrow(
      /operation/,
    );
  });

  test('with a new view that quotes anything but view changes', () => {
    const payload = encodePayload({ kind: 'status', epoch: 1, view: 0, committed: 0 });
    const content: ViewChange = { kind: 'view-change', epoch: 1, view: 1, committed: 0, tip: null };
    const viewChanges = [{ message: { ...message, payload }, sender: 'r0', content }];
    const evidence = encodeNewViewEvidence({ viewChanges, signatures: [] });
    expect(() => parseNewViewEvidence(evidence)).toThrow(/view changes/);
  });
});
