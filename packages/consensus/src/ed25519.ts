/**
 * Ed25519 by node:crypto for the rim: what `VerifySignature` and `Sign` ask for. Importing a key costs as much as a
 * check, so the imported keys are kept, up to a bound.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { toHex } from '@nemea/core';
import type { Sign, VerifySignature } from './authenticate.ts';

const KEYS_MAX = 1024;
/** DER before a raw 32-byte seed (RFC 8410, PKCS #8). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** A verifier with a cache of its own. A key that is no Ed25519 key verifies nothing. */
export function createEd25519Verifier(): VerifySignature {
  const keys = new Map<string, KeyObject>();
  return (publicKey, message, signature) => {
    if (publicKey.length !== 32 || signature.length !== 64) return false;
    const name = toHex(publicKey);
    let key = keys.get(name);
    if (key === undefined) {
      key = importPublicKey(publicKey);
      const oldest = keys.keys().next();
      if (keys.size >= KEYS_MAX && oldest.done !== true) keys.delete(oldest.value);
      keys.set(name, key);
    }
    return verify(null, message, key, signature);
  };
}

/** Signs with a 32-byte seed; also tells the public key. */
export function createEd25519Signer(seed: Uint8Array): { publicKey: Uint8Array; sign: Sign } {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
  const { x } = createPublicKey(key).export({ format: 'jwk' });
  if (x === undefined) throw new Error('assertion failed: an Ed25519 key has a public part');
  return {
    publicKey: new Uint8Array(Buffer.from(x, 'base64url')),
    sign: (message) => new Uint8Array(sign(null, message, key)),
  };
}

function importPublicKey(publicKey: Uint8Array): KeyObject {
  const x = Buffer.from(publicKey).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}
