import { createHash, createHmac } from 'node:crypto';
import { ByteWriter, concatBytes, fromUtf8 } from '@nemea/core';
import { TpmError } from '../errors.ts';
import { ALG, hex16 } from '../structures/algorithms.ts';

export type HashName = 'sha256' | 'sha384' | 'sha512';

export interface KdfContext {
  /** Without the closing zero, which is added here. */
  readonly label: string;
  readonly contextU: Uint8Array;
  readonly contextV: Uint8Array;
  readonly bits: number;
}

// More than the mask of any parameter that fits a command (TPM 2.0 Part 2, TPM2_MAX_COMMAND_SIZE).
const BITS_MAX = 8 * 4096;
const HASHES: ReadonlyMap<number, HashName> = new Map([
  [ALG.sha256, 'sha256'],
  [ALG.sha384, 'sha384'],
  [ALG.sha512, 'sha512'],
]);

/** OpenSSL's name of a hash that sessions and credentials may use. Throws `TPM_ARGUMENT_INVALID`. */
export function hashName(hashAlg: number): HashName {
  const name = HASHES.get(hashAlg);
  if (name === undefined)
    throw refuse(`hash algorithm: got ${hex16(hashAlg)}, want sha-256, sha-384 or sha-512`);
  return name;
}

/** KDFa (TPM 2.0 Part 1, 11.4.10.2): SP 800-108 in counter mode with HMAC. */
export function kdfa(hashAlg: number, key: Uint8Array, context: KdfContext): Uint8Array {
  const hash = hashName(hashAlg);
  const length = new ByteWriter().u32(context.bits).toBytes();
  return derive(context.bits, (counter) =>
    createHmac(hash, key)
      .update(counter)
      .update(fromUtf8(`${context.label}\0`))
      .update(context.contextU)
      .update(context.contextV)
      .update(length)
      .digest(),
  );
}

/** KDFe (TPM 2.0 Part 1, 11.4.10.3): SP 800-56A one-step derivation from the x coordinate `z` of an ECDH secret. */
export function kdfe(hashAlg: number, z: Uint8Array, context: KdfContext): Uint8Array {
  const hash = hashName(hashAlg);
  return derive(context.bits, (counter) =>
    createHash(hash)
      .update(counter)
      .update(z)
      .update(fromUtf8(`${context.label}\0`))
      .update(context.contextU)
      .update(context.contextV)
      .digest(),
  );
}

/** Blocks for the counters 1, 2, ... until there are `bits`; a fraction of a byte is the low end of the first one. */
function derive(bits: number, block: (counter: Uint8Array) => Uint8Array): Uint8Array {
  if (!Number.isInteger(bits) || bits < 1 || bits > BITS_MAX) {
    throw refuse(`derived key: got ${bits} bits, want 1 to ${BITS_MAX}`);
  }
  const bytes = Math.ceil(bits / 8);
  const blocks: Uint8Array[] = [];
  for (let derived = 0; derived < bytes; derived += (blocks.at(-1) as Uint8Array).length) {
    blocks.push(block(new ByteWriter().u32(blocks.length + 1).toBytes()));
  }
  const key = concatBytes(...blocks).slice(0, bytes);
  for (const used of blocks) used.fill(0);
  if (bits % 8 !== 0) key[0] = (key[0] as number) & (2 ** (bits % 8) - 1);
  return key;
}

function refuse(message: string): TpmError {
  return new TpmError('TPM_ARGUMENT_INVALID', message);
}
