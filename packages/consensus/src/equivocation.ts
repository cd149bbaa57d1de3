import { bytesEqual } from '@nemea/core';
import type { VerifySignature } from './authenticate.ts';
import { ConsensusError } from './errors.ts';
import {
  type Content,
  encodePayload,
  parsePayload,
  type SignedMessage,
  signingBytes,
  type ViewChange,
  type Vote,
} from './message.ts';

/** Two statements of one member that no honest replica makes both of. Batches are left out. */
export type EquivocationProof = { readonly first: SignedMessage; readonly second: SignedMessage };

/**
 * True when no replica that follows the rules says both [CONS-21]: different digests at one view and sequence (or one
 * checkpoint), two different view changes or new views for one view, or a view change that forgets what its sender
 * had committed to in an earlier view. All of one epoch: nothing said in one counts in another.
 */
export function contradicts(a: Content, b: Content): boolean {
  if (isVote(a) && isVote(b)) {
    const isSameSlot = a.epoch === b.epoch && a.view === b.view && a.sequence === b.sequence;
    return isSameSlot && !bytesEqual(a.digest, b.digest);
  }
  if (a.kind === 'checkpoint' && b.kind === 'checkpoint') {
    return a.sequence === b.sequence && !bytesEqual(a.digest, b.digest);
  }
  if (a.kind === 'view-change' && b.kind === 'view-change') {
    return a.epoch === b.epoch && a.view === b.view && !samePayload(a, b);
  }
  if (a.kind === 'new-view' && b.kind === 'new-view') {
    return a.epoch === b.epoch && a.view === b.view && !samePayload(a, b);
  }
  if (a.kind === 'commit' && b.kind === 'view-change') return forgets(a, b);
  if (a.kind === 'view-change' && b.kind === 'commit') return forgets(b, a);
  return false;
}

/** Lets a stranger check the proof. Returns the culprit's id; throws `EQUIVOCATION_UNPROVEN`. */
export function verifyEquivocation(input: {
  networkId: Uint8Array;
  proof: EquivocationProof;
  publicKeyOf: (sender: string) => Uint8Array | undefined;
  verify: VerifySignature;
}): string {
  const { first, second } = input.proof;
  const publicKey = input.publicKeyOf(first.sender);
  if (publicKey === undefined || first.sender !== second.sender) {
    throw new ConsensusError('EQUIVOCATION_UNPROVEN', 'want two statements of one known sender');
  }
  for (const { payload, signature } of [first, second]) {
    if (!input.verify(publicKey, signingBytes(input.networkId, payload), signature)) {
      throw new ConsensusError('EQUIVOCATION_UNPROVEN', `signature of ${first.sender} does not verify`);
    }
  }
  if (!contradicts(parseContent(first.payload), parseContent(second.payload))) {
    throw new ConsensusError('EQUIVOCATION_UNPROVEN', 'the statements do not contradict each other');
  }
  return first.sender;
}

/** The epoch of consensus that a proof is about, the later one when they differ; nothing is verified. Throws `EQUIVOCATION_UNPROVEN`. */
export function equivocationEpoch({ first, second }: EquivocationProof): number {
  const epochs = [first, second].map(({ payload }) => {
    const content = parseContent(payload);
    if ('epoch' in content) return content.epoch;
    throw new ConsensusError('EQUIVOCATION_UNPROVEN', `a ${content.kind} binds nobody`);
  });
  return Math.max(...epochs);
}

/**
 * A commit at (u, s) is sent before the view change to any later view of its epoch, which must then show a tip that is
 * as high: its view above u, or u with a sequence of at least s [CONS-14].
 */
function forgets(commit: Vote, { epoch, view, tip }: ViewChange): boolean {
  if (commit.epoch !== epoch || commit.view >= view) return false;
  return (
    tip === null || tip.view < commit.view || (tip.view === commit.view && tip.sequence < commit.sequence)
  );
}

function parseContent(payload: Uint8Array): Content {
  try {
    return parsePayload(payload);
  } catch (cause) {
    if (!(cause instanceof ConsensusError)) throw cause;
    throw new ConsensusError('EQUIVOCATION_UNPROVEN', `no statement: ${cause.message}`, { cause });
  }
}

function isVote(content: Content): content is Vote {
  return content.kind === 'pre-prepare' || content.kind === 'prepare' || content.kind === 'commit';
}

function samePayload(a: Content, b: Content): boolean {
  return bytesEqual(encodePayload(a), encodePayload(b));
}
