import { bytesEqual, CodedError, toHex } from '@nemea/core';
import type { Order } from '../tasks/order-book.ts';
import type { Host, HostChecks } from '../world/host.ts';
import type { OwnerHost } from '../world/owner-host.ts';
import type { Verdicts } from './checker.ts';

/** What layer 1 and the machines have shown of one order. */
interface Progress {
  readonly order: Order;
  readonly taskId: string;
  /** Accounts whose machines have run it to a result. */
  readonly ranOn: Set<string>;
  /** Names of receivers who hold the result that layer 1 settled. */
  readonly openedBy: Set<string>;
  end: 'settled' | 'ended' | undefined;
}

export interface TaskChecks extends Pick<HostChecks, 'onRun'> {
  /** Called every second. */
  look(): void;
  /** Whether an order is settled, and each of its receivers has opened the result. */
  isServed(order: Order): boolean;
}

/**
 * A task ends once [MEMB-33]. What is settled could be run and was run, by the member that layer 1 names; its receivers
 * open what the function gives for their inputs, and nothing else.
 */
export function checkTasks({ world, fail }: Verdicts): TaskChecks {
  const { chain, orders } = world;
  const tasks = new Map<string, Progress>();
  let blocks = 0;

  function read(): void {
    for (; blocks < chain.blocks.length; blocks++) {
      for (const event of chain.blocks[blocks]?.events ?? []) {
        if (event.type === 'task-created') begin(event.task.taskId, event.task.capsuleIds);
        if (event.type === 'task-settled') settle(event.taskId, event.executor);
        if (event.type === 'task-ended') end(event.taskId, 'ended');
      }
    }
  }

  function begin(id: Uint8Array, capsuleIds: readonly Uint8Array[]): void {
    const order = orders.orderOf(capsuleIds);
    if (order === undefined) return;
    const taskId = toHex(id);
    const { ranOn, openedBy } = { ranOn: new Set<string>(), openedBy: new Set<string>() };
    tasks.set(taskId, { order, taskId, ranOn, openedBy, end: undefined });
  }

  function end(taskId: string, how: 'settled' | 'ended'): Progress | undefined {
    const task = tasks.get(taskId);
    if (task?.end !== undefined) fail('task', `${task.order.name} is ${how} after it was ${task.end}`);
    if (task !== undefined) task.end = how;
    return task;
  }

  function settle(taskId: string, executor: string): void {
    const task = end(taskId, 'settled');
    if (task === undefined) return;
    const { order, ranOn } = task;
    if (order.expected === undefined)
      fail('task', `${order.name} is settled, and could not be run: ${order.program}, ${order.hurdle}`);
    if (!ranOn.has(executor)) fail('task', `${order.name} is settled, and ${executor} has not run it`);
  }

  async function open(task: Progress, host: OwnerHost): Promise<void> {
    const { owner } = host;
    if (owner === undefined) return;
    await owner.sync();
    const isHere = owner.results().some(({ taskId, confirmed }) => confirmed && taskId === task.taskId);
    if (!isHere) return;
    const result = await owner.open(task.taskId);
    if (task.order.expected === undefined || !bytesEqual(result, task.order.expected))
      fail('task', `${host.name} opens another result of ${task.order.name} than its function gives`);
    task.openedBy.add(host.name);
  }

  return {
    look() {
      read();
      for (const task of tasks.values()) {
        if (task.end !== 'settled') continue;
        for (const host of task.order.owners) {
          if (task.openedBy.has(host.name)) continue;
          open(task, host).catch((error: unknown) => {
            // Layer 1 may not answer this owner now; it is asked again in a second.
            if (!(error instanceof CodedError)) fail('crash', `${host.name} cannot open a result: ${error}`);
          });
        }
      }
    },
    onRun(host: Host, run, outcome) {
      if (outcome.outcome !== 'completed') return;
      for (const task of tasks.values())
        if (run.runId.startsWith(`run-${task.taskId.slice(0, 16)}-`)) task.ranOn.add(host.account);
    },
    isServed: (order) =>
      [...tasks.values()].some(
        (task) => task.order === order && order.owners.every(({ name }) => task.openedBy.has(name)),
      ),
  };
}
