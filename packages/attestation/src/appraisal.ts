import type { Evidence } from './evidence.ts';
import type { ImaKeyRing } from './ima/index.ts';
import type { AssuranceLevel } from './level.ts';
import type { AppraisalPolicy } from './policy.ts';
import type { ReferenceValues } from './reference-values.ts';
import type { AppraisedClock } from './result.ts';

/** What the registry vouches for (RFC 9334 Endorsements): the AK that was activated against an EK, and its level. */
export interface Endorsements {
  /** TPMT_PUBLIC of the registered attestation key. */
  readonly akPublic: Uint8Array;
  readonly level: AssuranceLevel;
  /** Keys whose signatures on files are believed, for a policy that judges IMA lists. */
  readonly imaKeys?: ImaKeyRing | undefined;
}

/** What the quote must have been made for: the verifier's nonce, as the evidence protocol of this network forms it. */
export interface ExpectedChallenge {
  readonly networkId: Uint8Array;
  readonly challenge: Uint8Array;
  readonly binding: Uint8Array;
  /** The latest time at which an answer counts, by the verifier's own clock; without it the challenge alone makes it fresh. */
  readonly deadlineMs?: number | undefined;
}

/** Any other verifier's nonce, as it went into TPM2_Quote. */
export interface ExpectedNonce {
  readonly nonce: Uint8Array;
  readonly deadlineMs?: number | undefined;
}

/** Handles of epochs that somebody announces to all (RFC 9334, 10.3), the newest first, as they go into TPM2_Quote. */
export interface ExpectedEpoch {
  readonly epochs: readonly Uint8Array[];
  readonly deadlineMs?: undefined;
}

/** Nothing is known about when the evidence was made. A policy must accept that in so many words. */
export interface ExpectedAnyTime {
  readonly anyTime: true;
  readonly deadlineMs?: undefined;
}

/** What makes the evidence fresh: a challenge, a nonce, an epoch, or nothing [ATT-21]. */
export type ExpectedQuote = ExpectedChallenge | ExpectedNonce | ExpectedEpoch | ExpectedAnyTime;

/** The highest clock seen from this AK. */
export type ClockRecord = Pick<AppraisedClock, 'clock' | 'resetCount' | 'restartCount'>;

/**
 * Everything that `appraise` judges by: evidence, endorsements, reference values, policy, what is expected, and the
 * time.
 */
export interface Appraisal {
  readonly evidence: Evidence;
  readonly endorsements: Endorsements;
  readonly referenceValues: ReferenceValues;
  readonly policy: AppraisalPolicy;
  readonly expected: ExpectedQuote;
  readonly clockBefore?: ClockRecord | undefined;
  readonly nowMs: number;
}
