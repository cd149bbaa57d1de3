import { type ByteReader, concatBytes } from '@nemea/core';
import { TpmError } from '../errors.ts';
import { ALG, hex16 } from './algorithms.ts';
import { invalid, parseWhole, readSized } from './buffer.ts';

/**
 * `r` and `s` left-padded to one width, 32 bytes at least; `rs` = both, for P-256 the IEEE P1363 form. The curve is the
 * key's. ECDSA is malleable: never an identifier.
 */
export interface EcdsaSignature {
  readonly scheme: 'ecdsa';
  readonly hashAlg: number;
  readonly r: Uint8Array;
  readonly s: Uint8Array;
  readonly rs: Uint8Array;
}

/** One number as long as the key's modulus. */
export interface RsaSignature {
  readonly scheme: 'rsassa' | 'rsapss';
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

export type TpmSignature = EcdsaSignature | RsaSignature | EcdaaSignature;

const P256_BYTES = 32;
const SCALAR_BYTES_MAX = 66;
const RSA_BYTES_MAX = 512;

/** Parses TPMT_SIGNATURE (TPM 2.0 Part 2, 11.3.4); ECDAA is P-256 alone. */
export function parseSignature(bytes: Uint8Array): TpmSignature {
  return parseWhole('signature', bytes, readSignature);
}

function readSignature(reader: ByteReader): TpmSignature {
  const scheme = reader.u16();
  const hashAlg = reader.u16();
  switch (scheme) {
    case ALG.ecdsa: {
      const values = [readScalar(reader, 'signature r'), readScalar(reader, 'signature s')] as const;
      const width = Math.max(P256_BYTES, values[0].length, values[1].length);
      const r = leftPad(values[0], width);
      const s = leftPad(values[1], width);
      return { scheme: 'ecdsa', hashAlg, r, s, rs: concatBytes(r, s) };
    }
    case ALG.ecdaa:
      return {
        scheme: 'ecdaa',
        hashAlg,
        k: readSized(reader, 'signature k', P256_BYTES),
        s: leftPad(readSized(reader, 'signature s', P256_BYTES), P256_BYTES),
      };
    case ALG.rsassa:
      return rsaSignature('rsassa', hashAlg, reader);
    case ALG.rsapss:
      return rsaSignature('rsapss', hashAlg, reader);
    default:
      throw new TpmError('TPM_STRUCTURE_UNSUPPORTED', `signature scheme: got ${hex16(scheme)}`, {
        data: { scheme },
      });
  }
}

function readScalar(reader: ByteReader, name: string): Uint8Array {
  const value = readSized(reader, name, SCALAR_BYTES_MAX);
  if (value.length === 0) throw invalid(`${name}: empty`);
  return value;
}

function leftPad(value: Uint8Array, width: number): Uint8Array {
  if (value.length === width) return value;
  const padded = new Uint8Array(width);
  padded.set(value, width - value.length);
  return padded;
}

function rsaSignature(scheme: RsaSignature['scheme'], hashAlg: number, reader: ByteReader): RsaSignature {
  return { scheme, hashAlg, signature: readSized(reader, 'rsa signature', RSA_BYTES_MAX) };
}
