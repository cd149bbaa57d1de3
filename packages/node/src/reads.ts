import { type Answer, agreedAnswer, answerBytes, type Configuration } from '@nemea/consensus';
import { errorCode, hashDomain, toHex } from '@nemea/core';
import { type Member, rosterRoot } from '@nemea/membership';
import type { NodeContext } from './context.ts';
import { NodeError } from './errors.ts';
import { peerIdOf } from './peers/peer-id.ts';
import { agreedStateCodec, PROTOCOLS, queryAnswerCodec, queryCodec } from './protocol.ts';

const ANSWER_TIMEOUT_MS = 2_000;
/** An operation may be executed between two answers: then the members are asked anew. */
const ROUNDS_MAX = 3;

/** What a quorum of members says alike about the network. */
export interface AgreedState {
  readonly epochClosed: number;
  readonly members: number;
  readonly rosterRoot: string;
  /** Each of them had executed as many sequences, or more. */
  readonly sequence: number;
}

/** Who votes at the moment, and how far this node has executed. */
export interface Place {
  readonly configuration: Configuration;
  readonly sequence: number;
  /** Whether it has lost its journal: it may have told of more than it knows now. */
  readonly isFollowing: boolean;
}

/** The order of operations at this node. */
export interface Order {
  readonly place: Place;
  /** Puts what is executed on disk. */
  settle(): void;
}

/** Reads without ordering: what a quorum signs alike for one fresh question is no older than what was read before [CONS-29]. */
export class Reads {
  readonly #context: NodeContext;
  readonly #order: Order;

  constructor(context: NodeContext, order: Order) {
    this.#context = context;
    this.#order = order;
  }

  /** The answering side. Throws `NODE_NOT_READY` while this node only follows or is behind its epoch, and for what is no question. */
  answer(message: Uint8Array): Uint8Array {
    const { sequence, result, signature } = this.#answerTo(queryCodec.parse(message).fresh);
    return queryAnswerCodec.encode({ sequence, result, signature });
  }

  /** Asks all members. Throws `ANSWERS_DIVIDED` when no quorum says the same three times in a row. */
  async agreed(): Promise<AgreedState> {
    for (let round = 1; ; round++) {
      try {
        return await this.#ask();
      } catch (error) {
        if (errorCode(error) !== 'ANSWERS_DIVIDED' || round === ROUNDS_MAX) throw error;
      }
    }
  }

  async #ask(): Promise<AgreedState> {
    const { ledger, random, state, verifySignature } = this.#context;
    const fresh = random(32);
    const asked = [...state().roster.values()].map((member) => this.#askMember(member, fresh));
    const answers = (await Promise.all(asked)).filter((answer) => answer !== undefined);
    const judge = {
      configuration: this.#order.place.configuration,
      networkId: ledger.networkId,
      verify: verifySignature,
    };
    const { result, sequence } = agreedAnswer(judge, queryDigest(fresh), answers);
    const agreed = agreedStateCodec.parse(result);
    return { ...agreed, rosterRoot: toHex(agreed.rosterRoot), sequence };
  }

  async #askMember(member: Member, fresh: Uint8Array): Promise<Answer | undefined> {
    const { ledger, logger, overlay } = this.#context;
    try {
      if (member.account === ledger.account) return this.#answerTo(fresh);
      const received = await overlay().request(
        peerIdOf(member.peerKey),
        PROTOCOLS.query,
        queryCodec.encode({ fresh }),
        { timeoutMs: ANSWER_TIMEOUT_MS },
      );
      return { sender: member.account, ...queryAnswerCodec.parse(received) };
    } catch (error) {
      // One that does not answer is left out: a quorum suffices.
      logger.debug({ account: member.account, code: errorCode(error) }, 'member did not answer a query');
      return undefined;
    }
  }

  #answerTo(fresh: Uint8Array): Answer {
    const { ledger, sign, state } = this.#context;
    const { configuration, sequence, isFollowing } = this.#order.place;
    const { epoch } = configuration;
    if (isFollowing) throw new NodeError('NODE_NOT_READY', 'this node has lost its journal and only follows');
    // Members of the epoch before may have told of all up to its end.
    if (sequence < epoch - 1)
      throw new NodeError('NODE_NOT_READY', 'this node has not executed all that came before the epoch');
    // What it tells of it must not forget, or a later quorum might be read that knows less.
    this.#order.settle();
    const { epochClosed, roster } = state();
    const result = agreedStateCodec.encode({
      epochClosed,
      members: roster.size,
      rosterRoot: rosterRoot(roster),
    });
    const signature = sign(answerBytes(ledger.networkId, queryDigest(fresh), { epoch, sequence, result }));
    return { sender: ledger.account, sequence, result, signature };
  }
}

function queryDigest(fresh: Uint8Array): Uint8Array {
  return hashDomain('nemea/query/1', fresh);
}
