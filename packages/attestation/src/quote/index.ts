/**
 * TPM 2.0 quotes as any tool makes them: one call verifies statement, signature, nonce, PCRs and clock, and says by one
 * coded reason why not; the single checks are here too. Trusts the key it is given and nothing in the quote. Pure, bounded,
 * and free of Node; does not judge whether the PCR values are good.
 */

export { AttestationError, type AttestationErrorCode } from '../errors.ts';
export { refuseSignature } from '../signature.ts';
export { parsePcrFile } from './pcr-file.ts';
export {
  bankName,
  describeSelection,
  parseSelection,
  quotedPcrs,
  refusePcrs,
  refuseSelection,
} from './pcrs.ts';
export { fromPlainSignature } from './plain-signature.ts';
export { QUOTE_REFUSAL_CODES, type QuoteRefusal, type QuoteRefusalCode } from './refusal.ts';
export { parseSigningKey, type SigningKey, signingKeyOf } from './signing-key.ts';
export {
  type ClockBefore,
  type Quote,
  type QuoteToVerify,
  type QuoteVerdict,
  readQuote,
  readSignature,
  refuseClock,
  refuseKey,
  refuseNonce,
  verifyQuote,
} from './verify-quote.ts';
