/**
 * TPM 2.0 structures as bytes: parse and encode, nothing else (TPM 2.0 Library Specification Part 2).
 * For verifiers: runs without a TPM and in a browser. Parsers are bounded, demand the exact end of the buffer and throw
 * only `TpmError`. What they return is what the bytes say, not what is true: signatures are checked by the caller, over
 * the received bytes. Implemented are the objects, schemes and attestations this project uses; the rest is refused.
 */
export { TpmError, type TpmErrorCode } from '../errors.ts';
export { ALG, CURVE, curveBytes, digestOf, hashBytes, OBJECT_ATTRIBUTE } from './algorithms.ts';
export {
  type Attest,
  type CertifyAttest,
  type ClockInfo,
  type GetTimeAttest,
  type NvCertifyAttest,
  parseAttest,
  type QuoteAttest,
} from './attest.ts';
export { encodePcrSelection, type PcrSelection, pcrDigest, pcrPolicyDigest } from './pcr-selection.ts';
export {
  type AsymmetricScheme,
  type EccPublicArea,
  encodePublicArea,
  nameOf,
  type PublicArea,
  parsePublicArea,
  type RsaPublicArea,
  type SealedPublicArea,
  type SymmetricCipher,
} from './public-area.ts';
export { compressedPoint, eccPoint, toSpki } from './public-key.ts';
export { returnCodeName } from './return-code.ts';
export {
  type EcdaaSignature,
  type EcdsaSignature,
  parseSignature,
  type RsaSignature,
  type TpmSignature,
} from './signature.ts';
export { matchesTemplate, TEMPLATES } from './templates.ts';
