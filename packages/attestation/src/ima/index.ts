/**
 * Linux IMA measurement lists: parse, replay against a quoted PCR, continue from where the last look ended, check file
 * signatures, and judge every entry by an allow-list. Trusts the quoted PCR values, keys and policy it is given; opens
 * nothing, needs no TPM and runs in a browser. Rules: docs/spec/ima.md.
 */
export {
  type AppraiseImaOptions,
  appraiseIma,
  checkImaSignatures,
  type ImaAppraisal,
  type ImaVerdict,
  type ImaVerdictReason,
} from './appraise.ts';
export {
  BOOT_AGGREGATE,
  type BootAggregateCheck,
  bootAggregateText,
  checkBootAggregate,
  findBootAggregate,
} from './boot-aggregate.ts';
export { findBadEntries, type ImaBadEntry, type ImaDefect, pathOf } from './check.ts';
export { ImaError, type ImaErrorCode } from './errors.ts';
export { type ImaKey, type ImaKeyRing, parseImaKeys } from './key-ring.ts';
export {
  IMA_BYTES_MAX,
  IMA_ENTRIES_MAX,
  IMA_TEMPLATE_DATA_BYTES_MAX,
  IMA_TEMPLATE_NAME_BYTES_MAX,
} from './limits.ts';
export {
  type ByteOrder,
  IMA_BANKS,
  type ImaBank,
  type ImaBufferFields,
  type ImaDigest,
  type ImaEntry,
  type ImaEvm,
  type ImaFields,
  type ImaFileFields,
  type ImaList,
  type ImaModsig,
  type ImaUnknownFields,
  type PcrBanks,
} from './list.ts';
export { type ParseImaOptions, parseImaList } from './parse.ts';
export { type ImaPolicy, parseImaPolicy } from './policy.ts';
export type { ImaPublicKey } from './public-key.ts';
export { IMA_EXTENSIONS, IMA_PCR, type ImaExtension, type ReplayImaOptions, replayIma } from './replay.ts';
export { type ImaSignature, parseImaSignature, verifyFileSignature } from './signature.ts';
export type { SignatureCheck, SignatureReason } from './signature-check.ts';
export { type ImaState, parseImaState } from './state.ts';
export {
  type ImaReason,
  type ImaVerification,
  quotedPcr10,
  type VerifyImaOptions,
  verifyIma,
} from './verify.ts';
