import fc from 'fast-check';
import {
  type Certificate,
  type Content,
  encodePayload,
  type SignedMessage,
  type Statement,
  type ViewChange,
} from '../message.ts';

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const count = fc.integer({ min: 0, max: 1_000_000 });
const id = fc.string({ minLength: 1, maxLength: 20 });

export const batches = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 5 });
export const digests = bytesOf(32);

export const certificates: fc.Arbitrary<Certificate> = fc.record({
  view: count,
  sequence: count.map((n) => n + 1),
  digest: digests,
  signatures: fc.array(fc.record({ sender: id, signature: bytesOf(64) }), { maxLength: 4 }),
});

const votes: fc.Arbitrary<Content> = fc.record({
  kind: fc.constantFrom('pre-prepare' as const, 'prepare' as const, 'commit' as const),
  view: count,
  sequence: count.map((n) => n + 1),
  digest: digests,
});

const viewChanges: fc.Arbitrary<ViewChange> = fc
  .record({
    kind: fc.constant('view-change' as const),
    epoch: count.map((n) => n + 1),
    view: count.map((n) => n + 1),
    committed: count,
    prepared: fc.option(certificates),
  })
  .map((content) => {
    if (content.prepared === null) return content;
    const { view } = content.prepared;
    return { ...content, view: view + 1, prepared: { ...content.prepared, sequence: content.committed + 1 } };
  });

function signed(content: Content, batch: readonly Uint8Array[] = []): SignedMessage {
  // Plain bytes, so that equality does not depend on the encoder's use of Buffer.
  const payload = Uint8Array.from(encodePayload(content));
  return { payload, sender: 'r0', signature: new Uint8Array(64).fill(5), batch };
}

const nestedViewChanges: fc.Arbitrary<Statement<ViewChange>> = viewChanges.map((content) => ({
  message: signed(content),
  sender: 'r0',
  content,
}));

export const contents: fc.Arbitrary<Content> = fc.oneof(
  votes,
  fc.record({
    kind: fc.constant('checkpoint' as const),
    sequence: count.map((n) => n + 1),
    digest: digests,
  }),
  viewChanges,
  fc.record({
    kind: fc.constant('new-view' as const),
    epoch: count.map((n) => n + 1),
    view: count,
    sequence: count.map((n) => n + 1),
    viewChanges: fc.array(nestedViewChanges, { maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('status' as const), view: count, committed: count }),
);

export const messages: fc.Arbitrary<SignedMessage> = fc
  .tuple(contents, batches)
  .map(([content, batch]) => signed(content, batch));
