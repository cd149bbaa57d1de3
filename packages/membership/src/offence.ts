import {
  AttestationError,
  appraise,
  type Evidence,
  parseEvidence,
  type ReferenceValues,
  toAssuranceLevel,
} from '@nemea/attestation';
import { akPublicArea } from './keys.ts';
import type { LedgerView } from './ledger-view.ts';
import type { NodeRecord } from './operation.ts';
import { judgingPolicy } from './policy.ts';

/** Epochs that a member has to replace software, counted from the one in which layer 1 withdrew it [MEMB-37]. */
export const UPDATE_EPOCHS = 8;

/** Evidence that a member has signed as its answer to an attestor's challenge of an epoch. */
export interface SignedEvidence {
  readonly target: NodeRecord;
  readonly epoch: number;
  readonly evidence: Uint8Array;
  readonly nonce: Uint8Array;
  readonly binding: Uint8Array;
}

/**
 * What signed evidence says against its signer. Software that layer 1 has never approved, and garbage, contradict what a
 * member stands for; software that layer 1 had approved and withdrew, longer ago than an update may take, is a missed update
 * [MEMB-22] [MEMB-37]. What nobody but the target could have sent counts against it.
 */
export function offenceOf(
  facts: { readonly networkId: Uint8Array; readonly ledger: LedgerView; readonly atBlock: number },
  signed: SignedEvidence,
): 'none' | 'update-missed' | 'contradiction' {
  let evidence: Evidence;
  try {
    evidence = parseEvidence(signed.evidence);
  } catch (error) {
    if (error instanceof AttestationError) return 'contradiction';
    throw error;
  }
  const passesBy = (referenceValues: ReferenceValues): boolean =>
    appraise({
      evidence,
      endorsements: {
        akPublic: akPublicArea(signed.target.akX, signed.target.akY),
        level: toAssuranceLevel(signed.target.level),
      },
      referenceValues,
      policy: judgingPolicy,
      expected: { networkId: facts.networkId, challenge: signed.nonce, binding: signed.binding },
      nowMs: 0,
    }).verdict !== 'contraindicated';
  if (passesBy(softwareSince(facts.ledger, signed.epoch - UPDATE_EPOCHS, facts.atBlock))) return 'none';
  return passesBy(softwareEver(facts.ledger, facts.atBlock)) ? 'update-missed' : 'contradiction';
}

/** All that layer 1 has ever approved, as of a block: who runs it did not lie, whatever became of it since. */
export function softwareEver(ledger: LedgerView, atBlock: number): ReferenceValues {
  return softwareSince(ledger, -1, atBlock);
}

/** What is approved as of a block, and what was withdrawn in an epoch after the given one [MEMB-24]. */
function softwareSince(ledger: LedgerView, epoch: number, atBlock: number): ReferenceValues {
  const kept = (withdrawn: ReadonlyMap<string, number>) =>
    [...withdrawn].filter(([, block]) => ledger.epochOf(block) > epoch).map(([digest]) => digest);
  return {
    releases: new Set([...ledger.approvedReleases(atBlock), ...kept(ledger.withdrawnReleases(atBlock))]),
    images: new Set([...ledger.approvedImages(atBlock), ...kept(ledger.withdrawnImages(atBlock))]),
  };
}
