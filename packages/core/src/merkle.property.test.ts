import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareBytes, concatBytes, toHex } from './bytes.ts';
import { sha256 } from './hash.ts';
import { merkleProof, merkleRoot, verifyMerkleProof } from './merkle.ts';

const leaf = fc.uint8Array({ minLength: 32, maxLength: 40 });
const leaves = fc.uniqueArray(leaf, { minLength: 1, maxLength: 20, selector: toHex });

/** The definition, level by level, without proofs. */
function naiveRoot(level: readonly Uint8Array[]): Uint8Array {
  if (level.length === 1) return level[0] as Uint8Array;
  const next: Uint8Array[] = [];
  for (let i = 0; i < level.length; i += 2) {
    const pair = level.slice(i, i + 2).sort(compareBytes);
    next.push(pair.length === 1 ? (pair[0] as Uint8Array) : sha256(concatBytes(Uint8Array.of(1), ...pair)));
  }
  return naiveRoot(next);
}

test('the root is that of the definition', () => {
  fc.assert(
    fc.property(leaves, (given) => {
      const hashed = given.map((bytes) => sha256(Uint8Array.of(0), bytes));
      expect(toHex(merkleRoot(given))).toBe(toHex(naiveRoot(hashed)));
    }),
  );
});

test('no leaves have the root of zeros, which no tree of leaves has', () => {
  expect(merkleRoot([])).toEqual(new Uint8Array(32));
});

test('every leaf has a proof, and its proof is of no other leaf and of no other root', () => {
  fc.assert(
    fc.property(leaves, leaf, fc.nat(), (given, other, at) => {
      const index = at % given.length;
      const chosen = given[index] as Uint8Array;
      const root = merkleRoot(given);
      const proof = merkleProof(given, index);
      expect(proof.length).toBeLessThanOrEqual(Math.ceil(Math.log2(given.length)));
      expect(verifyMerkleProof(root, chosen, proof)).toBe(true);
      expect(verifyMerkleProof(root, other, proof)).toBe(toHex(other) === toHex(chosen));
      expect(verifyMerkleProof(sha256(root), chosen, proof)).toBe(false);
      expect(verifyMerkleProof(root, chosen, [...proof, sha256()])).toBe(false);
      expect(verifyMerkleProof(root, chosen, proof.slice(1))).toBe(proof.length === 0);
    }),
  );
});

test('a root tells how many leaves there are: one that is left out or added changes it', () => {
  fc.assert(
    fc.property(leaves, leaf, (given, added) => {
      const root = toHex(merkleRoot(given));
      expect(toHex(merkleRoot([...given, added]))).not.toBe(root);
      expect(toHex(merkleRoot(given.slice(1)))).not.toBe(root);
    }),
  );
});

describe('an inner node', () => {
  test('is no leaf: what hashes to it as a pair does not as a leaf', () => {
    const [a, b] = [sha256(Uint8Array.of(1)), sha256(Uint8Array.of(2))] as const;
    const root = merkleRoot([a, b]);
    const hashes = [a, b].map((bytes) => sha256(Uint8Array.of(0), bytes)).sort(compareBytes);
    expect(verifyMerkleProof(root, concatBytes(...hashes), [])).toBe(false);
  });
});
