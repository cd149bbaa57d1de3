import { createPrivateKey, createPublicKey } from 'node:crypto';
import { Aes256Gcm, CipherSuite, HkdfSha256 } from '@hpke/core';
import { DhkemX25519HkdfSha256 } from '@hpke/dhkem-x25519';
import { concatBytes, fromHex } from '@nemea/core';
import { CapsuleError } from './errors.ts';

/** HPKE (RFC 9180), base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. */
const suite = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Aes256Gcm(),
});

const KEY_BYTES = 32;
const NO_AAD = new Uint8Array(0);

/** An encapsulated key, and a secret sealed under it. */
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
}

export interface OpenWithKeyOptions {
  readonly stanza: Stanza;
  readonly info: Uint8Array;
  readonly aad?: Uint8Array;
}

export async function generateReceiverKey(): Promise<ReceiverKey> {
  const pair = await suite.kem.generateKeyPair();
  return {
    publicKey: new Uint8Array(await suite.kem.serializePublicKey(pair.publicKey)),
    privateKey: new Uint8Array(await suite.kem.serializePrivateKey(pair.privateKey)),
  };
}

/** Throws `RECEIVER_KEY_INVALID` for a key that is not X25519, or of low order. */
export async function sealToKey(publicKey: Uint8Array, options: SealToKeyOptions): Promise<Stanza> {
  const { plaintext, info, aad = NO_AAD } = options;
  requireKeyLength(publicKey);
  try {
    const recipientPublicKey = await suite.kem.deserializePublicKey(toBuffer(publicKey));
    const sealed = await suite.seal(
      { recipientPublicKey, info: toBuffer(info) },
      toBuffer(plaintext),
      toBuffer(aad),
    );
    return { enc: new Uint8Array(sealed.enc), ciphertext: new Uint8Array(sealed.ct) };
  } catch (cause) {
    throw new CapsuleError('RECEIVER_KEY_INVALID', 'the key cannot be sealed to', { cause });
  }
}

/** Throws `STANZA_INVALID` when the secret was sealed to another key or for another purpose, or was changed. */
export async function openWithKey(privateKey: Uint8Array, options: OpenWithKeyOptions): Promise<Uint8Array> {
  const { stanza, info, aad = NO_AAD } = options;
  requireKeyLength(privateKey);
  const recipientKey = await importPrivateKey(privateKey);
  try {
    const plain = await suite.open(
      { recipientKey, enc: toBuffer(stanza.enc), info: toBuffer(info) },
      toBuffer(stanza.ciphertext),
      toBuffer(aad),
    );
    return new Uint8Array(plain);
  } catch (cause) {
    throw new CapsuleError('STANZA_INVALID', 'sealed to another key or for another purpose, or changed', {
      cause,
    });
  }
}

async function importPrivateKey(privateKey: Uint8Array): Promise<CryptoKey> {
  try {
    return await suite.kem.deserializePrivateKey(toBuffer(privateKey));
  } catch (cause) {
    throw new CapsuleError('RECEIVER_KEY_INVALID', 'not an X25519 private key', { cause });
  }
}

function requireKeyLength(key: Uint8Array): void {
  if (key.length !== KEY_BYTES) {
    throw new CapsuleError('RECEIVER_KEY_INVALID', `key: got ${key.length} bytes, want ${KEY_BYTES}`);
  }
}

/** The library takes a view's whole buffer in places, so it gets a buffer of its own. */
function toBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

// PrivateKeyInfo of RFC 8410 in front of the 32 bytes, and SubjectPublicKeyInfo likewise.
const PKCS8_PREFIX = fromHex('302e020100300506032b656e04220420');
const SPKI_PREFIX_BYTES = 12;

/** The public key of an X25519 private key. Throws `RECEIVER_KEY_INVALID`. */
export function publicKeyOf(privateKey: Uint8Array): Uint8Array {
  requireKeyLength(privateKey);
  const der = Buffer.from(concatBytes(PKCS8_PREFIX, privateKey));
  const publicKey = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  der.fill(0);
  return new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX_BYTES));
}
