import { bytesEqual, fromHex, toHex } from '@nemea/core';
import type { Vote } from '@nemea/membership';
import { type AttestationRequest, requestTypedData } from '@nemea/sdk';
import { hashTypedData, keccak256 } from 'viem/utils';
import { recoverSigner, requireQuorum } from './quorum.ts';
import { slash } from './registry.ts';
import { type Emitted, type LayerOneState, Revert } from './state.ts';

const PROOF_BYTES_MAX = 1_024;

/** Disputes.report */
export function report(
  state: LayerOneState,
  from: string,
  request: AttestationRequest,
  proof: Uint8Array,
  signature: string,
): Emitted[] {
  const { attestor, target, epoch, command } = request;
  if (from !== target) throw new Revert('ReporterNotTarget', from);
  if (attestor === target) throw new Revert('SelfReport', target);
  if (proof.length > PROOF_BYTES_MAX) throw new Revert('ProofTooLong', `${proof.length}`);
  if (!bytesEqual(keccak256(proof, 'bytes'), request.proofHash)) throw new Revert('ProofHashMismatch', '');
  if (state.nodes.get(attestor)?.status !== 'active') throw new Revert('AttestorNotActive', attestor);
  if (state.nodes.get(target)?.status !== 'active') throw new Revert('TargetNotActive', target);
  const id = hashTypedData(requestTypedData(state.network, request));
  const disputeId = toHex(fromHex(id));
  if (state.disputes.has(disputeId)) throw new Revert('DisputeExists', disputeId);
  if (recoverSigner(id, signature) !== attestor) throw new Revert('AttestorSignatureMismatch', attestor);
  state.disputes.set(disputeId, { reporter: from, accused: attestor, state: 'open' });
  const dispute = { disputeId: fromHex(id), reporter: from, accused: attestor, epoch, command, proof };
  return [{ type: 'dispute', dispute }];
}

/** Disputes.resolve */
export function resolve(
  state: LayerOneState,
  vote: Extract<Vote, { type: 'DisputeVerdict' }>,
  signatures: readonly string[],
): Emitted[] {
  const disputeId = toHex(vote.disputeId);
  const dispute = state.disputes.get(disputeId);
  if (dispute?.state !== 'open') throw new Revert('DisputeNotOpen', dispute?.state ?? 'none');
  requireQuorum(state, vote, signatures);
  dispute.state = vote.guilty ? 'guilty' : 'dismissed';
  const slashed = vote.guilty ? slash(state, dispute.accused, dispute.reporter) : [];
  return [...slashed, { type: 'dispute-resolved', disputeId, guilty: vote.guilty }];
}
