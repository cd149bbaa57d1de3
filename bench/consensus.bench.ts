/** Agreement in one process: production replicas, Ed25519, encoded messages; no network, no disk, no waiting. */
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import {
  authenticate,
  createReplica,
  drive,
  encodeMessage,
  encodeRecord,
  type Input,
  type Outbound,
  parseMessage,
  type ReplicaState,
  type Sign,
  settle,
} from '@nemea/consensus';
import { assert, fromUtf8, sha256 } from '@nemea/core';
import { createEd25519Signer, createEd25519Verifier } from '../packages/consensus/src/ed25519.ts';
import { COMPUTING, race, type Samples } from './measure.ts';
import { type Row, rowOf } from './row.ts';

const NETWORK_ID = new Uint8Array(32).fill(1);
const SIZES = [4, 16] as const;
const DECISIONS_AT_ONCE = 8;

export async function benchConsensus(): Promise<Row[]> {
  const clusters = SIZES.map((size) => new InProcessCluster(size));
  const [small, large] = clusters as [InProcessCluster, InProcessCluster];
  const rates = await race(
    {
      verify: rawVerify(),
      small: () => small.decide(DECISIONS_AT_ONCE),
      large: () => large.decide(DECISIONS_AT_ONCE),
    },
    COMPUTING,
  );
  return clusters.map((cluster, index) => {
    const checks = cluster.checks / cluster.decisions;
    return rowOf({
      group: 'consensus',
      unit: 'perS',
      own: { name: `decisions, n = ${cluster.size}`, samples: index === 0 ? rates.small : rates.large },
      peer: {
        name: `limit by ${checks.toFixed(1)} Ed25519 checks each`,
        samples: divide(rates.verify, checks),
      },
    });
  });
}

/** The checks that the replicas make, and nothing else. */
function rawVerify(): () => number {
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
}

/** Replicas and a queue between them. Timers never fire: nothing is lost here, so nothing is late. */
class InProcessCluster {
  readonly size: number;
  checks = 0;
  decisions = 0;
  readonly #nodes = new Map<string, Node>();
  readonly #queue: (() => void)[] = [];
  readonly #executed = new Map<string, number>();
  #operations = 0;

  constructor(size: number) {
    this.size = size;
    const ids = Array.from({ length: size }, (_, index) => `r${index}`);
    const signers = ids.map((id) => ({ id, ...createEd25519Signer(sha256(fromUtf8(id))) }));
    const members = signers.map(({ id, publicKey }) => ({ id, publicKey, weight: 1 }));
    for (const { id, sign } of signers) {
      const verifySignature = createEd25519Verifier();
      const options = { id, networkId: NETWORK_ID, members, verify: this.#counted(verifySignature) };
      const { state, effects } = createReplica(options);
      const node = { id, state, sign };
      this.#nodes.set(id, node);
      this.#receivers.set(id, { publicKeyOf: keysOf(members), verify: options.verify });
      this.#perform(node, settle(node, effects));
    }
    this.#drain();
  }

  readonly #receivers = new Map<string, Pick<Parameters<typeof authenticate>[0], 'publicKeyOf' | 'verify'>>();

  /** Orders so many operations, one after the other, and waits until every replica has executed each. */
  decide(count: number): number {
    for (let i = 0; i < count; i++) {
      const operation = fromUtf8(`operation ${this.#operations++}`);
      for (const node of this.#nodes.values()) this.#feed(node, { type: 'request', operation });
      this.#drain();
      this.decisions++;
      for (const executed of this.#executed.values()) {
        assert(executed === this.decisions, `every replica decides: got ${executed}, want ${this.decisions}`);
      }
    }
    return count;
  }

  #counted(verifySignature: ReturnType<typeof createEd25519Verifier>): typeof verifySignature {
    return (publicKey, message, signature) => {
      this.checks++;
      return verifySignature(publicKey, message, signature);
    };
  }

  #feed(node: Node, input: Input): void {
    this.#perform(node, drive(node, input));
  }

  #perform(node: Node, effects: readonly Outbound[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'persist':
          encodeRecord(effect.record);
          break;
        case 'transmit': {
          const bytes = encodeMessage(effect.message);
          for (const target of this.#nodes.values()) {
            if (target === node || (effect.to !== null && effect.to !== target.id)) continue;
            this.#queue.push(() => this.#receive(target, bytes));
          }
          break;
        }
        case 'commit': {
          const { sequence } = effect.decision;
          this.#executed.set(node.id, sequence);
          this.#queue.push(() => this.#feed(node, { type: 'executed', sequence, members: null }));
          break;
        }
        default:
          // Requests go to every replica at once, and timers do not fire.
          break;
      }
    }
  }

  #receive(node: Node, bytes: Uint8Array): void {
    const receiver = this.#receivers.get(node.id);
    assert(receiver !== undefined, 'every replica receives');
    const statement = authenticate({ networkId: NETWORK_ID, message: parseMessage(bytes), ...receiver });
    this.#feed(node, { type: 'message', statement });
  }

  #drain(): void {
    for (let next = 0; next < this.#queue.length; next++) this.#queue[next]?.();
    this.#queue.length = 0;
  }
}

function keysOf(members: readonly { id: string; publicKey: Uint8Array }[]) {
  const keys = new Map(members.map(({ id, publicKey }) => [id, publicKey]));
  return (id: string): Uint8Array | undefined => keys.get(id);
}

function divide({ median, min, max }: Samples, by: number): Samples {
  return { median: median / by, min: min / by, max: max / by };
}
