import { CodedError, errorCode, fromHex, toHex } from '@nemea/core';
import { ADMISSION_EPOCHS, membersInOrder, type Vote } from '@nemea/membership';
import { LedgerError, type Receipt, voteDigest } from '@nemea/sdk';
import { type Hex, recoverAddress } from 'viem';
import type { NodeContext } from './context.ts';
import { VOTES_MAX } from './outbox.ts';
import { peerIdOf } from './peers/peer-id.ts';
import { sleep } from './ports/clock.ts';
import { PROTOCOLS, voteMessageCodec } from './protocol.ts';

/** Signatures of one peer kept for votes that this node has not reached yet, and peers whose are kept. */
const EARLY_PER_PEER_MAX = 64;
const PEERS_MAX = 256;
/** The next member in line submits when the one before it has not. */
const SUBMIT_STEP_MS = 2_000;
const CERTIFICATE_POLL_MS = 50;
/** A signature or a submission that led to nothing is repeated after this, then ever later. */
const REPEAT_MIN_MS = 4_000;
const REPEAT_MAX_MS = 60_000;
/** Longer than a layer 1 that anyone would use is away. After that a restart tries again. */
const REPEAT_FOR_MS = 24 * 60 * 60_000;

interface Ballot {
  readonly vote: Vote;
  readonly digest: string;
  readonly castAtMs: number;
  /** Signature by the signer's account. */
  readonly signatures: Map<string, string>;
  /** Signatures that nobody has looked at yet, by the peer that sent them. */
  readonly uncounted: Map<string, string>;
}

export class VoteError extends CodedError<'VOTE_SIGNER_UNKNOWN' | 'VOTE_SIGNATURE_INVALID'> {}

/** Half the order of secp256k1: the contract refuses a larger s, which anybody could have flipped. */
const S_MAX = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;

/** Whether the contract would take these bytes: one signature has many encodings, and it accepts one. */
export function isCanonicalSignature(signature: string): boolean {
  const s = BigInt(`0x${signature.slice(66, 130)}`);
  return signature.length === 132 && s > 0n && s <= S_MAX && /1[bc]$/.test(signature);
}

/**
 * Turns decisions of consensus into quorum certificates for layer 1: every member signs the same EIP-712 message, the
 * signatures are exchanged, and members take turns to submit. Signatures and submissions are repeated until layer 1 shows
 * the result: either may be lost, and a decision that layer 1 never hears of keeps a task in escrow [MEMB-34] [MEMB-35].
 */
export class Votes {
  readonly #context: NodeContext;
  readonly #ballots = new Map<string, Ballot>();
  /** Signatures for votes that this node has not reached, by the peer that sent them, then by vote. */
  readonly #early = new Map<string, Map<string, string>>();
  readonly #onReceipt: (vote: Vote, receipt: Receipt) => void;
  #isClosed = false;

  constructor(context: NodeContext, onReceipt: (vote: Vote, receipt: Receipt) => void) {
    this.#context = context;
    this.#onReceipt = onReceipt;
  }

