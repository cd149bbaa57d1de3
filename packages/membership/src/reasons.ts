/** Reasons that go on layer 1 as one byte. Never renumbered. */
export const EVICTION_REASONS = { CONTRADICTING_EVIDENCE: 1 } as const;

export const FAILURE_REASONS = {
  KEY_REFUSED: 1,
  INPUT_UNAVAILABLE: 2,
  CODE_FAILED: 3,
  TIMEOUT: 4,
  OUT_OF_MEMORY: 5,
  OUTPUT_INVALID: 6,
  IMAGE_NOT_APPROVED: 7,
  CODE_NOT_APPROVED: 8,
  NO_EXECUTOR: 9,
  VERIFICATION_FAILED: 10,
  EXPIRED: 11,
  CLEAN_UP_FAILED: 12,
  SPEC_INVALID: 13,
  MACHINE_ERROR: 14,
  EXECUTOR_GONE: 15,
} as const;
export type FailureReason = keyof typeof FAILURE_REASONS;

/** Failures of the machine, not of the task: another machine is drawn. */
const RETRIED: ReadonlySet<number> = new Set([
  FAILURE_REASONS.INPUT_UNAVAILABLE,
  FAILURE_REASONS.MACHINE_ERROR,
  FAILURE_REASONS.CLEAN_UP_FAILED,
  FAILURE_REASONS.EXPIRED,
  FAILURE_REASONS.EXECUTOR_GONE,
  FAILURE_REASONS.VERIFICATION_FAILED,
]);

export function isRetried(reason: number): boolean {
  return RETRIED.has(reason);
}

export function failureName(reason: number): FailureReason | 'UNKNOWN' {
  for (const [name, value] of Object.entries(FAILURE_REASONS)) {
    if (value === reason) return name as FailureReason;
  }
  return 'UNKNOWN';
}
