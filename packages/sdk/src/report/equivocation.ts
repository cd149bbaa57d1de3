import { ConsensusError, verifyEquivocation } from '@nemea/consensus';
import { createEd25519Verifier } from '@nemea/consensus/ed25519';
import { type EquivocationLeaf, toEquivocationProof } from '@nemea/membership';
import { memberAround, spansAround } from './draws.ts';
import type { Lies } from './finding.ts';
import { type Inquiry, nameOf } from './inquiry.ts';

const verify = createEd25519Verifier();

/** What cost a member all its credit, its own key has signed: the quorum need not be believed [MEMB-43]. */
export function checkEquivocation(
  {
    report,
    rosters,
    ledger,
  }: Pick<Inquiry, 'rosters'> & {
    readonly report: Pick<Inquiry['report'], 'nodes'>;
    readonly ledger: Pick<Inquiry['ledger'], 'networkId'>;
  },
  lies: Lies,
  leaf: EquivocationLeaf,
): void {
  const { equivocator, epoch, first, second } = leaf;
  const member = memberAround(spansAround(rosters, { epoch, judgedEpoch: epoch }), equivocator);
  try {
    verifyEquivocation({
      networkId: ledger.networkId,
      proof: toEquivocationProof(equivocator, { first, second }),
      publicKeyOf: () => member?.peerKey,
      verify,
    });
  } catch (error) {
    if (!(error instanceof ConsensusError)) throw error;
    lies.add(`equivocation of ${nameOf(report, equivocator)} is not proven by its peer key`);
  }
}
