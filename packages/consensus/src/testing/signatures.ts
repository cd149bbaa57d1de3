import { bytesEqual, concatBytes, fromUtf8, sha256 } from '@nemea/core';
import type { Sign, VerifySignature } from '../authenticate.ts';

/**
 * Signatures for simulations that would otherwise spend their time in Ed25519. Anyone can forge them; the simulated
 * faults do not try to.
 */
export const verifyCheaply: VerifySignature = (publicKey, message, signature) =>
  bytesEqual(signature, signatureOf(publicKey, message));

export function createCheapSigner(id: string): { publicKey: Uint8Array; sign: Sign } {
  const publicKey = sha256(fromUtf8(`key of ${id}`));
  return { publicKey, sign: (message) => signatureOf(publicKey, message) };
}

function signatureOf(publicKey: Uint8Array, message: Uint8Array): Uint8Array {
  const half = sha256(publicKey, message);
  return concatBytes(half, half);
}
