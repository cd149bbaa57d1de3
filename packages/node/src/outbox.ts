import { bytesEqual, toHex } from '@nemea/core';
import { encodeVote, parseVote, type Vote } from '@nemea/membership';
import type { Journal } from './ports/journal.ts';

/** As many as a node takes part in at a time. */
export const VOTES_MAX = 512;

/**
 * The last votes of this node, one on each subject, for layer 1 that may lack them still [MEMB-34]. Each is written after its
 * decision and before anything that lets the decision be forgotten, so that however long layer 1 is away, and whoever
 * loses power meanwhile, a start finds it here or meets its decision again.
 */
export class Outbox {
  readonly #journal: Journal;
  readonly #votes = new Map<string, Uint8Array>();
  /** Records in the journal, those replaced since included. */
  #written: number;

  constructor(journal: Journal) {
    this.#journal = journal;
    const records = journal.read('vote');
    for (const record of records) this.#replace(parseVote(record), record);
    this.#written = records.length;
  }

  /** Oldest first. */
  votes(): Vote[] {
    return [...this.#votes.values()].map(parseVote);
  }

  /** Takes the place of an earlier one on the same subject. */
  add(vote: Vote): void {
    const record = encodeVote(vote);
    const known = this.#votes.get(subjectOf(vote));
    if (known !== undefined && bytesEqual(known, record)) return;
    this.#replace(vote, record);
    this.#journal.appendLater('vote', [record]);
    if (++this.#written > 2 * VOTES_MAX) this.#compact();
  }

  #replace(vote: Vote, record: Uint8Array): void {
    const subject = subjectOf(vote);
    this.#votes.delete(subject);
    this.#votes.set(subject, record);
    const [oldest] = this.#votes.keys();
    if (this.#votes.size > VOTES_MAX && oldest !== undefined) this.#votes.delete(oldest);
  }

  /** A crash between the two leaves some twice, which changes nothing. */
  #compact(): void {
    this.#journal.append('vote', [...this.#votes.values()]);
    this.#written = this.#votes.size;
    this.#journal.trim('vote', this.#written);
  }
}

/** What a vote decides: a later one on the same subject makes it obsolete. */
function subjectOf(vote: Vote): string {
  switch (vote.type) {
    case 'Admission':
      return `admission ${vote.record.account}`;
    // Apart from its admissions: a second application that was affirmed, too, leaves layer 1 as much to evict.
    case 'Eviction':
      return `eviction ${vote.account}`;
    case 'EpochRecord':
      return `epoch ${vote.epoch}`;
    case 'Election':
      return `election ${toHex(vote.taskId)}`;
    case 'Settlement':
    case 'TaskFailure':
      return `end ${toHex(vote.taskId)}`;
    case 'DisputeVerdict':
      return `dispute ${toHex(vote.disputeId)}`;
  }
}
