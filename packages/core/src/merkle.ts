import { bytesEqual, compareBytes, concatBytes } from './bytes.ts';
import { sha256 } from './hash.ts';

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);
/** The root of no leaves: a value that no tree of leaves can have. */
const EMPTY = new Uint8Array(32);

/**
 * Binary Merkle trees over 32-byte or longer leaves, with RFC 6962 domain prefixes (0 leaf, 1 node) and sorted
 * pairs, so that a proof needs no direction bits and Solidity checks it in one loop.
 */
function levels(leaves: readonly Uint8Array[]): Uint8Array[][] {
  const result: Uint8Array[][] = [leaves.map((leaf) => sha256(LEAF, leaf))];
  for (;;) {
    const level = result[result.length - 1] as Uint8Array[];
    if (level.length <= 1) return result;
    const next: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const left = level[i] as Uint8Array;
      const right = level[i + 1];
      next.push(right === undefined ? left : hashPair(left, right));
    }
    result.push(next);
  }
}

function hashPair(a: Uint8Array, b: Uint8Array): Uint8Array {
  return compareBytes(a, b) <= 0 ? sha256(concatBytes(NODE, a, b)) : sha256(concatBytes(NODE, b, a));
}

/** The root of the leaves in the given order; 32 zero bytes for none. */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return EMPTY;
  const top = levels(leaves).at(-1) as Uint8Array[];
  return top[0] as Uint8Array;
}

/** The siblings from leaf `index` to the root. */
export function merkleProof(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  const proof: Uint8Array[] = [];
  let position = index;
  for (const level of levels(leaves)) {
    const sibling = level[position ^ 1];
    if (sibling !== undefined) proof.push(sibling);
    position >>= 1;
  }
  return proof;
}

export function verifyMerkleProof(root: Uint8Array, leaf: Uint8Array, proof: readonly Uint8Array[]): boolean {
  let hash = sha256(LEAF, leaf);
  for (const sibling of proof) hash = hashPair(hash, sibling);
  return bytesEqual(hash, root);
}
