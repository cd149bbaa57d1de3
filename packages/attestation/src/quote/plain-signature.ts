import { ByteReader, CodedError } from '@nemea/core';
import { ALG, encodeSignature } from '@nemea/tpm/structures';
import { AttestationError } from '../errors.ts';
import type { CheckedSignature } from '../signature.ts';

const SCHEMES: readonly CheckedSignature['scheme'][] = ['ecdsa', 'rsassa', 'rsapss'];
const HASHES = { sha1: ALG.sha1, sha256: ALG.sha256, sha384: ALG.sha384, sha512: ALG.sha512 } as const;

/**
 * TPMT_SIGNATURE of a bare signature, as `tpm2_quote -f plain` and openssl write it: ECDSA-Sig-Value in DER, or one RSA
 * number. Since bare bytes do not say it, `kind` names scheme and hash, such as `rsapss-sha256`. Throws `SIGNATURE_INVALID`.
 */
export function fromPlainSignature(bytes: Uint8Array, kind: string): Uint8Array {
  const [first, second] = kind.split('-', 2);
  const scheme = SCHEMES.find((it) => it === first);
  const name = (Object.keys(HASHES) as (keyof typeof HASHES)[]).find((it) => it === second);
  if (scheme === undefined || name === undefined || kind !== `${scheme}-${name}`) {
    throw invalid(`got kind ${kind}, want ecdsa, rsassa or rsapss with a hash, such as ecdsa-sha256`);
  }
  const hashAlg = HASHES[name];
  try {
    if (scheme !== 'ecdsa') return encodeSignature({ scheme, hashAlg, signature: bytes });
    return encodeSignature({ scheme, hashAlg, ...readDer(bytes) });
  } catch (cause) {
    if (cause instanceof AttestationError || !(cause instanceof CodedError)) throw cause;
    throw invalid(cause.message, cause);
  }
}

/** ECDSA-Sig-Value (RFC 3279, 2.2.3). */
function readDer(bytes: Uint8Array): { r: Uint8Array; s: Uint8Array } {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== 0x30) throw invalid('an ECDSA signature is not DER');
  const first = reader.u8();
  const length = first === 0x81 ? reader.u8() : first;
  if (length !== reader.remaining) throw invalid(`DER: got ${reader.remaining} bytes, want ${length}`);
  const [r, s] = [readInteger(reader), readInteger(reader)];
  reader.end();
  return { r, s };
}

function readInteger(reader: ByteReader): Uint8Array {
  if (reader.u8() !== 0x02) throw invalid('an ECDSA signature is not two DER integers');
  const content = reader.bytes(reader.u8());
  return content.length > 1 && content[0] === 0 ? content.subarray(1) : content;
}

function invalid(message: string, cause?: unknown): AttestationError {
  return new AttestationError('SIGNATURE_INVALID', `signature: ${message}`, { cause });
}
