import { toHex } from '@nemea/core';
import type { Accusation, EpochLeaf, MembershipState, Vote } from '@nemea/membership';
import { encodeEpochLeaf } from '@nemea/membership';
import type { Receipt } from '@nemea/sdk';
import type { Clock } from './ports/clock.ts';

const EPOCHS_KEPT = 256;
const RECEIPTS_KEPT = 1_024;
const TIMINGS_KEPT = 1_024;

/** What a node publishes of an epoch it has seen closed. */
export interface EpochFacts {
  readonly epoch: number;
  readonly leaves: readonly EpochLeaf[];
}

/** The public record of what this node has seen decided; everything in it can be held against layer 1. */
export class Chronicle {
  readonly #clock: Clock;
  readonly #epochs: EpochFacts[] = [];
  readonly #evictions: { account: string; accuser: string; accusation: Accusation }[] = [];
  readonly #receipts: { vote: Vote['type']; txHash: string; gasUsed: number; block: number }[] = [];
  readonly #timings: { event: string; atMs: number; detail: string }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  addEpoch(facts: EpochFacts): void {
    this.#epochs.push(facts);
    if (this.#epochs.length > EPOCHS_KEPT) this.#epochs.shift();
  }

  addEviction(eviction: { account: string; accuser: string; accusation: Accusation }): void {
    this.#evictions.push(eviction);
    this.time('evicted', eviction.account);
  }

  addReceipt(vote: Vote, receipt: Receipt): void {
    this.#receipts.push({ vote: vote.type, ...receipt });
    if (this.#receipts.length > RECEIPTS_KEPT) this.#receipts.shift();
  }

  time(event: string, detail: string): void {
    this.#timings.push({ event, atMs: this.#clock.wallMs(), detail });
    if (this.#timings.length > TIMINGS_KEPT) this.#timings.shift();
  }

  record(account: string, state: MembershipState | undefined) {
    return {
      account,
      epochs: this.#epochs.map(({ epoch, leaves }) => ({
        epoch,
        leaves: leaves.map((leaf) => toHex(encodeEpochLeaf(leaf))),
      })),
      tasks: state === undefined ? [] : closedTasks(state),
      candidacies: state === undefined ? [] : candidacies(state),
      evictions: this.#evictions.map(({ account, accuser, accusation }) => ({
        account,
        accuser,
        epoch: accusation.epoch,
        proof: toHex(accusation.proof),
        nonce: toHex(accusation.nonce),
        evidence: toHex(accusation.evidence),
        answerSignature: toHex(accusation.answerSignature),
      })),
      receipts: this.#receipts,
      timings: this.#timings.filter(({ detail }) => state?.tasks.get(detail)?.outcome !== 'open'),
    };
  }
}

/** Of a task that is under way nothing is told: not even the operator shall know what runs here (A6). */
function closedTasks(state: MembershipState) {
  return [...state.tasks]
    .filter(([, task]) => task.outcome !== 'open')
    .map(([taskId, task]) => ({
      taskId,
      attempt: task.attempt,
      outcome: task.outcome,
      startBlock: task.startBlock,
      bids: [...task.bids].map(([account, bid]) => ({
        account,
        execute:
          bid.execute === null ? null : { beta: toHex(bid.execute.beta), proof: toHex(bid.execute.proof) },
        verify: { beta: toHex(bid.verify.beta), proof: toHex(bid.verify.proof) },
      })),
      election:
        task.election === undefined
          ? null
          : {
              executor: task.election.executor,
              salt: toHex(task.election.salt),
              verifiers: task.election.verifiers,
            },
      certificate: task.certificate === undefined ? null : toHex(task.certificate),
      reports: [...task.reports].map(([account, report]) => ({
        account,
        phases: report.phases.map(({ phase, verdict, quoteDigest }) => ({
          phase,
          verdict,
          quoteDigest: toHex(quoteDigest),
        })),
      })),
    }));
}

function candidacies(state: MembershipState) {
  return [...state.candidacies].map(([candidate, candidacy]) => ({
    candidate,
    account: candidacy.record.account,
    applicationDigest: toHex(candidacy.applicationDigest),
    epoch: candidacy.epoch,
    outcome: candidacy.outcome,
    judgements: [...candidacy.judgements].map(([account, judgement]) => ({
      account,
      verdict: judgement.verdict,
      proof: toHex(judgement.proof),
    })),
  }));
}
