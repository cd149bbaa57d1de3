/**
 * Agreement in one process: production replicas, Ed25519, signed messages, each checked once for all receivers; no
 * network, no disk, no waiting. The limit is what the checks of two messages a member and decision alone would take.
 */

import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import {
  authenticate,
  createReplica,
  drive,
  type Input,
  isRedundant,
  type Outbound,
  primaryOf,
  type ReplicaState,
  type Sign,
  type SignedMessage,
  type Statement,
  settle,
} from '@nemea/consensus';
import { createEd25519Signer, createEd25519Verifier } from '@nemea/consensus/ed25519';
import { assert, fromUtf8, sha256, type Verified } from '@nemea/core';
import { COMPUTING, race, type Samples } from './measure.ts';
import { type Row, rowOf } from './row.ts';

const NETWORK_ID = new Uint8Array(32).fill(1);
const DECISIONS_AT_ONCE = 64;
/** As many as a primary has in flight by default: more only take memory here, where nothing waits. */
const IN_FLIGHT = 4;
const OPERATIONS = 1_000;

/**
 * One cluster at a time: each is measured in turns with the limit, and not beside what others leave in memory. The largest
 * comes first, so that the code is warm for all that follow.
 */
export async function benchConsensus(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const size of [64, 16, 4]) rows.push(await decisions(size));
  return [...rows, await unsignedOperations()];
}

async function decisions(size: number): Promise<Row> {
  const cluster = new InProcessCluster(size);
  const decide = () => cluster.decide(DECISIONS_AT_ONCE, 1);
  const rates = await race({ verify: rawVerify(), decide }, COMPUTING);
  return rowOf({
    group: 'consensus',
    unit: 'perS',
    own: { name: `decisions, n = ${size}`, samples: rates.decide },
    peer: { name: `limit by ${2 * size} Ed25519 checks each`, samples: divide(rates.verify, 2 * size) },
    target: { of: 'ratio', atLeast: 0.7 },
  });
}

async function unsignedOperations(): Promise<Row> {
  const cluster = new InProcessCluster(4, OPERATIONS);
  const rates = await race({ decide: () => OPERATIONS * cluster.decide(8, OPERATIONS) }, COMPUTING);
  return rowOf({
    group: 'consensus',
    unit: 'perS',
    own: { name: `unsigned operations, batches of ${OPERATIONS}, n = 4`, samples: rates.decide },
    target: { of: 'value', atLeast: 100_000 },
  });
}

/** The checks that the replicas make, and nothing else. */
export function rawVerify(): () => number {
  const seed = sha256(fromUtf8('signer'));
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
  const privateKey = createPrivateKey({ key: Buffer.concat([prefix, seed]), format: 'der', type: 'pkcs8' });
  const key = createPublicKey(privateKey);
  const message = new Uint8Array(32);
  const signature = sign(null, message, privateKey);
  return () => {
    for (let i = 0; i < 64; i++) assert(verify(null, message, key, signature), 'an honest signature passes');
    return 64;
  };
}

interface Node {
  readonly id: string;
  readonly state: ReplicaState;
  readonly sign: Sign;
  executed: number;
}

/**
 * Replicas and a queue between them. A message is encoded and checked once, by the first that needs it. Timers never
 * fire: nothing is lost here, so nothing is late.
 */
export class InProcessCluster {
  readonly size: number;
  checks = 0;
  readonly #nodes: Node[] = [];
  readonly #queue: Delivery[] = [];
  readonly #keys = new Map<string, Uint8Array>();
  readonly #verify = createEd25519Verifier();
  #operations = 0;

  constructor(size: number, operations = 1) {
    this.size = size;
    const ids = Array.from({ length: size }, (_, index) => `r${index}`);
    const signers = ids.map((id) => ({ id, ...createEd25519Signer(sha256(fromUtf8(id))) }));
    const members = signers.map(({ id, publicKey }) => ({ id, publicKey, weight: 1 }));
    for (const { id, publicKey } of signers) this.#keys.set(id, publicKey);
    const settings =
      operations === 1 ? { eagerBatches: IN_FLIGHT } : { eagerBatches: 1, batchOperations: operations };
    for (const { id, sign } of signers) {
      const options = { id, networkId: NETWORK_ID, members, verify: this.#verify, settings };
      const { state, effects } = createReplica(options);
      const node = { id, state, sign, executed: 0 };
      this.#nodes.push(node);
      this.#perform(node, settle(node, effects));
    }
    this.#drain();
  }

  /** Orders so many batches and waits until every replica has executed them. */
  decide(decisions: number, operationsEach: number): number {
    const primary = this.#nodes.find(({ id, state }) => primaryOf(state.configuration, state.view) === id);
    assert(primary !== undefined, 'somebody leads');
    const before = primary.executed;
    for (let decided = 0; decided < decisions; decided++) {
      for (let i = 0; i < operationsEach; i++) {
        const operation = fromUtf8(`operation ${this.#operations++}`);
        this.#feed(primary, { type: 'request', operation });
      }
      // A batch is full before it goes out only when others are on their way.
      if (operationsEach === 1 && decided % IN_FLIGHT === IN_FLIGHT - 1) this.#drain();
    }
    this.#drain();
    for (const { executed } of this.#nodes) {
      assert(executed >= before + 1, `every replica decides: got ${executed}, want more than ${before}`);
    }
    return operationsEach === 1 ? primary.executed - before : decisions;
  }

  #feed(node: Node, input: Input): void {
    this.#perform(node, drive(node, input));
  }

  #perform(node: Node, effects: readonly Outbound[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'transmit': {
          this.#queue.push({ node, to: effect.to, message: effect.message, executed: 0 });
          break;
        }
        case 'commit': {
          const { sequence } = effect.decision;
          node.executed = sequence;
          this.#queue.push({ node, to: null, message: null, executed: sequence });
          break;
        }
        default:
          // There is no disk, and timers do not fire.
          break;
      }
    }
  }

  /** To all others, or to one. The first that needs the message has it checked. */
  #deliver(from: Node, to: string | null, message: SignedMessage): void {
    let statement: Verified<Statement> | null = null;
    for (const target of this.#nodes) {
      if (target === from || (to !== null && to !== target.id)) continue;
      if (statement === null && isRedundant(target.state, message)) continue;
      statement ??= this.#authenticate(message);
      this.#feed(target, { type: 'message', statement });
    }
  }

  #authenticate(message: SignedMessage): Verified<Statement> {
    this.checks++;
    const publicKeyOf = (id: string) => this.#keys.get(id);
    return authenticate({ networkId: NETWORK_ID, message, publicKeyOf, verify: this.#verify });
  }

  #drain(): void {
    for (let next = 0; next < this.#queue.length; next++) {
      const { node, to, message, executed: sequence } = this.#queue[next] as Delivery;
      if (message !== null) this.#deliver(node, to, message);
      else this.#feed(node, { type: 'executed', sequence, members: null });
    }
    this.#queue.length = 0;
  }
}

/** A message of a replica, or the end of an execution. */
interface Delivery {
  readonly node: Node;
  readonly to: string | null;
  readonly message: SignedMessage | null;
  readonly executed: number;
}

function divide({ median, min, max }: Samples, by: number): Samples {
  return { median: median / by, min: min / by, max: max / by };
}
