import { encodeCbor } from '@nemea/core';
import type { EpochLeaf, EpochReport, ResultLeaf } from './state.ts';

/** The leaves of an epoch in the order of the tree: seats by attestor, then results by target and attestor [MEMB-20]. */
export function epochLeaves(epoch: number, reports: ReadonlyMap<string, EpochReport>): EpochLeaf[] {
  const leaves: EpochLeaf[] = [];
  for (const [attestor, { proof, beta, results }] of reports) {
    leaves.push({ attestor, epoch, proof, beta });
    for (const result of results) leaves.push({ ...result, attestor, epoch });
  }
  return leaves.sort(compareLeaves);
}

export function isResult(leaf: EpochLeaf): leaf is ResultLeaf {
  return 'target' in leaf;
}

/** Negative when a leaf stands before another in the tree, zero when they would stand in one place. */
export function compareLeaves(a: EpochLeaf, b: EpochLeaf): number {
  const [targetA, targetB] = [isResult(a) ? a.target : '', isResult(b) ? b.target : ''];
  return compareText(targetA, targetB) || compareText(a.attestor, b.attestor);
}

/** Canonical bytes of a leaf. */
export function encodeEpochLeaf(leaf: EpochLeaf): Uint8Array {
  const { attestor, epoch } = leaf;
  if (!isResult(leaf)) return encodeCbor({ attestor, beta: leaf.beta, epoch, proof: leaf.proof });
  return encodeCbor({
    answerSignature: leaf.answerSignature,
    attestor,
    epoch,
    evidenceDigest: leaf.evidenceDigest,
    nonce: leaf.nonce,
    quoteDigest: leaf.quoteDigest,
    target: leaf.target,
    verdict: leaf.verdict,
  });
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
