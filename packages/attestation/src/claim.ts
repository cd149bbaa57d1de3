import { assert, printable as toPrintable } from '@nemea/core';
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
  return close(claim, 'affirming', 'OK', detail);
}

/** The policy says that it does not ask, and so nothing stands against trust. */
export function notDemanded(claim: OpenClaim, detail: string): AppraisedClaim {
  return close(claim, 'affirming', 'NOT_DEMANDED', detail);
}

export function warn(claim: OpenClaim, reason: ClaimReason, detail: string): AppraisedClaim {
  return close(claim, 'warning', reason, detail);
}

export function refuse(claim: OpenClaim, reason: ClaimReason, detail: string): AppraisedClaim {
  assert(reason !== 'OK' && reason !== 'NOT_DEMANDED', 'a refusal has a reason');
  return close(claim, 'contraindicated', reason, detail);
}

export function leaveOut(claim: OpenClaim): AppraisedClaim {
  return close(claim, 'none', 'UNAUTHENTICATED', 'its bytes are not authentic');
}

/** Field by field: a judge makes twenty of these for each quote, and spreading an object costs three times as much. */
function close(
  { name, source, claimed, reference }: OpenClaim,
  verdict: AppraisedClaim['verdict'],
  reason: ClaimReason,
  detail: string,
): AppraisedClaim {
  return { name, source, claimed, reference, verdict, reason, detail };
}

export function isAffirming(claim: AppraisedClaim): boolean {
  return claim.verdict === 'affirming';
}

const TEXT_BYTES_MAX = 200;

/** Text of a log, which its maker chose: made printable and short enough for a claim. */
export function printable(text: string, bytesMax = TEXT_BYTES_MAX): string {
  return toPrintable(text, bytesMax);
}
