import {
  CHECKPOINT_INTERVAL,
  type CheckpointHeader,
  type CheckpointProof,
  DECISIONS_MAX,
  type Decision,
  encodeDecision,
  encodeTransfer,
  parseDecision,
  parseHeader,
  parseTransfer,
  type Transfer,
} from '@nemea/consensus';
import { bytesEqual, CodedError, sha256 } from '@nemea/core';
import type { Journal } from './ports/journal.ts';
import { type OrderAnswer, snapshotCodec, TRANSFER_BYTES_MAX } from './protocol.ts';

/** A snapshot is written every so many sequences, and the decisions before the one before it are forgotten. */
const SNAPSHOT_INTERVAL = 4 * CHECKPOINT_INTERVAL;
/** Of states at the ends of intervals that no quorum has signed yet. */
const CANDIDATES_MAX = 3;
const ANSWER_BYTES_MAX = 4 << 20;

/** How the state of the application is written down. */
export interface StateCodec<State> {
  /** Undefined for a state that is too large for a snapshot. */
  encode(state: State): Uint8Array | undefined;
  /** Throws for bytes that are no state. */
  parse(bytes: Uint8Array): State;
}

export class OrderLogError extends CodedError<'ORDER_LOG_INVALID' | 'TRANSFER_INVALID'> {}

interface Snapshot {
  readonly sequence: number;
  readonly transfer: Transfer;
  /** The encoded state of the application, whose SHA-256 the transfer's last header names. */
  readonly state: Uint8Array;
}

/**
 * What a node keeps of the order: the last decisions, a snapshot that a quorum has signed, one before it to start from,
 * and the proofs that lead to it over all epochs [CONS-27]. Nothing else of the past is needed to go on, or to let others
 * go on.
 */
export class OrderLog<State> {
  readonly #journal: Journal;
  readonly #codec: StateCodec<State>;
  readonly #candidates = new Map<number, Uint8Array>();
  readonly #links: CheckpointProof[];
  #snapshots: Snapshot[];
  /** Sequences of the decisions kept, without a gap: from `first` on, `count` of them. */
  #first: number;
  #count: number;
  /** Received and offered to consensus, which has not yet said whether it holds. */
  #offered: Snapshot | undefined;

  constructor(journal: Journal, codec: StateCodec<State>) {
    this.#journal = journal;
    this.#codec = codec;
    this.#snapshots = journal.read('snapshot').map(parseSnapshot);
    this.#links = journal.read('link').flatMap((bytes) => parseTransfer(bytes).proofs);
    this.#offered = journal.read('offered').map(parseSnapshot).at(-1);
    const [oldest] = journal.readRange('decision', 0, 1);
    this.#first = oldest === undefined ? 0 : parseDecision(oldest).sequence;
    this.#count = oldest === undefined ? 0 : journal.read('decision').length;
  }

