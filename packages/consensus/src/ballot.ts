import { bytesEqual, type Verified } from '@nemea/core';
import { primaryOf, type Seat } from './configuration.ts';
import type { OwnStatement } from './journal.ts';
import type { Batch, MemberSignature, Statement, Vote } from './message.ts';
import type { ReplicaState } from './state.ts';

/** Votes of the members by their place in the configuration: each has one. */
export type Votes = (Verified<Statement<Vote>> | undefined)[];

/** What is known about one undecided sequence in one view. Weights are kept up as votes come in. */
export type Ballot = {
  readonly view: number;
  readonly sequence: number;
  /** The place of the view's primary. */
  readonly primary: number;
  /** What the primary proposed; whether it follows from what stands before it is judged in its turn. */
  proposal: { readonly digest: Uint8Array; readonly batch: Batch; isRefused: boolean } | null;
  /** Votes to prepare, the primary's pre-prepare among them. */
  readonly prepares: Votes;
  /** Of the votes to prepare for the digest proposed. */
  prepareWeight: number;
  readonly commits: Votes;
  /** The digest of the first commit, or the proposed one once that is known. */
  commitDigest: Uint8Array | null;
  commitWeight: number;
  /** What the replica itself has said here: never anything else [CONS-6]. */
  ownVote: OwnStatement<Vote> | null;
  ownCommit: OwnStatement<Vote> | null;
};

export function findBallot(state: ReplicaState, sequence: number, view: number): Ballot | undefined {
  return state.ballots.get(sequence)?.get(view);
}

/** The ballot of a view at an undecided sequence, opened on first use. */
export function ballotOf(state: ReplicaState, sequence: number, view: number): Ballot {
  let views = state.ballots.get(sequence);
  if (views === undefined) {
    views = new Map();
    state.ballots.set(sequence, views);
  }
  let ballot = views.get(view);
  if (ballot === undefined) {
    const { members, byId } = state.configuration;
    ballot = {
      view,
      sequence,
      primary: (byId.get(primaryOf(state.configuration, view)) as Seat).place,
      proposal: null,
      prepares: new Array(members.length),
      prepareWeight: 0,
      commits: new Array(members.length),
      commitDigest: null,
      commitWeight: 0,
      ownVote: null,
      ownCommit: null,
    };
    views.set(view, ballot);
  }
  return ballot;
}

/** From here on votes are counted for this batch. */
export function learnProposal(state: ReplicaState, ballot: Ballot, digest: Uint8Array, batch: Batch): void {
  ballot.proposal = { digest, batch, isRefused: false };
  ballot.prepareWeight = weightFor(state, ballot.prepares, digest);
  ballot.commitDigest = digest;
  ballot.commitWeight = weightFor(state, ballot.commits, digest);
}

/** The signatures for one digest, ordered by sender. */
export function signaturesFor(
  { configuration }: ReplicaState,
  votes: Votes,
  digest: Uint8Array,
): MemberSignature[] {
  const signatures: MemberSignature[] = [];
  for (let place = 0; place < configuration.members.length; place++) {
    const vote = votes[place];
    if (vote === undefined || !bytesEqual(vote.content.digest, digest)) continue;
    signatures.push({ sender: vote.sender, signature: vote.message.signature });
  }
  return signatures;
}

function weightFor({ configuration }: ReplicaState, votes: Votes, digest: Uint8Array): number {
  let weight = 0;
  for (const member of configuration.members) {
    const vote = votes[member.place];
    if (vote !== undefined && bytesEqual(vote.content.digest, digest)) weight += member.weight;
  }
  return weight;
}
