import { hmacSha256, sha256 } from '@nemea/core';
import { fromScalar, ORDER, SCALAR_BYTES, toScalar } from './curve.ts';

/** The deterministic nonce of RFC 6979 section 3.2 for P-256 and SHA-256 (RFC 9381 section 5.4.2.1). */
export function deriveNonce(secret: Uint8Array, message: Uint8Array): bigint {
  const hash = fromScalar(toScalar(sha256(message)) % ORDER, SCALAR_BYTES);
  let value: Uint8Array = new Uint8Array(32).fill(0x01);
  let key: Uint8Array = new Uint8Array(32);
  for (const round of [0x00, 0x01]) {
    key = hmacSha256(key, value, Uint8Array.of(round), secret, hash);
    value = hmacSha256(key, value);
  }
  // A candidate is out of range once in about 2^32 tries, so this loop ends at once.
  for (;;) {
    value = hmacSha256(key, value);
    const candidate = toScalar(value);
    if (candidate > 0n && candidate < ORDER) return candidate;
    key = hmacSha256(key, value, Uint8Array.of(0x00));
    value = hmacSha256(key, value);
  }
}
