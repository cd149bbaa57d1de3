import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from './bytes.ts';
import { merkleProof, merkleRoot, verifyMerkleProof } from './merkle.ts';

interface Tree {
  readonly leaves: readonly string[];
  readonly root: string;
  readonly proofs: readonly (readonly string[])[];
}

const file = join(import.meta.dirname, '..', '..', '..', 'vectors', 'merkle', 'proofs.json');
const { trees } = JSON.parse(readFileSync(file, 'utf8')) as { trees: readonly Tree[] };

const digest = (hex: string) => createHash('sha256').update(Buffer.from(hex, 'hex')).digest('hex');

/** A proof walked with node:crypto alone, on hex. */
function walk(leaf: string, proof: readonly string[]): string {
  return proof.reduce((hash, sibling) => digest(`01${[hash, sibling].sort().join('')}`), digest(`00${leaf}`));
}

describe.each(trees)('the tree of $leaves.length leaves', ({ leaves, root, proofs }) => {
  const bytes = leaves.map(fromHex);

  test('has the recorded root and proofs', () => {
    expect(toHex(merkleRoot(bytes))).toBe(root);
    expect(bytes.map((_, index) => merkleProof(bytes, index).map(toHex))).toEqual(proofs);
  });

  test('is proven leaf by leaf, by this implementation and by another', () => {
    for (const [index, proof] of proofs.entries()) {
      expect(verifyMerkleProof(fromHex(root), bytes[index] as Uint8Array, proof.map(fromHex))).toBe(true);
      expect(walk(leaves[index] as string, proof)).toBe(root);
    }
  });
});
