import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';
import { concatBytes, fromHex } from '@nemea/core';
import { CapsuleError } from './errors.ts';

export const KEY_BYTES = 32;
/** PrivateKeyInfo and SubjectPublicKeyInfo of RFC 8410, in front of the 32 bytes. */
const PKCS8_PREFIX = fromHex('302e020100300506032b656e04220420');
const SPKI_PREFIX = fromHex('302a300506032b656e032100');

/** The public key of an X25519 private key. Throws `RECEIVER_KEY_INVALID`. */
export function publicKeyOf(privateKey: Uint8Array): Uint8Array {
  const publicKey = createPublicKey(toPrivate(privateKey));
  const der = publicKey.export({ format: 'der', type: 'spki' });
  return new Uint8Array(der.subarray(SPKI_PREFIX.length));
}

/** The shared point (RFC 7748, section 6.1). OpenSSL refuses one that is all zero, as a key of low order gives. */
export function agree(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array {
  const shared = diffieHellman({ privateKey: toPrivate(privateKey), publicKey: toPublic(publicKey) });
  return new Uint8Array(shared);
}

/** Throws `RECEIVER_KEY_INVALID`. */
export function requireKeyLength(key: Uint8Array): void {
  if (key.length !== KEY_BYTES) {
    throw new CapsuleError('RECEIVER_KEY_INVALID', `key: got ${key.length} bytes, want ${KEY_BYTES}`);
  }
}

function toPrivate(key: Uint8Array): KeyObject {
  requireKeyLength(key);
  const der = Buffer.from(concatBytes(PKCS8_PREFIX, key));
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}

function toPublic(key: Uint8Array): KeyObject {
  requireKeyLength(key);
  const der = Buffer.from(concatBytes(SPKI_PREFIX, key));
  return createPublicKey({ key: der, format: 'der', type: 'spki' });
}
