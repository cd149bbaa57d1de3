import { STRUCTURE_BYTES_MAX } from '../structures/buffer.ts';
import { bytes, optional, optionalBytes, sized } from '../structures/codec.ts';
import { tpmsSensitiveCreate } from '../structures/object.ts';

export { data, digest, name } from '../structures/object.ts';

import {
  DIGEST_BYTES_MAX,
  MODULUS_BYTES_MAX,
  tpmsEccPoint,
  tpmtAnyPublic,
} from '../structures/public-area.ts';

/** The TPM2B types that commands share (TPM 2.0 Part 2, 10.4 and on), each with the most that any TPM takes. */
const EMPTY = new Uint8Array(0);
const NAME_BYTES_MAX = 66;
const BUFFER_BYTES_MAX = 2048;
const SECRET_BYTES_MAX = MODULUS_BYTES_MAX;

export const optionalDigest = optionalBytes('digest', DIGEST_BYTES_MAX);
export const optionalData = optionalBytes('data', NAME_BYTES_MAX);
/** TPM2B_MAX_BUFFER and TPM2B_MAX_NV_BUFFER. */
export const buffer = bytes('buffer', BUFFER_BYTES_MAX);
export const sensitiveData = bytes('sensitive data', 256);
export const iv = bytes('iv', 16);
export const rsaNumber = bytes('rsa number', MODULUS_BYTES_MAX);
export const eccParameter = bytes('ecc parameter', 128);
export const eccPoint = sized('point', tpmsEccPoint);
export const encryptedSecret = bytes('encrypted secret', SECRET_BYTES_MAX);
export const privateArea = bytes('private area', BUFFER_BYTES_MAX);
/** Of any type: this TPM may know more than this package. */
export const publicArea = sized('public area', tpmtAnyPublic);
/** TPM2B_ATTEST stays bytes: they are what the signature covers. */
export const attestation = bytes('attestation', STRUCTURE_BYTES_MAX);
/** Absent: an empty password, and for a key no data. */
export const sensitiveCreate = optional(sized('sensitive area', tpmsSensitiveCreate), {
  userAuth: EMPTY,
  data: EMPTY,
});
