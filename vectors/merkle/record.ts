/**
 * Writes `proofs.json` beside this file from the tree of `@nemea/core`.
 *
 *   node vectors/merkle/record.ts
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { merkleProof, merkleRoot, sha256, toHex } from '@nemea/core';

export const MERKLE_VECTORS_FILE = join(import.meta.dirname, 'proofs.json');
const TREE_SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17];

export function renderMerkleVectors(): string {
  const trees = TREE_SIZES.map((size) => {
    const leaves = Array.from({ length: size }, (_, index) => sha256(Uint8Array.of(size, index)));
    return {
      leaves: leaves.map(toHex),
      root: toHex(merkleRoot(leaves)),
      proofs: leaves.map((_, index) => merkleProof(leaves, index).map(toHex)),
    };
  });
  return `${JSON.stringify({ trees }, null, 2)}\n`;
}

if (import.meta.main) writeFileSync(MERKLE_VECTORS_FILE, renderMerkleVectors());
