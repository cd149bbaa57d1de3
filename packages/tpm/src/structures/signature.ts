import { concatBytes } from '@nemea/core';
import { TpmError } from '../errors.ts';
import { ALG, hashBytes } from './algorithms.ts';
import { leftPad } from './buffer.ts';
import {
  bytes,
  type Codec,
  decode,
  encode,
  type Fields,
  orUnknown,
  rest,
  u16,
  union,
  unsupported,
  type ValueOf,
} from './codec.ts';
import { COORDINATE_BYTES_MAX, MODULUS_BYTES_MAX } from './public-area.ts';

// The narrowest that `rs` gets: P-256.
const SCALAR_BYTES_MIN = 32;

/** TPMT_HA: a hash algorithm and a digest of just its size. */
export interface HashValue {
  readonly hashAlg: number;
  readonly digest: Uint8Array;
}

/** TPMT_HA: a hash algorithm and a digest of its length. */
export const tpmtHa: Codec<HashValue> = {
  read(reader) {
    const hashAlg = reader.u16();
    return { hashAlg, digest: reader.bytes(digestBytes(hashAlg)) };
  },
  write(writer, { hashAlg, digest }) {
    u16.write(writer, hashAlg);
    if (digest.length !== digestBytes(hashAlg))
      throw new TpmError(
        'TPM_ARGUMENT_INVALID',
        `digest: got ${digest.length} bytes, want ${digestBytes(hashAlg)}`,
      );
    writer.bytes(digest);
  },
};

/** TPMT_HA where TPM_ALG_NULL may stand: `undefined`. */
export const tpmtHaOrNull: Codec<HashValue | undefined> = {
  read(reader) {
    const hashAlg = reader.u16();
    return hashAlg === ALG.null ? undefined : { hashAlg, digest: reader.bytes(digestBytes(hashAlg)) };
  },
  write(writer, value) {
    if (value === undefined) writer.u16(ALG.null);
    else tpmtHa.write(writer, value);
  },
};

function digestBytes(hashAlg: number): number {
  const size = hashBytes(hashAlg);
  if (size === undefined) throw unsupported('hash algorithm', hashAlg);
  return size;
}

const rsa = { hashAlg: u16, signature: bytes('rsa signature', MODULUS_BYTES_MAX) } satisfies Fields;
const ecc = {
  hashAlg: u16,
  r: bytes('signature r', COORDINATE_BYTES_MAX, 1),
  s: bytes('signature s', COORDINATE_BYTES_MAX, 1),
} satisfies Fields;

/** TPMT_SIGNATURE (TPM 2.0 Part 2, 11.3.4). */
export const tpmtSignature = union('signature scheme', 'scheme', {
  /** What a command answers that was told to sign with TPM_RH_NULL. */
  null: [ALG.null, {}],
  rsassa: [ALG.rsassa, rsa],
  rsapss: [ALG.rsapss, rsa],
  ecdsa: [ALG.ecdsa, ecc],
  sm2: [ALG.sm2, ecc],
  ecschnorr: [ALG.ecschnorr, ecc],
  /** `k` stands where others have r, and the challenge hashes it exactly as the TPM returned it. */
  ecdaa: [
    ALG.ecdaa,
    {
      hashAlg: u16,
      k: bytes('signature k', COORDINATE_BYTES_MAX),
      s: bytes('signature s', COORDINATE_BYTES_MAX),
    },
  ],
  hmac: [ALG.hmac, { hmac: tpmtHa }],
});

/** TPMT_SIGNATURE as a value, of a scheme that this package knows. */
export type Signature = ValueOf<typeof tpmtSignature>;

/** TPMT_SIGNATURE of any scheme that a TPM may have. */
export const tpmtAnySignature = orUnknown('signature', 'scheme', tpmtSignature, {
  algorithm: u16,
  body: rest,
});
/** The same of any scheme: an unknown one has its bytes. */
export type AnySignature = ValueOf<typeof tpmtAnySignature>;
/** A signature of a scheme that this package does not know, with its bytes. */
export type UnknownSignature = Extract<AnySignature, { scheme: 'unknown' }>;

/** RSASSA-PKCS1-v1_5 or RSAPSS; as long as the modulus when it is good. */
export type RsaSignature = Extract<Signature, { scheme: 'rsassa' | 'rsapss' }>;
/** ECDAA: k and s, as the TPM gave them. */
export type EcdaaSignature = Extract<Signature, { scheme: 'ecdaa' }>;
/**
 * `rs`: both numbers left-padded to one width, 32 bytes at least; for P-256 the IEEE P1363 form. The curve is the key's.
 * ECDSA is malleable: never an identifier.
 */
export type EcdsaSignature = Extract<Signature, { scheme: 'ecdsa' }> & { readonly rs: Uint8Array };
/** What `parseSignature` gives. */
export type TpmSignature = Exclude<Signature, { scheme: 'ecdsa' }> | EcdsaSignature;

/** Parses TPMT_SIGNATURE. Throws `TPM_STRUCTURE_INVALID` or `TPM_STRUCTURE_UNSUPPORTED`. */
export function parseSignature(bytes: Uint8Array): TpmSignature {
  const signature = decode('signature', tpmtSignature, bytes);
  if (signature.scheme !== 'ecdsa') return signature;
  const { r, s } = signature;
  const width = Math.max(SCALAR_BYTES_MIN, r.length, s.length);
  return { ...signature, rs: concatBytes(leftPad(r, width), leftPad(s, width)) };
}

/** TPMT_SIGNATURE bytes: the inverse of `parseSignature`. */
export function encodeSignature(signature: AnySignature): Uint8Array {
  return encode(tpmtAnySignature, signature);
}
