/**
 * TPM 2.0 structures as bytes: parse and encode, nothing else (TPM 2.0 Library Specification Part 2).
 * For verifiers: runs without a TPM and in a browser. Parsers are bounded, demand the exact end of the buffer and throw
 * only `TpmError`. What they return is what the bytes say, not what is true: signatures are checked by the caller, over
 * the received bytes. Every TPM type has a codec named after it (`tpmtPublic`, `tpmsAttest`), for use with `decode` and
 * `encode`. Those with `Any` in their name read what a newer TPM says too, as `unknown` with its bytes; the others refuse it
 * with `TPM_STRUCTURE_UNSUPPORTED`.
 */
export { TpmError, type TpmErrorCode } from '../errors.ts';
export {
  ALG,
  CURVE,
  curveBytes,
  digestOf,
  hashBytes,
  NV_ATTRIBUTE,
  OBJECT_ATTRIBUTE,
} from './algorithms.ts';
export {
  type Attest,
  type CertifyAttest,
  type ClockInfo,
  type CommandAuditAttest,
  type CreationAttest,
  encodeAttest,
  type GetTimeAttest,
  type NvCertifyAttest,
  type NvDigestAttest,
  parseAttest,
  type QuoteAttest,
  type SessionAuditAttest,
  tpmsAttest,
  tpmsClockInfo,
} from './attest.ts';
export {
  type AnyCapabilityData,
  CAPABILITY,
  type CapabilityData,
  type CapabilityGroup,
  type CapabilityItem,
  PROPERTY,
  tpmsAnyCapabilityData,
  tpmsCapabilityData,
} from './capability-data.ts';
export { type Codec, decode, encode, type ValueOf } from './codec.ts';
export {
  type Context,
  type NvPublic,
  type TimeInfo,
  tpmsContext,
  tpmsNvPublic,
  tpmsTimeInfo,
} from './context.ts';
export {
  EK_CHAIN_INDEX,
  EK_POLICIES,
  EK_TEMPLATE_IDS,
  EK_TEMPLATES,
  type EkTemplate,
  type EkTemplateId,
} from './ek-templates.ts';
export {
  type CreationData,
  NULL_HASH_CHECK,
  type Sensitive,
  type Ticket,
  tpmlAlg,
  tpmlDigest,
  tpmlDigestValues,
  tpmsCreationData,
  tpmsSensitiveCreate,
  tpmtSensitive,
  tpmtTkAuth,
  tpmtTkCreation,
  tpmtTkHashCheck,
  tpmtTkVerified,
} from './object.ts';
export {
  encodePcrSelection,
  type PcrBankValues,
  type PcrChoice,
  type PcrSelect,
  type PcrSelection,
  type PcrValue,
  pcrDigest,
  tpmlPcrSelection,
} from './pcr-selection.ts';
export {
  approvalDigest,
  OPERATION,
  type PolicyAssertion,
  pcrPolicyDigest,
  policyDigest,
} from './policy-digest.ts';
export {
  type AnyPublicArea,
  type EccPoint,
  type EccPublicArea,
  encodePublicArea,
  type KeyedHashPublicArea,
  nameOf,
  type PublicArea,
  parseAnyPublicArea,
  parsePublicArea,
  type RsaPublicArea,
  type SymCipherPublicArea,
  tpmsEccPoint,
  tpmtAnyPublic,
  tpmtPublic,
  tpmtPublicParms,
  type UnknownPublicArea,
} from './public-area.ts';
export { compressedPoint, eccPoint, toSpki } from './public-key.ts';
export {
  type Accused,
  baseReturnCode,
  decodeReturnCode,
  RC,
  type ReturnCode,
  returnCodeName,
} from './return-code.ts';
export {
  type AsymmetricScheme,
  type KdfScheme,
  type KeyedHashScheme,
  type SignatureScheme,
  type SymmetricCipher,
  type SymmetricDefinition,
  tpmtAsymScheme,
  tpmtKdfScheme,
  tpmtKeyedHashScheme,
  tpmtRsaDecrypt,
  tpmtSigScheme,
  tpmtSymDef,
  tpmtSymDefObject,
} from './scheme.ts';
export {
  type AnySignature,
  type EcdaaSignature,
  type EcdsaSignature,
  encodeSignature,
  type HashValue,
  parseSignature,
  type RsaSignature,
  type Signature,
  type TpmSignature,
  tpmtAnySignature,
  tpmtHa,
  tpmtSignature,
  type UnknownSignature,
} from './signature.ts';
export { matchesTemplate, TEMPLATES, vrfTemplate } from './templates.ts';
