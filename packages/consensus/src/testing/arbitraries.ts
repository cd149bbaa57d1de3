import fc from 'fast-check';
import {
  type Certificate,
  type Content,
  encodeNewViewEvidence,
  encodePayload,
  encodeSignatures,
  type SignedMessage,
  type Statement,
  type Tip,
  type ViewChange,
} from '../message.ts';

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const count = fc.integer({ min: 0, max: 1_000_000 });
const id = fc.string({ minLength: 1, maxLength: 20 });

export const batches = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 5 });
export const digests = bytesOf(32);

const sequences = count.map((n) => n + 1);
const signatures = fc.array(fc.record({ sender: id, signature: bytesOf(64) }), { maxLength: 4 });
const tips: fc.Arbitrary<Tip> = fc.record({ view: count, sequence: sequences, digest: digests });

export const certificates: fc.Arbitrary<Certificate> = fc.record({
  epoch: sequences,
  view: count,
  sequence: sequences,
  digest: digests,
  signatures,
});

const votes: fc.Arbitrary<Content> = fc
  .tuple(fc.constantFrom('pre-prepare' as const, 'prepare' as const, 'commit' as const), sequences, tips)
  .map(([kind, epoch, tip]) => ({ kind, epoch, ...tip }));

const viewChanges: fc.Arbitrary<ViewChange> = fc
  .record({ epoch: sequences, view: count, committed: count, tip: fc.option(tips) })
  .map(({ epoch, view, committed, tip }) => ({
    kind: 'view-change',
    epoch,
    view: view + (tip?.view ?? 0) + 1,
    committed,
    tip: tip === null ? null : { ...tip, sequence: tip.sequence + epoch },
  }));

function signed(
  content: Content,
  batch: readonly Uint8Array[] = [],
  evidence: Uint8Array = new Uint8Array(0),
): SignedMessage {
  return {
    payload: encodePayload(content),
    sender: 'r0',
    signature: new Uint8Array(64).fill(5),
    batch,
    evidence,
  };
}

const nestedViewChanges: fc.Arbitrary<Statement<ViewChange>> = viewChanges.map((content) => ({
  message: signed(content),
  sender: 'r0',
  content,
}));

export const newViewEvidences = fc.record({
  viewChanges: fc.array(nestedViewChanges, { maxLength: 3 }),
  signatures,
});

export const contents: fc.Arbitrary<Content> = fc.oneof(
  votes,
  fc.record({
    kind: fc.constant('checkpoint' as const),
    epoch: sequences,
    sequence: sequences,
    digest: digests,
  }),
  viewChanges,
  fc.record({ kind: fc.constant('new-view' as const), epoch: sequences, view: count, evidence: digests }),
  fc.record({ kind: fc.constant('status' as const), epoch: sequences, view: count, committed: count }),
  fc.tuple(count, tips).map(([after, tip]): Content => ({ kind: 'want', after, ...tip })),
  fc.record({ kind: fc.constant('supply' as const), sequence: sequences, parent: digests, digest: digests }),
);

export const messages: fc.Arbitrary<SignedMessage> = fc
  .tuple(
    contents,
    batches,
    fc.oneof(signatures.map(encodeSignatures), newViewEvidences.map(encodeNewViewEvidence)),
  )
  .map(([content, batch, evidence]) => signed(content, batch, evidence));