  /** Signs a vote and sends the signature to every member. */
  async cast(vote: Vote): Promise<void> {
    const digest = voteDigest(this.#context.ledger.network, vote);
    const key = digest.slice(2);
    if (this.#ballots.has(key)) return;
    const castAtMs = this.#context.clock.elapsedMs();
    const ballot: Ballot = { vote, digest, castAtMs, signatures: new Map(), uncounted: new Map() };
    this.#ballots.set(key, ballot);
    if (this.#ballots.size > VOTES_MAX) this.#ballots.delete(this.#ballots.keys().next().value as string);
    const signature = await this.#context.ledger.signVote(vote);
    ballot.signatures.set(this.#context.ledger.account, signature);
    this.#send(ballot, signature);
    for (const [peer, early] of this.#early) {
      const waiting = early.get(key);
      if (waiting !== undefined) ballot.uncounted.set(peer, waiting);
      early.delete(key);
    }
    void this.#repeat(ballot, signature);
    void this.#submitInTurn(ballot);
  }

  /** Signs a vote of an earlier life of this node once more, unless layer 1 has taken it meanwhile. */
  async recast(vote: Vote): Promise<void> {
    if (!this.#isOver(vote)) await this.cast(vote);
  }

  /**
   * Takes a member's signature. It is only kept: whoever needs a certificate counts, so that recovering signers costs
   * one member, and not all of them. Each peer has its own places; what it puts there cannot crowd out another's.
   */
  receive(peer: string, message: Uint8Array): void {
    const { digest, signature } = voteMessageCodec.parse(message);
    const key = toHex(digest);
    const ballot = this.#ballots.get(key);
    if (ballot !== undefined) {
      ballot.uncounted.set(peer, signature);
      return;
    }
    const early = this.#early.get(peer) ?? new Map<string, string>();
    early.set(key, signature);
    if (early.size > EARLY_PER_PEER_MAX) early.delete(early.keys().next().value as string);
    this.#early.set(peer, early);
    if (this.#early.size > PEERS_MAX) this.#early.delete(this.#early.keys().next().value as string);
  }

  /** The certificate of a vote once its signatures outweigh two thirds, sorted as the contract wants them. */
  async certificate(vote: Vote): Promise<readonly string[] | undefined> {
    const ballot = this.#ballots.get(voteDigest(this.#context.ledger.network, vote).slice(2));
    return ballot === undefined ? undefined : this.#certificateOf(ballot);
  }

  async #certificateOf(ballot: Ballot): Promise<readonly string[] | undefined> {
    while (!this.#hasQuorum(ballot)) {
      const next = ballot.uncounted.entries().next();
      if (next.done === true) return undefined;
      const [peer, signature] = next.value;
      ballot.uncounted.delete(peer);
      try {
        await this.#count(ballot, signature);
      } catch (error) {
        // One that does not count must not hide those that come after it.
        this.#context.logger.debug(
          { vote: ballot.vote.type, peer, code: errorCode(error) },
          'signature not counted',
        );
      }
    }
    return sortedSignatures(ballot, this.#weights());
  }

  close(): void {
    this.#isClosed = true;
  }

  async #count(ballot: Ballot, signature: string): Promise<void> {
    if (!isCanonicalSignature(signature)) {
      throw new VoteError('VOTE_SIGNATURE_INVALID', 'signature is not in the one form that layer 1 takes');
    }
    let signer: string;
    try {
      signer = (
        await recoverAddress({ hash: ballot.digest as Hex, signature: signature as Hex })
      ).toLowerCase();
    } catch (cause) {
      throw new VoteError('VOTE_SIGNATURE_INVALID', 'signature recovers to nobody', { cause });
    }
    if (!this.#isSigner(signer)) {
      throw new VoteError('VOTE_SIGNER_UNKNOWN', `signer ${signer} is no voter`);
    }
    ballot.signatures.set(signer, signature);
  }

  /** By layer 1, or by the roster, which may be ahead of what this node has read of layer 1; only weight there counts. */
  #isSigner(account: string): boolean {
    return this.#weights().has(account) || this.#context.state().roster.has(account);
  }

  #weights(): ReadonlyMap<string, number> {
    return this.#context.ledger.history.weights();
  }

  #hasQuorum(ballot: Ballot): boolean {
    const weights = this.#weights();
    let total = 0;
    let signed = 0;
    for (const [account, weight] of weights) {
      total += weight;
      if (ballot.signatures.has(account)) signed += weight;
    }
    return signed * 3 > total * 2;
  }

  /** Members take turns until layer 1 shows the result; the one whose turn it is counts and submits. */
  async #submitInTurn(ballot: Ballot): Promise<void> {
    const { clock, ledger, logger } = this.#context;
    const order = membersInOrder(this.#context.state().roster).map((member) => member.account);
    if (!order.includes(ledger.account)) return;
    const turn = Number(BigInt(ballot.digest) % BigInt(order.length));
    const rank = (order.indexOf(ledger.account) - turn + order.length) % order.length;
    await sleep(clock, rank * SUBMIT_STEP_MS);
    let retryMs = SUBMIT_STEP_MS;
    while (this.#isOpen(ballot)) {
      if (this.#isTooEarly(ballot)) {
        await sleep(clock, SUBMIT_STEP_MS);
        continue;
      }
      const certificate = await this.#certificateOf(ballot);
      if (certificate === undefined) {
        const isLate = clock.elapsedMs() - ballot.castAtMs > REPEAT_MAX_MS;
        await sleep(clock, isLate ? REPEAT_MIN_MS : CERTIFICATE_POLL_MS);
        continue;
      }
      try {
        this.#onReceipt(ballot.vote, await ledger.submitVote(ballot.vote, certificate));
        return;
      } catch (error) {
        const refused = error instanceof LedgerError ? error.data : {};
        logger.info(
          { vote: ballot.vote.type, code: errorCode(error), ...refused },
          'layer 1 did not take the vote yet',
        );
        await sleep(clock, retryMs);
        retryMs = Math.min(2 * retryMs, REPEAT_MAX_MS);
      }
    }
  }

  /**
   * Records of epochs go to layer 1 in their order: it takes none that is older than what it has, and without one nobody can
   * redo the rosters after it.
   */
  #isTooEarly({ vote }: Ballot): boolean {
    if (vote.type !== 'EpochRecord') return false;
    return [...this.#ballots.values()].some(
      (other) => other.vote.type === 'EpochRecord' && other.vote.epoch < vote.epoch && this.#isOpen(other),
    );
  }

