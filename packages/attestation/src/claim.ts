import { assert } from '@nemea/core';
import type { AppraisedClaim, ClaimName, ClaimReason, ClaimValue } from './result.ts';

/** A claim that has no verdict yet. */
export type OpenClaim = Pick<AppraisedClaim, 'name' | 'source' | 'claimed' | 'reference'>;

export function claimOf(
  name: ClaimName,
  source: string,
  claimed: ClaimValue,
  reference: ClaimValue,
): OpenClaim {
  return { name, source, claimed, reference };
}

export function affirm(claim: OpenClaim, detail: string): AppraisedClaim {
  return { ...claim, verdict: 'affirming', reason: 'OK', detail };
}

export function refuse(claim: OpenClaim, reason: ClaimReason, detail: string): AppraisedClaim {
  assert(reason !== 'OK', 'a refusal has a reason');
  return { ...claim, verdict: 'contraindicated', reason, detail };
}

export function leaveOut(claim: OpenClaim): AppraisedClaim {
  return { ...claim, verdict: 'none', reason: 'UNAUTHENTICATED', detail: 'its bytes are not authentic' };
}

export function isAffirming(claim: AppraisedClaim): boolean {
  return claim.verdict === 'affirming';
}
