/** Why a quote does not count: one code for each check, in the order in which they are made. */
export const QUOTE_REFUSAL_CODES = [
  'ATTEST_MAGIC_WRONG',
  'ATTEST_TYPE_WRONG',
  'ATTEST_MALFORMED',
  'ATTEST_TRAILING',
  'SIGNATURE_MALFORMED',
  'SIGNATURE_TRAILING',
  'KEY_NOT_RESTRICTED',
  'SIGNATURE_SCHEME_WRONG',
  'SIGNATURE_HASH_WEAK',
  'KEY_WEAK',
  'SIGNATURE_OUT_OF_RANGE',
  'SIGNATURE_WRONG',
  'QUALIFYING_DATA_WRONG',
  'PCR_SELECTION_WRONG',
  'PCR_LIST_WRONG',
  'PCR_DIGEST_WRONG',
  'CLOCK_RESET_COUNT_DECREASED',
  'CLOCK_RESTART_COUNT_DECREASED',
  'CLOCK_BACKWARDS',
  'CLOCK_UNSAFE',
] as const;

/** The code of a check that failed. */
export type QuoteRefusalCode = (typeof QUOTE_REFUSAL_CODES)[number];

/** Why a quote does not count. */
export interface QuoteRefusal {
  readonly code: QuoteRefusalCode;
  readonly message: string;
}

export function refusal(code: QuoteRefusalCode, message: string): QuoteRefusal {
  return { code, message };
}
