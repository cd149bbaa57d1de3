import type { KeyObject } from 'node:crypto';
import { compareBytes } from '@nemea/core';
import {
  ALG,
  type EccPublicArea,
  type EcdsaSignature,
  type RsaPublicArea,
  type RsaSignature,
  type TpmSignature,
} from '@nemea/tpm/structures';
import { toDer } from './ecdsa-der.ts';
import { AttestationError } from './errors.ts';
import { nativeCrypto } from './native-crypto.ts';
import { CURVES, saltLengths, verifyPortable } from './portable-signature.ts';
import { type SigningHash, signingHash } from './quote/hash.ts';
import { bankName } from './quote/pcrs.ts';
import { type QuoteRefusal, refusal } from './quote/refusal.ts';
import { type SigningKey, signingKeyOf } from './quote/signing-key.ts';

/** A signature of a scheme that is checked here; ECDAA, SM2 and the others are not. */
export type CheckedSignature = EcdsaSignature | RsaSignature;

type NodeCrypto = NonNullable<typeof nativeCrypto>;

const MODULUS_BYTES_MIN = 256;
const EXPONENT_MIN = 65537;
const LARGEST_SCALARS = new Map(
  [...CURVES].map(([id, { Point }]) => [id, Point.Fn.toBytes(Point.Fn.ORDER - 1n)] as const),
);

/**
 * Why a TPM's signature over `message` does not count; null when it does. The message is the received bytes, never a
 * re-encoding. Of ECDSA high and low s both pass, as TPMs return both [QUO-5]. SHA-1 is refused unless asked for [QUO-4].
 */
export function refuseSignature(
  key: SigningKey,
  signature: TpmSignature,
  message: Uint8Array,
  options: { readonly acceptSha1?: boolean | undefined } = {},
): QuoteRefusal | null {
  const hash = isChecked(signature) && fits(key, signature) ? signingHash(signature.hashAlg) : undefined;
  if (hash === undefined || !isChecked(signature)) {
    const got =
      'hashAlg' in signature ? `${signature.scheme} with ${bankName(signature.hashAlg)}` : signature.scheme;
    return refusal('SIGNATURE_SCHEME_WRONG', `got ${got}, which is not what the ${key.type} key signs by`);
  }
  if (signature.hashAlg === ALG.sha1 && options.acceptSha1 !== true) {
    return refusal(
      'SIGNATURE_HASH_WEAK',
      'got SHA-1, for which collisions are found; want SHA-256 or longer',
    );
  }
  const isWeak =
    key.type === 'rsa' &&
    (key.modulus.length < MODULUS_BYTES_MIN ||
      (key.modulus[0] as number) < 0x80 ||
      key.exponent < EXPONENT_MIN);
  if (isWeak) {
    return refusal(
      'KEY_WEAK',
      `got RSA-${8 * key.modulus.length}, exponent ${key.exponent}; want 2048, 65537 at least`,
    );
  }
  if (!isInRange(key, signature)) {
    return refusal('SIGNATURE_OUT_OF_RANGE', 'a number of the signature is zero, or too large for the key');
  }
  const holds = nativeCrypto === undefined ? verifyPortable : verifyNative;
  if (!holds(key, signature, hash, message))
    return refusal('SIGNATURE_WRONG', 'not by this key over these bytes');
  return null;
}

/** Whether it is of a scheme that is checked here. */
export function isChecked(signature: TpmSignature): signature is CheckedSignature {
  return signature.scheme === 'ecdsa' || signature.scheme === 'rsassa' || signature.scheme === 'rsapss';
}

const keysOfAreas = new WeakMap<EccPublicArea | RsaPublicArea, SigningKey>();

/** Whether the key of a public area signed `message`; false for a template and for a point off the curve. */
export function verifyTpmSignature(
  area: EccPublicArea | RsaPublicArea,
  signature: TpmSignature,
  message: Uint8Array,
): boolean {
  let key = keysOfAreas.get(area);
  if (key === undefined) {
    try {
      key = signingKeyOf(area);
    } catch (error) {
      if (error instanceof AttestationError) return false; // no key in it verifies nothing
      throw error;
    }
    keysOfAreas.set(area, key);
  }
  return refuseSignature(key, signature, message) === null;
}

/** Whether the scheme is the key's own, or one of its type where the key demands none [QUO-3]. */
function fits(key: SigningKey, { scheme, hashAlg }: CheckedSignature): boolean {
  if ((scheme === 'ecdsa') !== (key.type === 'ecc')) return false;
  if (key.scheme === undefined) return true;
  return key.scheme.scheme === scheme && key.scheme.hashAlg === hashAlg;
}

function isInRange(key: SigningKey, signature: CheckedSignature): boolean {
  if (key.type === 'rsa') {
    return signature.scheme !== 'ecdsa' && signature.signature.length === key.modulus.length;
  }
  const largest = LARGEST_SCALARS.get(key.curve);
  if (largest === undefined || signature.scheme !== 'ecdsa') return false;
  return isScalar(signature.r, largest) && isScalar(signature.s, largest);
}

/** Whether a big-endian number, padded on the left or not, is in 1..largest. */
function isScalar(value: Uint8Array, largest: Uint8Array): boolean {
  let start = 0;
  while (start < value.length && value[start] === 0) start++;
  const length = value.length - start;
  if (length !== largest.length) return length > 0 && length < largest.length;
  return compareBytes(start === 0 ? value : value.subarray(start), largest) <= 0;
}

/** Importing a key costs as much as checking a signature with it, so each is imported once. */
const importedKeys = new WeakMap<SigningKey, KeyObject>();

function verifyNative(
  key: SigningKey,
  signature: CheckedSignature,
  hash: SigningHash,
  message: Uint8Array,
): boolean {
  const crypto = nativeCrypto as NodeCrypto;
  const imported = importedKeys.get(key) ?? importKey(crypto, key);
  if (imported === null) return false;
  switch (signature.scheme) {
    case 'ecdsa':
      // DER, because Node takes a key beside options half again as long as a bare key.
      return crypto.verify(hash.name, message, imported, toDer(signature));
    case 'rsassa':
      return crypto.verify(hash.name, message, imported, signature.signature);
    case 'rsapss': {
      const padding = crypto.constants.RSA_PKCS1_PSS_PADDING;
      return saltLengths(hash, signature).some((saltLength) =>
        crypto.verify(hash.name, message, { key: imported, padding, saltLength }, signature.signature),
      );
    }
  }
}

function importKey(crypto: NodeCrypto, key: SigningKey): KeyObject | null {
  try {
    const imported = crypto.createPublicKey({ key: Buffer.from(key.spki), format: 'der', type: 'spki' });
    importedKeys.set(key, imported);
    return imported;
  } catch {
    return null; // a point that is not on the curve: such a key verifies nothing
  }
}
