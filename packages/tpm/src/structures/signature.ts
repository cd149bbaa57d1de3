import { type ByteReader, concatBytes } from '@nemea/core';
import { TpmError } from '../errors.ts';
import { ALG, hex16 } from './algorithms.ts';
import { invalid, parseWhole, readSized } from './buffer.ts';

/** P-256, `r` and `s` left-padded to 32 bytes, `rs` = both (IEEE P1363 form). ECDSA is malleable: never an identifier. */
export interface EcdsaSignature {
  readonly scheme: 'ecdsa';
  readonly hashAlg: number;
  readonly r: Uint8Array;
  readonly s: Uint8Array;
  readonly rs: Uint8Array;
}

export interface RsassaSignature {
  readonly scheme: 'rsassa';
  readonly hashAlg: number;
  readonly signature: Uint8Array;
}

/** `k` exactly as the TPM returned it, because the challenge hashes those very bytes. */
export interface EcdaaSignature {
  readonly scheme: 'ecdaa';
  readonly hashAlg: number;
  readonly k: Uint8Array;
  readonly s: Uint8Array;
}

export type TpmSignature = EcdsaSignature | RsassaSignature | EcdaaSignature;

const P256_BYTES = 32;
const RSA_BYTES_MAX = 512;

/** Parses TPMT_SIGNATURE (TPM 2.0 Part 2, 11.3.4); elliptic curve signatures must be P-256. */
export function parseSignature(bytes: Uint8Array): TpmSignature {
  return parseWhole('signature', bytes, readSignature);
}

function readSignature(reader: ByteReader): TpmSignature {
  const scheme = reader.u16();
  const hashAlg = reader.u16();
  switch (scheme) {
    case ALG.ecdsa: {
      const r = readScalar(reader, 'signature r');
      const s = readScalar(reader, 'signature s');
      return { scheme: 'ecdsa', hashAlg, r, s, rs: concatBytes(r, s) };
    }
    case ALG.ecdaa:
      return {
        scheme: 'ecdaa',
        hashAlg,
        k: readSized(reader, 'signature k', P256_BYTES),
        s: readScalar(reader, 'signature s'),
      };
    case ALG.rsassa:
      return { scheme: 'rsassa', hashAlg, signature: readSized(reader, 'rsa signature', RSA_BYTES_MAX) };
    default:
      throw new TpmError('TPM_STRUCTURE_UNSUPPORTED', `signature scheme: got ${hex16(scheme)}`, {
        data: { scheme },
      });
  }
}

function readScalar(reader: ByteReader, name: string): Uint8Array {
  const value = readSized(reader, name, P256_BYTES);
  if (value.length === 0) throw invalid(`${name}: empty`);
  const padded = new Uint8Array(P256_BYTES);
  padded.set(value, P256_BYTES - value.length);
  return padded;
}
