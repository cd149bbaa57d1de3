import { hex16 } from './algorithms.ts';
import { NAME_BYTES_MAX } from './attest.ts';
import { invalid } from './buffer.ts';
import { bytes, type Codec, checked, list, struct, u8, u16, u32, type ValueOf } from './codec.ts';
import { tpmlPcrSelection } from './pcr-selection.ts';
import { DIGEST_BYTES_MAX } from './public-area.ts';
import { tpmtHa } from './signature.ts';

const SENSITIVE_BYTES_MAX = 512;
/** MAX_SYM_DATA is 128 or 256. */
const SENSITIVE_DATA_BYTES_MAX = 256;
const DIGESTS_MAX = 8;

/** TPM2B_DIGEST, TPM2B_AUTH, TPM2B_NONCE, TPM2B_OPERAND: a digest at most. */
export const digest = bytes('digest', DIGEST_BYTES_MAX);
/** TPM2B_DATA and TPM2B_NAME: a hash algorithm and a digest at most. */
export const data = bytes('data', NAME_BYTES_MAX);
export const name = bytes('name', NAME_BYTES_MAX);

/** TPML_DIGEST. */
export const tpmlDigest = list('digests', digest, DIGESTS_MAX);
/** TPML_DIGEST_VALUES: one digest for each bank. */
export const tpmlDigestValues = list('digest values', tpmtHa, 16);
/** TPML_ALG. */
export const tpmlAlg = list('algorithms', u16, 128);

/** TPM_ST of tickets. */
const TICKET = {
  creation: 0x8021,
  verified: 0x8022,
  authSecret: 0x8023,
  hashCheck: 0x8024,
  authSigned: 0x8025,
} as const;

/** A TPM's own note, by an HMAC, that it checked something (TPM 2.0 Part 2, 10.7). */
const ticket = struct({ tag: u16, hierarchy: u32, digest });
/**
 * The TPM's note to itself that it checked something; worthless elsewhere, and after a reset for the null hierarchy.
 */
export type Ticket = ValueOf<typeof ticket>;

function ticketOf(...tags: readonly number[]): Codec<Ticket> {
  return checked(ticket, ({ tag }) => {
    if (!tags.includes(tag)) throw invalid(`ticket: got ${hex16(tag)}`);
  });
}

/** TPMT_TK_CREATION: this TPM made an object with this creation data. */
export const tpmtTkCreation = ticketOf(TICKET.creation);
/** TPMT_TK_VERIFIED: this TPM found a signature good. */
export const tpmtTkVerified = ticketOf(TICKET.verified);
/** TPMT_TK_AUTH: PolicySigned or PolicySecret was satisfied. */
export const tpmtTkAuth = ticketOf(TICKET.authSecret, TICKET.authSigned);
/** TPMT_TK_HASHCHECK: the hashed data does not begin like a statement of the TPM's own. */
export const tpmtTkHashCheck = ticketOf(TICKET.hashCheck);

const RH_NULL = 0x40000007;

/** For keys that are not restricted: the digest did not come from the TPM. */
export const NULL_HASH_CHECK: Ticket = {
  tag: TICKET.hashCheck,
  hierarchy: RH_NULL,
  digest: new Uint8Array(0),
};

/** TPMS_SENSITIVE_CREATE. */
export const tpmsSensitiveCreate = struct({
  userAuth: digest,
  data: bytes('sensitive data', SENSITIVE_DATA_BYTES_MAX),
});

/** TPMT_SENSITIVE: every member of its union is a TPM2B. */
export const tpmtSensitive = struct({
  sensitiveType: u16,
  authValue: digest,
  seedValue: digest,
  sensitive: bytes('sensitive', SENSITIVE_BYTES_MAX),
});
/** The secret part of an object. */
export type Sensitive = ValueOf<typeof tpmtSensitive>;

/** TPMS_CREATION_DATA (TPM 2.0 Part 2, 15.1). */
export const tpmsCreationData = struct({
  pcrSelections: tpmlPcrSelection,
  pcrDigest: digest,
  /** TPMA_LOCALITY. */
  locality: u8,
  parentNameAlg: u16,
  parentName: name,
  parentQualifiedName: name,
  outsideInfo: data,
});
/** How an object came to be: PCRs, locality, parent, and what its maker wanted noted. */
export type CreationData = ValueOf<typeof tpmsCreationData>;
