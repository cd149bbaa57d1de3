/**
 * Capsules: encrypted data with a public header, and the documents about opening them: stanzas (HPKE, RFC 9180), key
 * release, task specification, clean-up certificate. Trusts node:crypto for the ciphers. Decides nothing:
 * who may have a key is judged elsewhere; a header is authentic only once its payload opens. Does not hide the length
 * of a payload, and does not wrap file keys at rest.
 */
export {
  CLEANUP_CERTIFICATE_BYTES_MAX,
  type CleanupCertificate,
  cleanupCertificateDigest,
  encodeCleanupCertificate,
  parseCleanupCertificate,
} from './certificate.ts';
export { CapsuleError, type CapsuleErrorCode } from './errors.ts';
export {
  type CapsuleHeader,
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  capsuleIdOf,
  encodeHeader,
  HEADER_BYTES_MAX,
  parseHeader,
  payloadCommitment,
} from './header.ts';
export { type InspectedCapsule, inspectCapsule, openCapsule, openCapsuleStream } from './open.ts';
export type { Random } from './random.ts';
export {
  encodeReleaseMessage,
  openGrant,
  parseReleaseMessage,
  RELEASE_MESSAGE_BYTES_MAX,
  RELEASE_REFUSALS,
  type ReleaseGrant,
  type ReleaseHello,
  type ReleaseMessage,
  type ReleaseNonce,
  type ReleaseRefusal,
  type ReleaseRefused,
  type ReleaseRequest,
  type ReleaseTerms,
  releaseBinding,
  sealGrant,
} from './release.ts';
export { openResult, type ResultToSeal, sealResult } from './result.ts';
export {
  type CapsuleDescription,
  type SealedCapsule,
  type SealedCapsuleStream,
  sealCapsule,
  sealCapsuleStream,
} from './seal.ts';
export {
  generateReceiverKey,
  type OpenWithKeyOptions,
  openWithKey,
  type ReceiverKey,
  type SealToKeyOptions,
  type Stanza,
  sealToKey,
} from './stanza.ts';
export { encodeTaskSpec, parseTaskSpec, TASK_SPEC_BYTES_MAX, type TaskSpec } from './task.ts';
export { publicKeyOf } from './x25519.ts';
