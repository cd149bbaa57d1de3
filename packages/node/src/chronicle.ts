import { boundedList, byteString, defineDocument, toHex } from '@nemea/core';
import {
  type Accusation,
  accountSchema,
  accuseSchema,
  type EpochLeaf,
  encodeEpochLeaf,
  type MembershipState,
  type Vote,
} from '@nemea/membership';
import type { Receipt } from '@nemea/sdk';
import { z } from 'zod';
import { NodeError } from './errors.ts';
import type { Clock } from './ports/clock.ts';
import type { Journal } from './ports/journal.ts';

const EPOCHS_KEPT = 256;
const EVICTIONS_KEPT = 256;
const LEAVES_MAX = 1 << 15;
const RECORD_BYTES_MAX = 32 << 20;
const RECEIPTS_KEPT = 1_024;
const TIMINGS_KEPT = 1_024;

const invalid = (message: string, cause?: unknown) => new NodeError('CHRONICLE_CORRUPT', message, { cause });

/** An epoch as this node has seen it closed: the leaves of its attestation tree, encoded. */
const epochCodec = defineDocument({
  name: 'epoch of the chronicle',
  schema: z.strictObject({
    epoch: z.number().int().min(0),
    leaves: boundedList(byteString(1, 2_048), LEAVES_MAX),
  }),
  bytesMax: RECORD_BYTES_MAX,
  invalid,
});
type EpochFacts = ReturnType<typeof epochCodec.parse>;

const evictionCodec = defineDocument<{ account: string; accuser: string; accusation: Accusation }>({
  name: 'eviction of the chronicle',
  schema: z.strictObject({ account: accountSchema, accuser: accountSchema, accusation: accuseSchema }),
  bytesMax: RECORD_BYTES_MAX,
  invalid,
});
type Eviction = ReturnType<typeof evictionCodec.parse>;

/**
 * The public record of what this node has seen decided; everything in it can be held against layer 1. Epochs and
 * evictions outlive the decisions that they come from: reports about them are asked for long after.
 */
export class Chronicle {
  readonly #clock: Clock;
  readonly #journal: Journal;
  readonly #epochs: EpochFacts[];
  readonly #evictions: Eviction[];
  readonly #receipts: { vote: Vote['type']; txHash: string; gasUsed: number; block: number }[] = [];
  readonly #timings: { event: string; atMs: number; detail: string }[] = [];

  constructor(clock: Clock, journal: Journal) {
    this.#clock = clock;
    this.#journal = journal;
    this.#epochs = journal.read('epoch').map(epochCodec.parse);
    this.#evictions = journal.read('eviction').map(evictionCodec.parse);
  }

  /** What is told again after a restart is known. */
  addEpoch({ epoch, leaves }: { readonly epoch: number; readonly leaves: readonly EpochLeaf[] }): void {
    if (this.#epochs.some((known) => known.epoch === epoch)) return;
    const facts = { epoch, leaves: leaves.map(encodeEpochLeaf) };
    this.#journal.append('epoch', [epochCodec.encode(facts)]);
    this.#epochs.push(facts);
    if (this.#epochs.length <= EPOCHS_KEPT) return;
    this.#epochs.shift();
    this.#journal.trim('epoch', EPOCHS_KEPT);
  }

  addEviction({ account, accuser, accusation }: Eviction): void {
    const isKnown = this.#evictions.some(
      (known) => known.account === account && known.accusation.epoch === accusation.epoch,
    );
    if (isKnown) return;
    const eviction = { account, accuser, accusation };
    this.#journal.append('eviction', [evictionCodec.encode(eviction)]);
    this.#evictions.push(eviction);
    this.time('evicted', account);
    if (this.#evictions.length <= EVICTIONS_KEPT) return;
    this.#evictions.shift();
    this.#journal.trim('eviction', EVICTIONS_KEPT);
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
        leaves: leaves.map(toHex),
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
    seated: [...candidacy.seated],
    judgements: [...candidacy.judgements].map(([account, judgement]) => ({
      account,
      verdict: judgement.verdict,
      proof: toHex(judgement.proof),
    })),
  }));
}
