import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concatBytes } from '@nemea/core';
import { kdfa } from './kdf.ts';

/** How a session hides a parameter: AES in CFB mode, or XOR with a mask of the session's hash. */
export type ParameterCipher = 'aes-128-cfb' | 'aes-256-cfb' | 'xor';

export interface ParameterKey {
  readonly cipher: ParameterCipher;
  readonly hashAlg: number;
  /** Session key, then the password of the handle the session authorises, if it authorises one. */
  readonly sessionValue: Uint8Array;
  readonly nonceNewer: Uint8Array;
  readonly nonceOlder: Uint8Array;
}

const IV_BITS = 128;

/** Encrypts the contents of a command's first parameter (TPM 2.0 Part 1, 21). The nonces make the key single-use. */
export function encryptParameter(key: ParameterKey, data: Uint8Array): Uint8Array {
  return transform(key, data, 'encrypt');
}

/** The inverse, for a response's first parameter. Says nothing about authenticity: check the response's HMAC first. */
export function decryptParameter(key: ParameterKey, data: Uint8Array): Uint8Array {
  return transform(key, data, 'decrypt');
}

function transform(key: ParameterKey, data: Uint8Array, direction: 'encrypt' | 'decrypt'): Uint8Array {
  if (data.length === 0) return data;
  if (key.cipher === 'xor') return applyMask(key, data);
  const keyBits = key.cipher === 'aes-128-cfb' ? 128 : 256;
  const derived = deriveKey(key, 'CFB', keyBits + IV_BITS);
  const iv = derived.subarray(keyBits / 8);
  const make = direction === 'encrypt' ? createCipheriv : createDecipheriv;
  const cipher = make(key.cipher, derived.subarray(0, keyBits / 8), iv);
  const result = concatBytes(cipher.update(data), cipher.final());
  derived.fill(0);
  return result;
}

/** TPM 2.0 Part 1, 11.4.6.3: a one-time pad of exactly the data's length. */
function applyMask(key: ParameterKey, data: Uint8Array): Uint8Array {
  const mask = deriveKey(key, 'XOR', 8 * data.length);
  const result = data.map((byte, i) => byte ^ (mask[i] as number));
  mask.fill(0);
  return result;
}

function deriveKey(key: ParameterKey, label: string, bits: number): Uint8Array {
  return kdfa(key.hashAlg, key.sessionValue, {
    label,
    contextU: key.nonceNewer,
    contextV: key.nonceOlder,
    bits,
  });
}