  /** Sends the own signature again and again: whoever missed it may be the one that the certificate waits for. */
  async #repeat(ballot: Ballot, signature: string): Promise<void> {
    const { clock } = this.#context;
    for (let waitMs = REPEAT_MIN_MS; ; waitMs = Math.min(2 * waitMs, REPEAT_MAX_MS)) {
      await sleep(clock, waitMs);
      if (!this.#isOpen(ballot)) return;
      this.#send(ballot, signature);
    }
  }

  /** Until layer 1 shows the result, as many newer votes have come as are kept, or a day is over. */
  #isOpen({ vote, digest, castAtMs }: Ballot): boolean {
    if (this.#isClosed || !this.#ballots.has(digest.slice(2))) return false;
    return this.#context.clock.elapsedMs() - castAtMs < REPEAT_FOR_MS && !this.#isOver(vote);
  }

  /** Layer 1 shows the result, or will never take the certificate. */
  #isOver(vote: Vote): boolean {
    const { history } = this.#context.ledger;
    const { events } = history;
    switch (vote.type) {
      // Who left or was evicted may be admitted, and evicted, again: what was done in epochs before is another vote's.
      case 'Admission':
        return events.some(
          (event) =>
            (event.type === 'node-admitted' &&
              event.record.account === vote.record.account &&
              history.epochOf(event.block) >= vote.epoch) ||
            (event.type === 'epoch' && event.epoch > vote.epoch + ADMISSION_EPOCHS),
        );
      case 'Eviction':
        return events.some(
          (event) =>
            event.type === 'node-evicted' &&
            event.account === vote.account &&
            history.epochOf(event.block) >= vote.epoch,
        );
      case 'EpochRecord':
        return events.some((event) => event.type === 'epoch' && event.epoch >= vote.epoch);
      case 'Election': {
        const id = toHex(vote.taskId);
        return events.some(
          (event) =>
            (event.type === 'executor-committed' && event.taskId === id && event.attempt >= vote.attempt) ||
            ((event.type === 'task-settled' || event.type === 'task-ended') && event.taskId === id),
        );
      }
      case 'Settlement':
      case 'TaskFailure': {
        const id = toHex(vote.taskId);
        return events.some(
          (event) => (event.type === 'task-settled' || event.type === 'task-ended') && event.taskId === id,
        );
      }
      case 'DisputeVerdict': {
        const id = toHex(vote.disputeId);
        return events.some((event) => event.type === 'dispute-resolved' && event.disputeId === id);
      }
    }
  }

  #send(ballot: Ballot, signature: string): void {
    const message = voteMessageCodec.encode({ digest: fromHex(ballot.digest), signature });
    for (const member of this.#context.state().roster.values()) {
      if (member.account === this.#context.ledger.account) continue;
      this.#context.overlay().send(peerIdOf(member.peerKey), PROTOCOLS.vote, message);
    }
  }
}

/** Signatures that count now: the contract refuses a list that names a signer without weight. */
function sortedSignatures(ballot: Ballot, weights: ReadonlyMap<string, number>): string[] {
  return [...ballot.signatures.entries()]
    .filter(([account]) => (weights.get(account) ?? 0) > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, signature]) => signature);
}
