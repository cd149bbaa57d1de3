import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import type { CoseAlgorithm, CoseSigner, CoseVerifier } from '@nemea/attestation/ear';
import { AttestationError, parseSigningKey } from '@nemea/attestation/quote';
import { CodedError } from '@nemea/core';
import { CURVE } from '@nemea/tpm/structures';
import { readFile } from '../files.ts';

export class KeyError extends CodedError<'KEY_UNREADABLE'> {}

const KEY_BYTES_MAX = 1 << 16;
const BY_CURVE: ReadonlyMap<number, CoseAlgorithm> = new Map([
  [CURVE.p256, 'es256'],
  [CURVE.p384, 'es384'],
]);
const BY_CURVE_NAME: ReadonlyMap<string | undefined, CoseAlgorithm> = new Map([
  ['prime256v1', 'es256'],
  ['secp384r1', 'es384'],
]);
const HASH = { es256: 'sha256', es384: 'sha384' } as const;

/** Who signs by a private key in a file: PKCS#8 or SEC 1, in PEM. Throws `KEY_UNREADABLE`, without a word of the key. */
export function readSigner(path: string): CoseSigner {
  const key = readPrivateKey(path);
  const algorithm = BY_CURVE_NAME.get(key.asymmetricKeyDetails?.namedCurve);
  if (algorithm === undefined) throw unreadable(path, 'want a private key on P-256 or P-384');
  return {
    algorithm,
    sign: async (message) =>
      new Uint8Array(sign(HASH[algorithm], message, { key, dsaEncoding: 'ieee-p1363' })),
  };
}

function readPrivateKey(path: string): KeyObject {
  const pem = readFile(path, { bytesMax: KEY_BYTES_MAX, code: 'FILE_UNREADABLE' });
  try {
    return createPrivateKey(Buffer.from(pem));
  } catch {
    throw unreadable(path, 'want a private key in PEM that is not encrypted');
  } finally {
    pem.fill(0);
  }
}

/** Whose signatures count: a public key or certificate in a file. Throws `KEY_UNREADABLE`. */
export function readVerifier(path: string): CoseVerifier {
  const bytes = readFile(path, { bytesMax: KEY_BYTES_MAX });
  try {
    const key = parseSigningKey(bytes);
    const algorithm = key.type === 'ecc' ? BY_CURVE.get(key.curve) : undefined;
    if (key.type === 'ecc' && algorithm !== undefined) return { algorithm, publicKey: key.point };
  } catch (cause) {
    if (cause instanceof AttestationError) throw unreadable(path, cause.message);
    throw cause;
  }
  throw unreadable(path, 'want a public key on P-256 or P-384');
}

function unreadable(path: string, why: string): KeyError {
  return new KeyError('KEY_UNREADABLE', `${path}: ${why}`);
}
