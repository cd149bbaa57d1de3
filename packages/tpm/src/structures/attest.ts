import { invalid } from './buffer.ts';
import {
  bytes,
  type Codec,
  decode,
  encode,
  type Fields,
  struct,
  u16,
  u32,
  u64,
  union,
  type ValueOf,
  yesNo,
} from './codec.ts';
import { tpmlPcrSelection } from './pcr-selection.ts';
import { DIGEST_BYTES_MAX } from './public-area.ts';

/** nameAlg u16 and the largest digest, SHA-512; also the most that qualifying data may have. */
export const NAME_BYTES_MAX = 66;
export const NV_CONTENTS_BYTES_MAX = 2048;
const TPM_GENERATED = 0xff544347;

/** TPMS_CLOCK_INFO: `clock` in ms over the life of the TPM; `safe` is false when it may repeat after a power loss. */
export const tpmsClockInfo = struct({
  clock: u64,
  resetCount: u32,
  restartCount: u32,
  safe: yesNo('clock safe flag'),
});
/** TPMS_CLOCK_INFO: `clock` is ms of operation since the last TPM2_Clear; `safe` says that it does not repeat. */
export type ClockInfo = ValueOf<typeof tpmsClockInfo>;

const header = {
  qualifiedSigner: bytes('qualified signer', NAME_BYTES_MAX),
  /** The caller's qualifying data: what makes the statement fresh. */
  extraData: bytes('extra data', NAME_BYTES_MAX),
  clockInfo: tpmsClockInfo,
  firmwareVersion: u64,
} satisfies Fields;

const attested = union('attestation type', 'type', {
  quote: [
    0x8018,
    { ...header, pcrSelections: tpmlPcrSelection, pcrDigest: bytes('pcr digest', DIGEST_BYTES_MAX) },
  ],
  'get-time': [
    0x8019,
    {
      ...header,
      /** ms since the TPM started. The inner copies are never obfuscated, whatever the key's hierarchy. */
      time: u64,
      innerClockInfo: tpmsClockInfo,
      innerFirmwareVersion: u64,
    },
  ],
  certify: [
    0x8017,
    {
      ...header,
      name: bytes('certified name', NAME_BYTES_MAX),
      qualifiedName: bytes('qualified name', NAME_BYTES_MAX),
    },
  ],
  creation: [
    0x801a,
    {
      ...header,
      objectName: bytes('object name', NAME_BYTES_MAX),
      creationHash: bytes('creation hash', DIGEST_BYTES_MAX),
    },
  ],
  'nv-certify': [
    0x8014,
    {
      ...header,
      indexName: bytes('index name', NAME_BYTES_MAX),
      offset: u16,
      contents: bytes('nv contents', NV_CONTENTS_BYTES_MAX),
    },
  ],
  'nv-digest': [
    0x801c,
    {
      ...header,
      indexName: bytes('index name', NAME_BYTES_MAX),
      nvDigest: bytes('nv digest', DIGEST_BYTES_MAX),
    },
  ],
  'command-audit': [
    0x8015,
    {
      ...header,
      auditCounter: u64,
      digestAlg: u16,
      auditDigest: bytes('audit digest', DIGEST_BYTES_MAX),
      commandDigest: bytes('command digest', DIGEST_BYTES_MAX),
    },
  ],
  'session-audit': [
    0x8016,
    {
      ...header,
      exclusiveSession: yesNo('exclusive session'),
      sessionDigest: bytes('session digest', DIGEST_BYTES_MAX),
    },
  ],
});

/** A statement of the TPM's, told apart by `type`. True only after its signature was verified. */
export type Attest = ValueOf<typeof attested>;
/** By TPM2_Quote: the digest of the selected PCRs. */
export type QuoteAttest = Extract<Attest, { type: 'quote' }>;
/** By TPM2_GetTime: clock, time and counts. */
export type GetTimeAttest = Extract<Attest, { type: 'get-time' }>;
/** By TPM2_Certify: name and qualified name of an object in the same TPM. */
export type CertifyAttest = Extract<Attest, { type: 'certify' }>;
/** By TPM2_CertifyCreation: an object's name and the hash of its creation data. */
export type CreationAttest = Extract<Attest, { type: 'creation' }>;
/** By TPM2_NV_Certify: contents of an NV index. */
export type NvCertifyAttest = Extract<Attest, { type: 'nv-certify' }>;
/** By TPM2_NV_Certify without a size: the digest of an NV index's contents. */
export type NvDigestAttest = Extract<Attest, { type: 'nv-digest' }>;
/** By TPM2_GetCommandAuditDigest. */
export type CommandAuditAttest = Extract<Attest, { type: 'command-audit' }>;
/** By TPM2_GetSessionAuditDigest. */
export type SessionAuditAttest = Extract<Attest, { type: 'session-audit' }>;

/** TPMS_ATTEST (TPM 2.0 Part 2, 10.12.12). */
export const tpmsAttest: Codec<Attest> = {
  read(reader) {
    const magic = reader.u32();
    if (magic !== TPM_GENERATED)
      throw invalid(`attestation magic: got 0x${magic.toString(16)}, want 0xff544347`);
    return attested.read(reader);
  },
  write: (writer, value) => attested.write(writer.u32(TPM_GENERATED), value),
};

/**
 * Parses TPMS_ATTEST. Nothing in it is true before the signature over these very bytes is checked. Throws
 * `TPM_STRUCTURE_INVALID` or `TPM_STRUCTURE_UNSUPPORTED`.
 */
export function parseAttest(bytes: Uint8Array): Attest {
  return decode('attestation', tpmsAttest, bytes);
}

/** TPMS_ATTEST bytes, for tests and tools: what a verifier checks is always the bytes it received. */
export function encodeAttest(attest: Attest): Uint8Array {
  return encode(tpmsAttest, attest);
}
