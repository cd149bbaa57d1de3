import { errorCode, fromHex, toHex } from '@nemea/core';
import {
  ATTEMPT_OVERHEAD_S,
  FAILURE_REASONS,
  isDrawRipe,
  type MembershipState,
  type TaskOnLedger,
} from '@nemea/membership';
import type { NodeContext } from '../context.ts';
import type { Bidder } from '../tasks/bidder.ts';
import { placeInLine, type Repeats } from './turns.ts';

/** Blocks after which any member closes a draw that is ripe. */
const OVERDUE_BLOCKS = 10;
const AGAIN_MS = 10_000;

/** Bids for tasks, and sees to it that none is lost: draws are closed, and runs that take too long expire. */
export class TaskDuty {
  readonly #context: NodeContext;
  readonly #bidder: Bidder;
  readonly #repeats: Repeats;

  constructor(context: NodeContext, bidder: Bidder, repeats: Repeats) {
    this.#context = context;
    this.#bidder = bidder;
    this.#repeats = repeats;
  }

  /** A task stands on layer 1, since before this process started if `isOld`. Returns whether there is anything to do. */
  onTask(task: TaskOnLedger, isOld: boolean): boolean {
    const taskId = toHex(task.taskId);
    const isOver = this.#context.ledger.history.events.some(
      (event) => (event.type === 'task-settled' || event.type === 'task-ended') && event.taskId === taskId,
    );
    if (isOver || (isOld && this.#context.state().tasks.has(taskId))) return false;
    this.#bid(task, 1, task.createdBlock, []);
    return true;
  }

  /** Another executor is wanted for a task. */
  onRetry(taskId: Uint8Array, attempt: number): void {
    const { history } = this.#context.ledger;
    const task = history.task(taskId, history.head);
    const state = this.#context.state().tasks.get(toHex(taskId));
    if (task === undefined || state === undefined) return;
    this.#bid(task, attempt, state.startBlock, state.excluded);
  }

  /** Takes up draws that were not closed, and a run that died with an earlier life of this process. */
  resume(): void {
    const { ledger, propose, state } = this.#context;
    for (const [id, task] of state().tasks) {
      if (task.outcome !== 'open') continue;
      const taskId = fromHex(id);
      if (task.election === undefined) this.onRetry(taskId, task.attempt);
      else if (task.election.executor === ledger.account && task.certificate === undefined) {
        propose({ kind: 'abandon', taskId, attempt: task.attempt, reason: FAILURE_REASONS.MACHINE_ERROR });
      }
    }
  }

  onBlock(): void {
    const state = this.#context.state();
    for (const [id, task] of state.tasks) {
      if (task.outcome !== 'open') continue;
      if (task.election === undefined) this.#closeOverdue(state, id, task);
      else this.#expire(state, id, task.attempt, task.election.electedBlock);
    }
  }

  /** Whoever had the turn to close has had it: a draw that consensus held up must not stay open. */
  #closeOverdue(state: MembershipState, id: string, task: Parameters<typeof isDrawRipe>[1]): void {
    const { ledger, propose } = this.#context;
    if (!isDrawRipe(state.roster, task, ledger.history.head - OVERDUE_BLOCKS)) return;
    const { attempt } = task;
    this.#repeats.once(`close:${id}:${attempt}`, AGAIN_MS, () =>
      propose({ kind: 'close-bids', taskId: fromHex(id), attempt }),
    );
  }

  #expire(state: MembershipState, id: string, attempt: number, electedBlock: number): void {
    const { ledger, propose } = this.#context;
    const { history } = ledger;
    const nowS = history.blockTimestampS(history.head) ?? 0;
    const timeoutS = history.task(fromHex(id), history.head)?.timeoutS ?? 0;
    const electedAtS = history.blockTimestampS(electedBlock) ?? nowS;
    const turnS = placeInLine(state, ledger.account, attempt);
    if (nowS < electedAtS + timeoutS + ATTEMPT_OVERHEAD_S + turnS) return;
    this.#repeats.once(`expire:${id}:${attempt}`, AGAIN_MS, () =>
      propose({ kind: 'expire', taskId: fromHex(id), attempt }),
    );
  }

  #bid(task: TaskOnLedger, attempt: number, startBlock: number, excluded: readonly string[]): void {
    void this.#bidder.onBidding(task, attempt, startBlock, excluded).catch((error: unknown) => {
      this.#context.logger.error(
        { task: toHex(task.taskId), code: errorCode(error), err: error },
        'no bid was made',
      );
    });
  }
}