  /** Where a start begins: the older snapshot, so that what was decided lately is told once more. */
  base(): { sequence: number; state: State } | undefined {
    const [oldest] = this.#snapshots;
    return oldest === undefined
      ? undefined
      : { sequence: oldest.sequence, state: this.#codec.parse(oldest.state) };
  }

  /** The decisions after the base, in order. Throws `ORDER_LOG_INVALID` when one is missing. */
  *replay(): Generator<Decision> {
    let sequence = this.#snapshots[0]?.sequence ?? 0;
    for (const bytes of this.#journal.read('decision')) {
      const decision = parseDecision(bytes);
      if (decision.sequence <= sequence) continue;
      if (decision.sequence !== ++sequence)
        throw new OrderLogError('ORDER_LOG_INVALID', `decision ${sequence} is missing`);
      yield decision;
    }
  }

  append(decision: Decision): void {
    this.#journal.appendLater('decision', [encodeDecision(decision)]);
    if (this.#count === 0) this.#first = decision.sequence;
    this.#count++;
  }

  /**
   * Keeps the state at the end of an interval and returns its digest, which members sign; undefined anywhere else, and
   * for a state too large for a snapshot, before which nothing is forgotten.
   */
  stateAt(sequence: number, state: State): Uint8Array | undefined {
    if (sequence % CHECKPOINT_INTERVAL !== 0) return undefined;
    let encoded = this.#candidates.get(sequence);
    if (encoded === undefined) {
      encoded = this.#codec.encode(state);
      if (encoded === undefined) return undefined;
      this.#candidates.set(sequence, encoded);
      const [oldest] = this.#candidates.keys();
      if (this.#candidates.size > CANDIDATES_MAX && oldest !== undefined) this.#candidates.delete(oldest);
    }
    return sha256(encoded);
  }

  /** A quorum has signed the checkpoint: it may be where others go on from, and where this node begins [CONS-20]. */
  onCheckpoint(transfer: Transfer, announcesEpoch: boolean): void {
    const proof = lastProof(transfer);
    const { sequence } = parseHeader(proof.header);
    if (announcesEpoch) {
      this.#journal.append('link', [encodeTransfer({ ...transfer, proofs: [proof], recent: [] })]);
      this.#links.push(proof);
    }
    const state = this.#candidates.get(sequence);
    const last = this.#snapshots.at(-1);
    if (state === undefined || sequence < (last?.sequence ?? 0) + SNAPSHOT_INTERVAL) return;
    const encoded = encodeTransfer(transfer);
    if (encoded.length > TRANSFER_BYTES_MAX) return;
    this.#journal.append('snapshot', [encodeSnapshot({ sequence, transfer, state })]);
    this.#snapshots = [...(last === undefined ? [] : [last]), { sequence, transfer, state }];
    this.#journal.trim('snapshot', this.#snapshots.length);
    if (last !== undefined) this.#forgetThrough(last.sequence);
  }

  /** What a replica that lacks the decisions from a sequence on can go on with. */
  answer(from: number): OrderAnswer {
    const snapshot = this.#snapshots.at(-1);
    if (from < this.#first && snapshot !== undefined && snapshot.sequence >= from) {
      const links = this.#links.filter(({ header }) => {
        const { sequence } = parseHeader(header);
        return sequence >= from && sequence < snapshot.sequence;
      });
      const proofs = [...links, lastProof(snapshot.transfer)];
      return {
        kind: 'snapshot',
        transfer: encodeTransfer({ ...snapshot.transfer, proofs }),
        state: snapshot.state,
      };
    }
    const decisions: Uint8Array[] = [];
    let bytes = 0;
    const at = Math.max(0, from - this.#first);
    for (const decision of this.#journal.readRange('decision', at, DECISIONS_MAX)) {
      bytes += decision.length;
      if (bytes > ANSWER_BYTES_MAX) break;
      decisions.push(decision);
    }
    return { kind: 'decisions', decisions };
  }

  /**
   * Keeps a snapshot of another node until consensus says whether a quorum has signed it. Throws `TRANSFER_INVALID`,
   * `MESSAGE_INVALID` or what the codec throws, for what nobody can have signed.
   */
  offer({ transfer: bytes, state }: { transfer: Uint8Array; state: Uint8Array }): Transfer {
    const transfer = parseTransfer(bytes);
    const header = parseHeader(lastProof(transfer).header);
    if (!bytesEqual(sha256(state), header.state))
      throw new OrderLogError('TRANSFER_INVALID', 'the state is not the one of the checkpoint');
    this.#codec.parse(state);
    const offered = { sequence: header.sequence, transfer, state };
    this.#journal.append('offered', [encodeSnapshot(offered)]);
    this.#journal.trim('offered', 1);
    this.#offered = offered;
    return transfer;
  }

  /** Takes over the snapshot that consensus goes on from; the decisions before it are of no more use. */
  install({ sequence, state }: CheckpointHeader): State {
    const offered = this.#offered;
    if (offered === undefined || offered.sequence !== sequence || !bytesEqual(sha256(offered.state), state))
      throw new OrderLogError('ORDER_LOG_INVALID', `the state of sequence ${sequence} is missing`);
    const links = offered.transfer.proofs.slice(0, -1);
    const known = this.#links.length;
    this.#links.push(
      ...links.filter((link) => !this.#links.some((other) => bytesEqual(other.header, link.header))),
    );
    const added = this.#links.slice(known);
    this.#journal.append(
      'link',
      added.map((proof) => encodeTransfer({ ...offered.transfer, proofs: [proof], recent: [] })),
    );
    const transfer = { ...offered.transfer, proofs: [lastProof(offered.transfer)] };
    // The snapshot first: a crash between the two leaves decisions that are passed over, and no gap.
    this.#journal.append('snapshot', [encodeSnapshot({ ...offered, transfer })]);
    this.#snapshots = [{ ...offered, transfer }];
    this.#journal.trim('snapshot', 1);
    this.#forgetThrough(sequence);
    this.#candidates.clear();
    return this.#codec.parse(offered.state);
  }

  #forgetThrough(sequence: number): void {
    const forgotten = Math.min(this.#count, Math.max(0, sequence + 1 - this.#first));
    this.#first += forgotten;
    this.#count -= forgotten;
    this.#journal.trim('decision', this.#count);
    if (this.#count === 0) this.#first = sequence + 1;
  }
}

function lastProof({ proofs }: Transfer): CheckpointProof {
  const proof = proofs.at(-1);
  if (proof === undefined) throw new OrderLogError('TRANSFER_INVALID', 'a transfer without a checkpoint');
  return proof;
}

function encodeSnapshot({ transfer, state }: Snapshot): Uint8Array {
  return snapshotCodec.encode({ kind: 'snapshot', transfer: encodeTransfer(transfer), state });
}

function parseSnapshot(bytes: Uint8Array): Snapshot {
  const { transfer: encoded, state } = snapshotCodec.parse(bytes);
  const transfer = parseTransfer(encoded);
  return { sequence: parseHeader(lastProof(transfer).header).sequence, transfer, state };
}
