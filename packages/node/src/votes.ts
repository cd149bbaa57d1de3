import { CodedError, errorCode, fromHex, toHex } from '@nemea/core';
import { membersInOrder, type Vote } from '@nemea/membership';
import { LedgerError, type Receipt, voteDigest } from '@nemea/sdk';
import { type Hex, recoverAddress } from 'viem';
import { peerIdOf } from './adapters/network/peer-id.ts';
import type { NodeContext } from './context.ts';
import { PROTOCOLS, voteMessageCodec } from './protocol.ts';

/** Votes that this node takes part in at a time, and signatures kept for votes it has not reached yet. */
const VOTES_MAX = 512;
const EARLY_MAX = 4096;
/** The next member in line submits when the one before it has not. */
const SUBMIT_STEP_MS = 2_000;
const SUBMIT_TRIES = 6;

interface Ballot {
  readonly vote: Vote;
  readonly digest: string;
  /** Signature by the signer's account. */
  readonly signatures: Map<string, string>;
  state: 'collecting' | 'submitting' | 'done';
  tries: number;
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
 * signatures are exchanged, and members take turns to submit until layer 1 shows the result.
 */
export class Votes {
  readonly #context: NodeContext;
  readonly #ballots = new Map<string, Ballot>();
  readonly #early = new Map<string, string[]>();
  readonly #onReceipt: (vote: Vote, receipt: Receipt) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(context: NodeContext, onReceipt: (vote: Vote, receipt: Receipt) => void) {
    this.#context = context;
    this.#onReceipt = onReceipt;
  }

  /** Signs a vote and sends the signature to every member. */
  async cast(vote: Vote): Promise<void> {
    const digest = voteDigest(this.#context.ledger.network, vote);
    const key = digest.slice(2);
    if (this.#ballots.has(key)) return;
    const ballot: Ballot = { vote, digest, signatures: new Map(), state: 'collecting', tries: 0 };
    this.#ballots.set(key, ballot);
    if (this.#ballots.size > VOTES_MAX) this.#ballots.delete(this.#ballots.keys().next().value as string);
    const signature = await this.#context.ledger.signVote(vote);
    ballot.signatures.set(this.#context.ledger.account, signature);
    this.#send(ballot, signature);
    const waiting = this.#early.get(key) ?? [];
    this.#early.delete(key);
    for (const early of waiting) {
      // One that does not count must not hide those that came after it.
      await this.#count(ballot, early).catch((error: unknown) =>
        this.#context.logger.debug(
          { vote: vote.type, code: errorCode(error) },
          'early signature not counted',
        ),
      );
    }
    this.#maybeSubmit(ballot);
  }

  /** Takes a member's signature; one for a vote that this node has not reached waits until it has. */
  async receive(message: Uint8Array): Promise<void> {
    const { digest, signature } = voteMessageCodec.parse(message);
    const key = toHex(digest);
    const ballot = this.#ballots.get(key);
    if (ballot === undefined) {
      if (this.#early.size >= EARLY_MAX) this.#early.delete(this.#early.keys().next().value as string);
      const waiting = this.#early.get(key) ?? [];
      if (waiting.length < 64) this.#early.set(key, [...waiting, signature]);
      return;
    }
    await this.#count(ballot, signature);
    this.#maybeSubmit(ballot);
  }

  /** The certificate of a vote once its signatures outweigh two thirds, sorted as the contract wants them. */
  certificate(vote: Vote): readonly string[] | undefined {
    const ballot = this.#ballots.get(voteDigest(this.#context.ledger.network, vote).slice(2));
    return ballot !== undefined && this.#hasQuorum(ballot)
      ? sortedSignatures(ballot, this.#weights())
      : undefined;
  }

  close(): void {
    clearTimeout(this.#timer);
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

  /** A member that layer 1 has not admitted yet may sign already; its weight counts once it is. */
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

  #maybeSubmit(ballot: Ballot): void {
    if (ballot.state !== 'collecting' || !this.#hasQuorum(ballot)) return;
    ballot.state = 'submitting';
    void this.#submitInTurn(ballot);
  }

  async #submitInTurn(ballot: Ballot): Promise<void> {
    const { ledger, logger } = this.#context;
    const order = membersInOrder(this.#context.state().roster).map((member) => member.account);
    const turn = Number(BigInt(ballot.digest) % BigInt(Math.max(1, order.length)));
    const rank = (order.indexOf(ledger.account) - turn + order.length) % Math.max(1, order.length);
    await sleep(rank * SUBMIT_STEP_MS);
    while (ballot.tries < SUBMIT_TRIES && !this.#isOnLedger(ballot.vote)) {
      ballot.tries += 1;
      try {
        const receipt = await ledger.submitVote(ballot.vote, sortedSignatures(ballot, this.#weights()));
        this.#onReceipt(ballot.vote, receipt);
        break;
      } catch (error) {
        const refused = error instanceof LedgerError ? error.data : {};
        logger.info(
          { vote: ballot.vote.type, code: errorCode(error), ...refused },
          'layer 1 did not take the vote yet',
        );
        await sleep(SUBMIT_STEP_MS);
      }
    }
    ballot.state = 'done';
  }

  #isOnLedger(vote: Vote): boolean {
    const { events } = this.#context.ledger.history;
    switch (vote.type) {
      case 'Admission':
        return this.#lastChange(vote.record.account) === 'node-admitted';
      case 'Eviction':
        return this.#lastChange(vote.account) === 'node-evicted';
      case 'EpochRecord':
        return events.some((event) => event.type === 'epoch' && event.epoch >= vote.epoch);
      case 'Election': {
        const id = toHex(vote.taskId);
        return events.some(
          (event) =>
            event.type === 'executor-committed' && event.taskId === id && event.attempt >= vote.attempt,
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

  /** What layer 1 last did with an account: one that was evicted may be admitted, and evicted, again. */
  #lastChange(account: string): 'node-admitted' | 'node-evicted' | undefined {
    for (const event of this.#context.ledger.history.events.toReversed()) {
      if (event.type === 'node-admitted' && event.record.account === account) return event.type;
      if (event.type === 'node-evicted' && event.account === account) return event.type;
    }
    return undefined;
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

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
