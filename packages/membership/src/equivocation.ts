import {
  ConsensusError,
  type EquivocationProof,
  equivocationEpoch,
  verifyEquivocation,
} from '@nemea/consensus';
import type { Context, Outcome } from './machine.ts';
import type { OperationBody, SignedPayload } from './operation.ts';
import type { MembershipState } from './state.ts';

/** Two payloads that one member has signed and no honest member signs both of. */
export interface SignedContradiction {
  readonly first: SignedPayload;
  readonly second: SignedPayload;
}

/**
 * Any member may show that another has contradicted itself in consensus, and every member verifies it again; no trust in the
 * author is needed. The close of the epoch takes the credit, so that anybody can redo it from the leaves. Whatever a member says in
 * one epoch of consensus costs it once: others hold proofs of it, too [MEMB-43].
 */
export function proveEquivocation(
  { state, author, consensusEpoch, verifySignature }: Context,
  { culprit, first, second }: Extract<OperationBody, { kind: 'prove-equivocation' }>,
): Outcome {
  const member = state.roster.get(culprit);
  if (member === undefined) return { rejected: 'TARGET_UNKNOWN' };
  const { networkId } = state;
  const proof = toEquivocationProof(culprit, { first, second });
  let epoch: number;
  try {
    epoch = equivocationEpoch(proof);
    if (epoch <= (state.answeredThrough.get(culprit) ?? 0)) return { rejected: 'ALREADY_DONE' };
    // Who signs for an epoch to come could have itself proven at once, and be free until then.
    if (epoch > consensusEpoch) return { rejected: 'EPOCH_WRONG' };
    const publicKeyOf = () => member.peerKey;
    verifyEquivocation({ networkId, proof, publicKeyOf, verify: verifySignature });
  } catch (error) {
    if (error instanceof ConsensusError) return { rejected: 'EQUIVOCATION_UNPROVEN' };
    throw error;
  }
  return {
    state: {
      ...state,
      answeredThrough: new Map(state.answeredThrough).set(culprit, epoch),
      equivocations: new Map(state.equivocations).set(culprit, { first, second }),
    },
    effects: [{ type: 'equivocated', account: culprit, accuser: author.account }],
  };
}

/** The proof as consensus knows it. That one sender said both is for the culprit's key to tell. */
export function toEquivocationProof(
  culprit: string,
  { first, second }: SignedContradiction,
): EquivocationProof {
  const nothingElse = { batch: [], evidence: new Uint8Array(0) };
  return {
    first: { sender: culprit, ...first, ...nothingElse },
    second: { sender: culprit, ...second, ...nothingElse },
  };
}

/** A newcomer votes from the next epoch of consensus on: what its keys signed before, it did not say as this member. */
export function answeringAnew(
  { answeredThrough, equivocations }: MembershipState,
  account: string,
  consensusEpoch: number,
): Pick<MembershipState, 'answeredThrough' | 'equivocations'> {
  const pending = new Map(equivocations);
  pending.delete(account);
  return {
    answeredThrough: new Map(answeredThrough).set(account, consensusEpoch),
    equivocations: pending,
  };
}
