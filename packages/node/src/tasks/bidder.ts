import { errorCode, toHex } from '@nemea/core';
import {
  isDrawRipe,
  mayServe,
  membersInOrder,
  type TaskOnLedger,
  taskAlpha,
  taskDrawSeed,
} from '@nemea/membership';
import type { NodeContext } from '../context.ts';
import { sleep } from '../ports/clock.ts';

/** A retry is drawn from a block that is still to come. */
const START_BLOCK_TIMEOUT_MS = 60_000;
const CLOSE_STEP_MS = 2_000;
const CLOSE_POLL_MS = 100;
const CLOSE_TRIES = 10;

/** Draws this node for every task that it may run or verify, and sees to it that the draw is closed. */
export class Bidder {
  readonly #context: NodeContext;
  /** Whether this machine can run the task's image now. */
  readonly #canRun: (task: TaskOnLedger) => boolean;
  readonly #proofs = new Map<string, Uint8Array>();

  constructor(context: NodeContext, canRun: (task: TaskOnLedger) => boolean) {
    this.#context = context;
    this.#canRun = canRun;
  }

  /** The proof that drew this node as a verifier; shown with every challenge to the executor. */
  verifyProof(taskId: Uint8Array, attempt: number): Uint8Array | undefined {
    return this.#proofs.get(`${toHex(taskId)}:${attempt}`);
  }

  /** A draw opened: a task was created, or its executor was passed over. */
  async onBidding(
    task: TaskOnLedger,
    attempt: number,
    startBlock: number,
    excluded: readonly string[],
  ): Promise<void> {
    const context = this.#context;
    const self = context.self();
    if (self === undefined) return;
    const { history } = context.ledger;
    const epochSeed = await context.ledger.waitFor(
      () => taskDrawSeed(history, startBlock),
      START_BLOCK_TIMEOUT_MS,
    );
    void this.#closeInTurn(task.taskId, attempt);
    if (!mayServe(self, history.epochOf(startBlock))) return;
    const draw = { networkId: context.ledger.networkId, epochSeed };
    const mayRun =
      self.credit >= task.minCredit &&
      self.level >= task.minLevel &&
      !excluded.includes(self.account) &&
      this.#canRun(task) &&
      (await this.#coversFee(task));
    try {
      const execute = mayRun
        ? await context.tpm.vrfProve(taskAlpha(draw, 'execute', task.taskId, attempt))
        : null;
      const verify = await context.tpm.vrfProve(taskAlpha(draw, 'verify', task.taskId, attempt));
      this.#remember(`${toHex(task.taskId)}:${attempt}`, verify.proof);
      context.propose({ kind: 'bid', taskId: task.taskId, attempt, execute, verify });
    } catch (error) {
      context.logger.error(
        { task: toHex(task.taskId), code: errorCode(error), err: error },
        'could not draw for a task',
      );
    }
  }

  /** What a task may be worth is bounded by the deposit at stake (B7); the contract enforces it at settlement. */
  async #coversFee(task: TaskOnLedger): Promise<boolean> {
    const { ledger } = this.#context;
    const node = await ledger.read<{ deposit: bigint }>('nodeRegistry', 'node', [ledger.account]);
    return node.deposit >= task.fee;
  }

  /** Members take turns to close, so that one that is down delays a task and does not stop it. */
  async #closeInTurn(taskId: Uint8Array, attempt: number): Promise<void> {
    const { ledger } = this.#context;
    const order = membersInOrder(this.#context.state().roster).map((member) => member.account);
    const turn = (taskId[0] as number) % order.length;
    const rank = (order.indexOf(ledger.account) - turn + order.length) % order.length;
    await sleep(this.#context.clock, rank * CLOSE_STEP_MS);
    for (let tries = 0; tries < CLOSE_TRIES * (CLOSE_STEP_MS / CLOSE_POLL_MS); tries++) {
      const task = this.#context.state().tasks.get(toHex(taskId));
      if (
        task !== undefined &&
        (task.attempt !== attempt || task.election !== undefined || task.outcome !== 'open')
      ) {
        return;
      }
      const { roster } = this.#context.state();
      if (task !== undefined && isDrawRipe(roster, task, ledger.history.head)) {
        this.#context.propose({ kind: 'close-bids', taskId, attempt });
        await sleep(this.#context.clock, CLOSE_STEP_MS);
      } else {
        await sleep(this.#context.clock, CLOSE_POLL_MS);
      }
    }
  }

  #remember(key: string, proof: Uint8Array): void {
    this.#proofs.set(key, proof);
    if (this.#proofs.size > 256) this.#proofs.delete(this.#proofs.keys().next().value as string);
  }
}
