import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { assert, concatBytes, fromUtf8 } from '@nemea/core';
import { agree, publicKeyOf } from './x25519.ts';

/**
 * HPKE (RFC 9180), base mode, one message a key: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Synchronous and
 * with the ephemeral key as an argument, so that the same inputs give the same bytes (ADR 0071).
 */
const KEM = concatBytes(fromUtf8('KEM'), Uint8Array.of(0x00, 0x20));
const SUITE = concatBytes(fromUtf8('HPKE'), Uint8Array.of(0x00, 0x20, 0x00, 0x01, 0x00, 0x02));
const VERSION = fromUtf8('HPKE-v1');
const MODE_BASE = Uint8Array.of(0x00);
const NONE = new Uint8Array(0);
const HASH_BYTES = 32;
const AEAD_KEY_BYTES = 32;
const AEAD_NONCE_BYTES = 12;
const AEAD_TAG_BYTES = 16;

export interface HpkeMessage {
  readonly info: Uint8Array;
  readonly aad: Uint8Array;
}

/** RFC 9180, section 6.1: SealBase. `ephemeralKey` is 32 random bytes that are used for nothing else. */
export function sealBase(
  publicKey: Uint8Array,
  plaintext: Uint8Array,
  { info, aad, ephemeralKey }: HpkeMessage & { readonly ephemeralKey: Uint8Array },
): { enc: Uint8Array; ciphertext: Uint8Array } {
  const enc = publicKeyOf(ephemeralKey);
  const { key, nonce } = keySchedule(sharedSecret(agree(ephemeralKey, publicKey), enc, publicKey), info);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(aad);
  const ciphertext = concatBytes(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
  key.fill(0);
  return { enc, ciphertext };
}

/** RFC 9180, section 6.1: OpenBase. Throws for anything that was not sealed to this key and for this info and aad. */
export function openBase(
  privateKey: Uint8Array,
  { enc, ciphertext }: { readonly enc: Uint8Array; readonly ciphertext: Uint8Array },
  { info, aad }: HpkeMessage,
): Uint8Array {
  const secret = sharedSecret(agree(privateKey, enc), enc, publicKeyOf(privateKey));
  const { key, nonce } = keySchedule(secret, info);
  const end = ciphertext.length - AEAD_TAG_BYTES;
  const options = { authTagLength: AEAD_TAG_BYTES };
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, options).setAAD(aad);
  key.fill(0);
  decipher.setAuthTag(ciphertext.subarray(Math.max(0, end)));
  const plain = decipher.update(ciphertext.subarray(0, Math.max(0, end)));
  try {
    decipher.final();
    return new Uint8Array(plain);
  } finally {
    plain.fill(0);
  }
}

/** RFC 9180, section 4.1: ExtractAndExpand over the shared point, which it wipes. */
export function sharedSecret(point: Uint8Array, enc: Uint8Array, publicKey: Uint8Array): Uint8Array {
  const prk = extract(KEM, NONE, 'eae_prk', point);
  point.fill(0);
  const shared = expand(KEM, prk, 'shared_secret', { info: concatBytes(enc, publicKey), bytes: HASH_BYTES });
  prk.fill(0);
  return shared;
}

/** RFC 9180, section 5.1: KeySchedule without a pre-shared key, for the first and only message. Wipes the shared secret. */
function keySchedule(shared: Uint8Array, info: Uint8Array): { key: Uint8Array; nonce: Uint8Array } {
  const context = concatBytes(
    MODE_BASE,
    extract(SUITE, NONE, 'psk_id_hash', NONE),
    extract(SUITE, NONE, 'info_hash', info),
  );
  const secret = extract(SUITE, shared, 'secret', NONE);
  shared.fill(0);
  const key = expand(SUITE, secret, 'key', { info: context, bytes: AEAD_KEY_BYTES });
  const nonce = expand(SUITE, secret, 'base_nonce', { info: context, bytes: AEAD_NONCE_BYTES });
  secret.fill(0);
  return { key, nonce };
}

/** RFC 9180, section 4: LabeledExtract. */
function extract(suite: Uint8Array, salt: Uint8Array, label: string, keyMaterial: Uint8Array): Uint8Array {
  const labelled = concatBytes(VERSION, suite, fromUtf8(label), keyMaterial);
  return new Uint8Array(createHmac('sha256', salt).update(labelled).digest());
}

/** RFC 9180, section 4: LabeledExpand. Nothing here needs more than the first block of HKDF-Expand (RFC 5869). */
function expand(
  suite: Uint8Array,
  key: Uint8Array,
  label: string,
  { info, bytes }: { info: Uint8Array; bytes: number },
): Uint8Array {
  assert(bytes <= HASH_BYTES, 'one block of HKDF-Expand suffices');
  const labelled = concatBytes(Uint8Array.of(0, bytes), VERSION, suite, fromUtf8(label), info);
  const block = createHmac('sha256', key).update(labelled).update(Uint8Array.of(1)).digest();
  return new Uint8Array(block.subarray(0, bytes));
}
