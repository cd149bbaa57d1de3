import { toHex } from '@nemea/core';
import { signStatement } from '../authenticate.ts';
import type { CheckpointProof } from '../checkpoint.ts';
import { type Configuration, primaryOf } from '../configuration.ts';
import {
  type Batch,
  type Checkpoint,
  type Content,
  type MemberSignature,
  NO_EVIDENCE,
  parsePayload,
  type SignedMessage,
  type Statement,
  type Tip,
  type ViewChange,
} from '../message.ts';
import { isQuorum } from '../quorum.ts';
import { createCheapSigner } from './signatures.ts';

export const NETWORK_ID = new Uint8Array(32).fill(0x41);

/** The votes that honest members gave for one digest at one place, by kind and sender. */
export type Seen = Tip & {
  readonly epoch: number;
  readonly prepares: Map<string, Uint8Array>;
  readonly commits: Map<string, Uint8Array>;
};

/**
 * Hears whatever honest members say and never forgets it. Knows which certificates can be made of that with the keys of the
 * faulty members, and throws as soon as two decisions are possible at one sequence, whether or not anybody has made them.
 */
export class Witness {
  readonly #configuration: Configuration;
  readonly #faulty: readonly string[];
  readonly #seen = new Map<string, Seen>();
  /** Signatures under checkpoints, by digest and sender. */
  readonly #checkpoints = new Map<string, Map<string, Uint8Array>>();
  /** Digests that some quorum may show a commit certificate for, by sequence, and the view of the first. */
  readonly #decidable = new Map<number, Map<string, number>>();
  /** By view and sender. */
  readonly viewChanges = new Map<number, Map<string, Statement<ViewChange>>>();
  /** By digest. */
  readonly batches = new Map<string, Batch>();
  /** How many decisions became possible in a later view than the first. */
  lateDecisions = 0;

  constructor(configuration: Configuration, faulty: readonly string[]) {
    this.#configuration = configuration;
    this.#faulty = faulty;
  }

  get seen(): readonly Seen[] {
    return [...this.#seen.values()];
  }

  hear(message: SignedMessage): void {
    const { sender, signature, payload } = message;
    const content = parsePayload(payload);
    switch (content.kind) {
      case 'pre-prepare':
        this.batches.set(toHex(content.digest), message.batch);
        this.seenOf(content).prepares.set(sender, signature);
        return;
      case 'prepare':
        this.seenOf(content).prepares.set(sender, signature);
        return;
      case 'commit':
        this.seenOf(content).commits.set(sender, signature);
        this.#checkDecidable(content);
        return;
      case 'checkpoint':
        this.#signaturesUnder(content.digest).set(sender, signature);
        return;
      case 'view-change': {
        const byView = this.viewChanges.get(content.view) ?? new Map<string, Statement<ViewChange>>();
        byView.set(sender, { message, sender, content });
        this.viewChanges.set(content.view, byView);
        return;
      }
      default:
    }
  }

  seenOf({ epoch, view, sequence, digest }: Tip & { epoch: number }): Seen {
    const key = `${epoch}/${view}/${sequence}/${toHex(digest)}`;
    let seen = this.#seen.get(key);
    if (seen === undefined) {
      seen = { epoch, view, sequence, digest, prepares: new Map(), commits: new Map() };
      this.#seen.set(key, seen);
    }
    return seen;
  }

  /** The signatures of a prepared certificate, with those of the faulty, or null when it takes more. */
  prepared({ epoch, view, sequence, digest, prepares }: Seen): MemberSignature[] | null {
    const primary = primaryOf(this.#configuration, view);
    return this.#quorumOf(prepares, (id) => {
      const kind = id === primary ? ('pre-prepare' as const) : ('prepare' as const);
      return { kind, epoch, view, sequence, digest };
    });
  }

  /** A checkpoint that is stable with the faulty members' signatures, or null: what few honest ones have executed may be one. */
  stable(header: Uint8Array, content: Checkpoint): CheckpointProof | null {
    const signatures = this.#quorumOf(this.#signaturesUnder(content.digest), () => content);
    return signatures === null ? null : { header, signatures };
  }

  #quorumOf(
    honest: ReadonlyMap<string, Uint8Array>,
    contentOf: (id: string) => Content,
  ): MemberSignature[] | null {
    const signatures = new Map(honest);
    for (const id of this.#faulty) signatures.set(id, signedBy(id, contentOf(id)).message.signature);
    if (!isQuorum(this.#configuration, signatures.keys())) return null;
    return [...signatures].map(([sender, signature]) => ({ sender, signature }));
  }

  #signaturesUnder(digest: Uint8Array): Map<string, Uint8Array> {
    const key = toHex(digest);
    const signatures = this.#checkpoints.get(key) ?? new Map<string, Uint8Array>();
    this.#checkpoints.set(key, signatures);
    return signatures;
  }

  /** Counts every faulty member as a supporter of everything: what could be decided must never be two things. */
  #checkDecidable(vote: Tip & { epoch: number }): void {
    const { commits } = this.seenOf(vote);
    if (!isQuorum(this.#configuration, [...commits.keys(), ...this.#faulty])) return;
    const digests = this.#decidable.get(vote.sequence) ?? new Map<string, number>();
    this.#decidable.set(vote.sequence, digests);
    const digest = toHex(vote.digest);
    if (digests.has(digest)) return;
    digests.set(digest, vote.view);
    if (vote.view > 0) this.lateDecisions++;
    if (digests.size > 1) {
      const views = [...digests.values()].join(' and ');
      throw new Error(`two decisions are possible at sequence ${vote.sequence}, in views ${views}`);
    }
  }
}

/** Anything at all, signed with a member's key. */
export function signedBy(
  sender: string,
  content: Content,
  batch: Batch = [],
  evidence: Uint8Array = NO_EVIDENCE,
): Statement {
  const { sign } = createCheapSigner(sender);
  return signStatement({ networkId: NETWORK_ID, sender, content, batch, evidence, sign });
}
