import { encodeCbor } from '@nemea/core';
import type {
  EpochLeaf,
  EpochReport,
  EquivocationLeaf,
  MembershipState,
  OutdatedLeaf,
  ResultLeaf,
  SeatLeaf,
} from './state.ts';

/** The leaves of an epoch in the order of the tree [MEMB-20]. */
export function epochLeaves(
  epoch: number,
  reports: ReadonlyMap<string, EpochReport>,
  faults: Partial<Pick<MembershipState, 'updatesMissed' | 'equivocations'>> = {},
): EpochLeaf[] {
  const leaves: EpochLeaf[] = [];
  for (const [outdated, evidenceDigest] of faults.updatesMissed ?? [])
    leaves.push({ outdated, epoch, evidenceDigest });
  for (const [equivocator, proof] of faults.equivocations ?? [])
    leaves.push({ equivocator, epoch, ...proof });
  for (const [attestor, { proof, beta, results }] of reports) {
    leaves.push({ attestor, epoch, proof, beta });
    for (const result of results) leaves.push({ ...result, attestor, epoch });
  }
  return leaves.sort(compareLeaves);
}

export function isSeat(leaf: EpochLeaf): leaf is SeatLeaf {
  return 'beta' in leaf;
}

export function isResult(leaf: EpochLeaf): leaf is ResultLeaf {
  return 'target' in leaf;
}

export function isOutdated(leaf: EpochLeaf): leaf is OutdatedLeaf {
  return 'outdated' in leaf;
}

export function isEquivocation(leaf: EpochLeaf): leaf is EquivocationLeaf {
  return 'equivocator' in leaf;
}

/** Negative when a leaf stands before another in the tree, zero when they would stand in one place. */
export function compareLeaves(a: EpochLeaf, b: EpochLeaf): number {
  const [placeA, placeB] = [placeOf(a), placeOf(b)];
  return (
    placeA.rank - placeB.rank || compareText(placeA.about, placeB.about) || compareText(placeA.by, placeB.by)
  );
}

/** Seats by attestor, results by target and attestor, missed updates and equivocations by account. */
function placeOf(leaf: EpochLeaf): { rank: number; about: string; by: string } {
  if (isSeat(leaf)) return { rank: 0, about: '', by: leaf.attestor };
  if (isResult(leaf)) return { rank: 1, about: leaf.target, by: leaf.attestor };
  if (isOutdated(leaf)) return { rank: 2, about: leaf.outdated, by: '' };
  return { rank: 3, about: leaf.equivocator, by: '' };
}

/** Canonical bytes of a leaf. */
export function encodeEpochLeaf(leaf: EpochLeaf): Uint8Array {
  const { epoch } = leaf;
  if (isOutdated(leaf)) {
    return encodeCbor({ epoch, evidenceDigest: leaf.evidenceDigest, outdated: leaf.outdated });
  }
  if (isEquivocation(leaf)) {
    const { equivocator, first, second } = leaf;
    return encodeCbor({ epoch, equivocator, first, second });
  }
  const { attestor } = leaf;
  if (isSeat(leaf)) return encodeCbor({ attestor, beta: leaf.beta, epoch, proof: leaf.proof });
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
