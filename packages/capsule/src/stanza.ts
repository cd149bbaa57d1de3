import { CapsuleError } from './errors.ts';
import { openBase, sealBase } from './hpke.ts';
import { type Random, systemRandom } from './random.ts';
import { KEY_BYTES, publicKeyOf, requireKeyLength } from './x25519.ts';

const NO_AAD = new Uint8Array(0);

/** An encapsulated key, and a secret sealed under it (HPKE, RFC 9180). */
export interface Stanza {
  readonly enc: Uint8Array;
  readonly ciphertext: Uint8Array;
}

export interface ReceiverKey {
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
}

export interface SealToKeyOptions {
  readonly plaintext: Uint8Array;
  /** What the secret is for: it opens only when the receiver names the same. */
  readonly info: Uint8Array;
  readonly aad?: Uint8Array;
  readonly random?: Random;
}

export interface OpenWithKeyOptions {
  readonly stanza: Stanza;
  readonly info: Uint8Array;
  readonly aad?: Uint8Array;
}

export function generateReceiverKey(random: Random = systemRandom): ReceiverKey {
  const privateKey = random(KEY_BYTES);
  return { publicKey: publicKeyOf(privateKey), privateKey };
}

/** Throws `RECEIVER_KEY_INVALID` for a key that is not X25519, or of low order. */
export function sealToKey(publicKey: Uint8Array, options: SealToKeyOptions): Stanza {
  const { plaintext, info, aad = NO_AAD, random = systemRandom } = options;
  requireKeyLength(publicKey);
  const ephemeralKey = random(KEY_BYTES);
  try {
    return sealBase(publicKey, plaintext, { info, aad, ephemeralKey });
  } catch (cause) {
    throw new CapsuleError('RECEIVER_KEY_INVALID', 'the key cannot be sealed to', { cause });
  } finally {
    ephemeralKey.fill(0);
  }
}

/** Throws `STANZA_INVALID` when the secret was sealed to another key or for another purpose, or was changed. */
export function openWithKey(privateKey: Uint8Array, options: OpenWithKeyOptions): Uint8Array {
  const { stanza, info, aad = NO_AAD } = options;
  requireKeyLength(privateKey);
  try {
    return openBase(privateKey, stanza, { info, aad });
  } catch (cause) {
    throw new CapsuleError('STANZA_INVALID', 'sealed to another key or for another purpose, or changed', {
      cause,
    });
  }
}
