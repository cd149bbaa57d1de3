/** Sealing and opening beside bare AES-256-GCM over the same chunks, and beside what the format cannot do without. */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { openCapsule, sealCapsule } from '@nemea/capsule';
import { assert } from '@nemea/core';
import { DESCRIPTION } from '../packages/capsule/src/testing.ts';
import { COMPUTING, race, type Samples } from './measure.ts';
import { type Row, rowOf } from './row.ts';

const MIB = 2 ** 20;
const PAYLOAD_BYTES = 32 * MIB;
const GB = 1e9;
const DESCRIBED = { ...DESCRIPTION, chunkBytes: MIB };

export async function benchCapsule(): Promise<Row[]> {
  const plain = new Uint8Array(randomBytes(PAYLOAD_BYTES));
  const key = randomBytes(32);
  const sealed = sealCapsule(DESCRIBED, plain);
  const encrypted = encrypt(key, plain);
  const rates = await race(
    {
      encrypt: () => encrypt(key, plain).length * MIB,
      encryptAndHash: () => {
        createHash('sha256').update(plain).digest();
        return encrypt(key, plain).length * MIB;
      },
      seal: async () => sealCapsule(DESCRIBED, plain).header.plainBytes,
      decrypt: () => decrypt(key, encrypted),
      decryptAndHash: () => {
        const bytes = decrypt(key, encrypted);
        createHash('sha256').update(plain).digest();
        return bytes;
      },
      open: () => openCapsule(sealed.capsule, sealed.fileKey).length,
    },
    { ...COMPUTING, repeats: 5 },
  );
  const row = (own: string, samples: Samples, peer: string, beside: Samples): Row =>
    rowOf({
      group: 'capsule',
      unit: 'gbPerS',
      own: { name: own, samples: toGb(samples) },
      peer: { name: peer, samples: toGb(beside) },
    });
  return [
    row('seal 32 MiB in 1 MiB chunks', rates.seal, 'AES-256-GCM', rates.encrypt),
    row('seal, beside its parts', rates.seal, 'AES-256-GCM and SHA-256', rates.encryptAndHash),
    row('open 32 MiB in 1 MiB chunks', rates.open, 'AES-256-GCM', rates.decrypt),
    row('open, beside its parts', rates.open, 'AES-256-GCM and SHA-256', rates.decryptAndHash),
  ];
}

interface Encrypted {
  readonly nonce: Uint8Array;
  readonly bytes: Uint8Array;
  readonly tag: Uint8Array;
}

function encrypt(key: Uint8Array, plain: Uint8Array): Encrypted[] {
  const chunks: Encrypted[] = [];
  for (let at = 0; at < plain.length; at += MIB) {
    const nonce = nonceOf(at / MIB);
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    const bytes = cipher.update(plain.subarray(at, at + MIB));
    cipher.final();
    chunks.push({ nonce, bytes, tag: cipher.getAuthTag() });
  }
  return chunks;
}

function decrypt(key: Uint8Array, chunks: readonly Encrypted[]): number {
  let plainBytes = 0;
  for (const { nonce, bytes, tag } of chunks) {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tag.length });
    decipher.setAuthTag(tag);
    plainBytes += decipher.update(bytes).length;
    assert(decipher.final().length === 0, 'GCM holds nothing back');
  }
  return plainBytes;
}

function nonceOf(index: number): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setUint32(8, index);
  return nonce;
}

function toGb({ median, min, max }: Samples): Samples {
  return { median: median / GB, min: min / GB, max: max / GB };
}
