import { assertNever, toHex, type Verified } from '@nemea/core';
import { closeCandidacy, openCandidacy, recordJudgement, takeSeat } from './admission.ts';
import { closeEpoch, judgeAccusation, judgeDispute, recordAttestations } from './attestation.ts';
import { enrol } from './enrolment.ts';
import { proveEquivocation } from './equivocation.ts';
import type { RejectionCode } from './errors.ts';
import type { LedgerView } from './ledger-view.ts';
import type { Operation } from './operation.ts';
import { rejoin } from './rejoin.ts';
import { genesisRoster, type Member } from './roster.ts';
import type { Effect, MembershipState } from './state.ts';
import { abandonTask, closeBids, completeTask, expireTask, recordBid, recordReport } from './task.ts';

/** State and effects after one operation, or the reason why it had no effect. */
export type Outcome = { state: MembershipState; effects: readonly Effect[] } | { rejected: RejectionCode };

/** What the execution of an operation depends on beside the state. */
export interface Surroundings {
  readonly ledger: LedgerView;
  readonly verifySignature: VerifySignature;
  /** Epoch of consensus in which the operation was decided. */
  readonly consensusEpoch: number;
}

/** What a handler sees: state, facts as of the agreed block, and the author of the authenticated operation. */
export interface Context extends Surroundings {
  readonly state: MembershipState;
  readonly author: Member;
}

/** Ed25519 over raw 32-byte keys: arithmetic that the rim provides. */
export type VerifySignature = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

export function initialState(networkId: Uint8Array, ledger: LedgerView): MembershipState {
  return {
    networkId,
    roster: genesisRoster(ledger.genesisRecords()),
    ledgerBlock: 0,
    epochClosed: 0,
    reports: new Map(),
    candidacies: new Map(),
    tasks: new Map(),
    admissions: 0,
    enrolledThrough: 0,
    evictions: 0,
    updatesMissed: new Map(),
    equivocations: new Map(),
    answeredThrough: new Map(),
    disputesJudged: new Set(),
    rejoins: new Map(),
  };
}

/**
 * Executes one ordered operation. Pure, total and deterministic: whoever starts from the same state with the same
 * layer-1 history ends in the same state. A member's operation that may not take effect changes nothing but the
 * anchor; a stranger's changes nothing at all [MEMB-2] [MEMB-3].
 */
export function applyOperation(
  before: MembershipState,
  operation: Verified<Operation>,
  surroundings: Surroundings,
): { state: MembershipState; effects: readonly Effect[] } {
  const author = before.roster.get(operation.author);
  if (author === undefined) return refuse(before, operation, 'AUTHOR_NOT_MEMBER');
  const state = { ...before, ledgerBlock: Math.max(before.ledgerBlock, operation.anchor.block) };
  const outcome = dispatch({ ...surroundings, state, author }, operation);
  return 'rejected' in outcome ? refuse(state, operation, outcome.rejected) : outcome;
}

function refuse(
  state: MembershipState,
  operation: Operation,
  code: RejectionCode,
): { state: MembershipState; effects: readonly Effect[] } {
  const { author, body } = operation;
  return { state, effects: [{ type: 'rejected', author, kind: body.kind, code }] };
}

function dispatch(context: Context, operation: Operation): Outcome {
  const body = operation.body;
  switch (body.kind) {
    case 'apply':
      return openCandidacy(context, body);
    case 'sit':
      return takeSeat(context, body);
    case 'judge':
      return recordJudgement(context, body);
    case 'close-candidacy':
      return closeCandidacy(context, toHex(body.candidate));
    case 'enrol':
      return enrol(context);
    case 'attest':
      return recordAttestations(context, body);
    case 'accuse':
      return judgeAccusation(context, body);
    case 'close-epoch':
      return closeEpoch(context, body.epoch);
    case 'bid':
      return recordBid(context, body);
    case 'close-bids':
      return closeBids(context, body);
    case 'complete':
      return completeTask(context, body);
    case 'verify':
      return recordReport(context, body);
    case 'abandon':
      return abandonTask(context, body);
    case 'expire':
      return expireTask(context, body);
    case 'rejoin':
      return rejoin(context);
    case 'prove-equivocation':
      return proveEquivocation(context, body);
    case 'judge-dispute':
      return judgeDispute(context, body.disputeId);
    default:
      return assertNever(body);
  }
}
