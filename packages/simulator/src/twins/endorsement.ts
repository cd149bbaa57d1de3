import { createDecipheriv, createECDH, createHash, createHmac } from 'node:crypto';
import { bytesEqual, concatBytes, fromUtf8, sha256 } from '@nemea/core';
import type { DeviceIdentity } from '@nemea/node/ports';
import { EK_TEMPLATES, encodePublicArea, parsePublicArea, toSpki } from '@nemea/tpm/structures';
import { endorse } from './certificate.ts';

const COORDINATE_BYTES = 32;
const MAC_BYTES = 32;
const IV_BYTES = 16;
const KEY_BITS = 128;
const HASH_BITS = 256;
const NOTHING = new Uint8Array(0);

type Credential = Parameters<DeviceIdentity['activateCredential']>[0];

/** A P-256 endorsement key of a TPM in memory, as template H-2 makes it. */
export interface EndorsementKey {
  /** TPMT_PUBLIC. */
  readonly publicArea: Uint8Array;
  /** DER: the certificate of its maker, then the maker's root. */
  readonly chain: readonly Uint8Array[];
  /** What `makeCredential` hid for the key of this name; undefined when it was hidden for another key or TPM. */
  activate(credential: Credential, keyName: Uint8Array): Uint8Array | undefined;
}

/** The endorsement key that follows from a TPM's name, with papers from a maker. */
export function endorsementKey(name: string, maker: string): EndorsementKey {
  const secret = sha256(fromUtf8(`ek ${name}`));
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(secret);
  const point = ecdh.getPublicKey();
  const template = parsePublicArea(EK_TEMPLATES['H-2'].template);
  if (template.type !== 'ecc') throw new TypeError('template H-2 is of an ECC key');
  const [x, y] = [point.subarray(1, 1 + COORDINATE_BYTES), point.subarray(1 + COORDINATE_BYTES)];
  const area = { ...template, x: Uint8Array.from(x), y: Uint8Array.from(y) };
  return {
    publicArea: encodePublicArea(area),
    chain: endorse(toSpki(area), maker),
    activate(credential, keyName) {
      const [peerX, rest] = sized(credential.encryptedSecret);
      const [peerY] = sized(rest);
      const z = ecdh.computeSecret(concatBytes(Uint8Array.of(4), peerX, peerY));
      return open(seedOf(z, peerX, area.x), credential.credentialBlob, keyName);
    },
  };
}

/** TPM 2.0 Part 1, 24.5: the credential is for one object, whose name is in its key and under its MAC. */
function open(seed: Uint8Array, credentialBlob: Uint8Array, keyName: Uint8Array): Uint8Array | undefined {
  const [mac, encrypted] = sized(credentialBlob);
  const macKey = kdfa(seed, 'INTEGRITY', NOTHING, HASH_BITS);
  const expected = createHmac('sha256', macKey).update(encrypted).update(keyName).digest();
  if (mac.length !== MAC_BYTES || !bytesEqual(mac, expected)) return undefined;
  const key = kdfa(seed, 'STORAGE', keyName, KEY_BITS);
  const [secret] = sized(decryptCfb(key, encrypted));
  return secret;
}

/** KDFe (TPM 2.0 Part 1, 11.4.10.3) for one block. */
function seedOf(z: Uint8Array, ephemeralX: Uint8Array, ownX: Uint8Array): Uint8Array {
  return createHash('sha256')
    .update(counter(1))
    .update(z)
    .update('IDENTITY\0')
    .update(ephemeralX)
    .update(ownX)
    .digest();
}

/** KDFa (TPM 2.0 Part 1, 11.4.10.2) for one block at most. */
function kdfa(seed: Uint8Array, label: string, context: Uint8Array, bits: number): Uint8Array {
  const block = createHmac('sha256', seed)
    .update(counter(1))
    .update(`${label}\0`)
    .update(context)
    .update(counter(bits))
    .digest();
  return block.subarray(0, bits / 8);
}

function decryptCfb(key: Uint8Array, encrypted: Uint8Array): Uint8Array {
  const cipher = createDecipheriv('aes-128-cfb', key, new Uint8Array(IV_BYTES));
  return concatBytes(cipher.update(encrypted), cipher.final());
}

function counter(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** A TPM2B: its content, and what follows it. */
function sized(bytes: Uint8Array): [Uint8Array, Uint8Array] {
  const length = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  return [bytes.subarray(2, 2 + length), bytes.subarray(2 + length)];
}
