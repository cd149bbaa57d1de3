import { CodedError, errorCode, sha256, toHex } from '@nemea/core';
import type { TaskOrder } from '@nemea/node/owner';
import type { Kernel } from '../kernel/kernel.ts';
import type { SeededRandom } from '../kernel/random.ts';
import type { OwnerHost } from '../world/owner-host.ts';
import { codeOf, digestOf, type ProgramName } from './programs.ts';

const PAYLOAD_BYTES = 300;
const FEE = 103n;
const FAR_FUTURE_S = 4_000_000_000;
const LIMITS: TaskOrder['limits'] = {
  timeoutMs: 4_000,
  memoryBytes: 256 << 20,
  pids: 16,
  outputBytes: 1 << 20,
};

/** What stands between an order and its result, beside its program. */
export type Hurdle = 'none' | 'rule-of-other-code';

/** A task that owners want to be run on their data, and what must come out. */
export interface Order {
  readonly name: string;
  readonly program: ProgramName;
  readonly hurdle: Hurdle;
  readonly owners: readonly OwnerHost[];
  readonly payloads: readonly Uint8Array[];
  /** The result; undefined where there must be none. */
  readonly expected: Uint8Array | undefined;
  /** Its first capsule, once it is registered: what layer 1 shows of the task tells by it which order it is. */
  capsuleId?: string;
  /** Set when its owners could not put it into escrow. */
  isDropped: boolean;
}

class OffError extends CodedError<'OWNER_OFF'> {}

/** All orders of a simulated network, put into escrow by the production code of their owners. */
export class OrderBook {
  readonly orders: Order[] = [];
  readonly #kernel: Kernel;
  readonly #image: { readonly digest: Uint8Array; readonly name: string };
  readonly #random: SeededRandom;

  constructor(kernel: Kernel, image: { readonly digest: Uint8Array; readonly name: string }) {
    this.#kernel = kernel;
    this.#image = image;
    this.#random = kernel.random.fork('orders');
  }

  /** The order that a task on layer 1 was made for; undefined for tasks of others. */
  orderOf(capsuleIds: readonly Uint8Array[]): Order | undefined {
    const first = capsuleIds[0] === undefined ? undefined : toHex(capsuleIds[0]);
    return first === undefined ? undefined : this.orders.find(({ capsuleId }) => capsuleId === first);
  }

  /** Owners seal data of theirs for a program, and the first of them puts the task into escrow. */
  place(program: ProgramName, owners: readonly OwnerHost[], hurdle: Hurdle = 'none'): Order {
    const payloads = owners.map(() => this.#random.bytes(PAYLOAD_BYTES));
    const isRunnable = program === 'digest' && hurdle === 'none';
    const order: Order = {
      name: `order ${this.orders.length + 1}`,
      program,
      hurdle,
      owners,
      payloads,
      expected: isRunnable ? digestOf(payloads) : undefined,
      isDropped: false,
    };
    this.orders.push(order);
    this.#kernel.note('author', `${order.name}: ${program} for ${owners.map(({ name }) => name).join(', ')}`);
    this.#submit(order).catch((error: unknown) => {
      this.#kernel.note('author', `${order.name} is dropped: ${errorCode(error)}`);
      order.isDropped = true;
    });
    return order;
  }

  async #submit(order: Order): Promise<void> {
    const capsuleIds: string[] = [];
    for (const [index, host] of order.owners.entries()) {
      const { capsuleId } = await this.#seal(order, host, order.payloads[index] as Uint8Array);
      capsuleIds.push(capsuleId);
      order.capsuleId ??= capsuleId;
    }
    const author = order.owners[0]?.owner;
    if (author === undefined) throw new OffError('OWNER_OFF', 'its author is off');
    await author.submitTask({
      codeFile: order.program,
      entry: 'main',
      imageDigest: this.#image.digest,
      imageName: this.#image.name,
      capsuleIds,
      fee: FEE,
      minLevel: 1,
      minCredit: 0,
      limits: LIMITS,
    });
  }

  #seal(order: Order, host: OwnerHost, payload: Uint8Array) {
    if (host.owner === undefined) throw new OffError('OWNER_OFF', `${host.name} is off`);
    const code = codeOf(order.program);
    host.files.set(order.name, payload).set(order.program, code);
    const permitted = order.hurdle === 'rule-of-other-code' ? codeOf('raising') : code;
    const rule = {
      codeDigest: sha256(permitted),
      imageDigest: this.#image.digest,
      minCredit: 0,
      minLevel: 1,
      expiryS: FAR_FUTURE_S,
    };
    return host.owner.seal({ file: order.name, mediaType: 'application/octet-stream', rule });
  }
}
