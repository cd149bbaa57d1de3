import type { Violation } from '../checkers/checker.ts';
import { Counts } from '../faults/counts.ts';
import { drawPlan, type Plan } from '../faults/plan.ts';
import { seededRandom } from '../kernel/random.ts';
import type { Order } from '../tasks/order-book.ts';
import { tasksOpen } from '../world/author.ts';
import { leave, rollOut } from '../world/operators.ts';
import { World } from '../world/world.ts';
import { type Fail, prepare } from './arena.ts';

/** When faults have stopped, epochs must be closed again, by everybody who follows the rules, within this time. */
const RECOVERY_MS = 150_000;
/** When strangers turn their machines on. */
const KNOCK_MIN_MS = 3_000;
const KNOCK_MAX_MS = 15_000;
/** When members leave, and releases are rolled out. */
const CHANGE_MIN_MS = 6_000;
const CHANGE_MAX_MS = 18_000;
const EPOCHS_OF_PROGRESS = 2;
/** From then on one of the orders must be settled within this time, each of which has so long before the next. */
const SERVICE_MS = 240_000;
const ORDER_MS = 80_000;

export interface RunResult {
  readonly seed: string;
  readonly plan: Plan;
  readonly virtualMs: number;
  readonly decisions: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly violation: Violation | undefined;
  /** SHA-256 over every line of the trace. */
  readonly traceDigest: string;
  readonly lastLines: readonly string[];
}

export interface RunOptions {
  readonly plan?: Plan;
  onLine?(line: string): void;
}

/** Runs one seed: a network, its faults, and the checkers that judge it. */
export async function runSeed(seed: string, options: RunOptions = {}): Promise<RunResult> {
  const plan = options.plan ?? drawPlan(seededRandom(`plan ${seed}`));
  const world = new World({ ...plan, seed });
  if (options.onLine !== undefined) world.kernel.trace.tee(options.onLine);
  const { kernel } = world;
  let violation: Violation | undefined;
  const fail = (checker: string, detail: string): void => {
    kernel.note('checker', `${checker}: ${detail}`);
    violation ??= { checker, detail };
  };
  const onRejection = (error: unknown): void => fail('crash', `nobody handled: ${String(error)}`);
  process.on('unhandledRejection', onRejection);
  try {
    const counts = new Counts();
    const run = prepare(world, plan, counts, fail);
    await world.start();
    for (const copy of world.copies) copy.start();
    letStrangersKnock(world);
    change(world, plan);
    const isDone = (): boolean => violation !== undefined;
    await kernel.runUntil(plan.faultsMs, isDone);
    if (plan.mode === 'liveness' && violation === undefined) {
      run.calm();
      await recover(world, run.honest, isDone, fail);
      if (plan.owners !== 'idle' && violation === undefined) await serve(world, run.isServed, isDone, fail);
    }
    return {
      seed,
      plan,
      virtualMs: kernel.nowMs,
      decisions: run.decisions(),
      faults: Object.fromEntries(counts.byKind),
      violation,
      traceDigest: kernel.trace.digest(),
      lastLines: violation === undefined ? [] : kernel.trace.last(60),
    };
  } finally {
    process.off('unhandledRejection', onRejection);
    for (const host of [...world.hosts, ...world.copies, ...world.owners]) host.crash();
  }
}

/** Each turns its machine on at a time of its own. */
function letStrangersKnock({ kernel, hosts, founders }: World): void {
  const random = kernel.random.fork('strangers');
  for (const host of hosts.slice(founders.length))
    kernel.after(random.integer(KNOCK_MIN_MS, KNOCK_MAX_MS), () => host.start());
}

/** What operators and governors do, beside what goes wrong. */
function change(world: World, { leaver, isUpdated }: Plan): void {
  const { kernel, hosts } = world;
  const random = kernel.random.fork('operators');
  const leaving = hosts.find(({ name }) => name === leaver);
  if (leaving !== undefined)
    kernel.after(random.integer(CHANGE_MIN_MS, CHANGE_MAX_MS), () => leave(world, leaving));
  if (isUpdated) kernel.after(random.integer(CHANGE_MIN_MS, CHANGE_MAX_MS), () => rollOut(world, random));
}

/** Liveness: every honest node is up and closes epochs, layer 1 records them, no task is left in escrow, and no report unjudged. */
async function recover(
  world: World,
  honest: ReadonlySet<string>,
  isFailed: () => boolean,
  fail: Fail,
): Promise<void> {
  const { kernel, chain } = world;
  const hosts = world.hosts.filter(({ name, isLeaving }) => honest.has(name) && !isLeaving);
  const closed = (): number => Math.min(...hosts.map(({ node }) => node?.status().epochClosed ?? 0));
  const before = Math.max(
    chain.state.epochLatest,
    ...hosts.map(({ node }) => node?.status().epochClosed ?? 0),
  );
  const wanted = before + EPOCHS_OF_PROGRESS;
  const isWell = (): boolean =>
    closed() >= wanted &&
    chain.state.epochLatest >= wanted &&
    tasksOpen(world) === 0 &&
    reportsOpen(world) === 0;
  await kernel.runUntil(kernel.nowMs + RECOVERY_MS, () => isFailed() || isWell());
  if (isFailed() || isWell()) return;
  const states = hosts
    .map(({ name, node }) => `${name} ${node?.status().epochClosed ?? 'is down'}`)
    .join(', ');
  const open = `tasks in escrow ${tasksOpen(world)}, reports unjudged ${reportsOpen(world)}`;
  const where = `${states}, layer 1 ${chain.state.epochLatest}, ${open}`;
  const left = tasksOpen(world) > 0 ? 'lost-task' : reportsOpen(world) > 0 ? 'justice' : 'liveness';
  const checker = closed() >= wanted ? left : 'liveness';
  fail(checker, `epoch ${wanted} wanted ${RECOVERY_MS} ms after the last fault: ${where}`);
}

/** Reports on members that nobody has judged yet [MEMB-26]; those on members that were let go are of no more use. */
function reportsOpen({ chain }: World): number {
  const { disputes, nodes } = chain.state;
  const open = [...disputes.values()].filter(({ state }) => state === 'open');
  return open.filter(({ accused }) => nodes.get(accused)?.status === 'active').length;
}

/**
 * Liveness: tasks are run again. Villains may make a few in a row fail, as often as they are drawn; sooner or later one
 * is settled, and its owner opens the result.
 */
async function serve(
  { kernel, orders, owners }: World,
  isServed: (order: Order) => boolean,
  isFailed: () => boolean,
  fail: Fail,
): Promise<void> {
  const deadlineMs = kernel.nowMs + SERVICE_MS;
  const customers = owners.slice(0, 1);
  while (kernel.nowMs < deadlineMs) {
    const order = orders.place('digest', customers);
    const isOver = (): boolean => isFailed() || isServed(order) || order.isDropped;
    await kernel.runUntil(kernel.nowMs + ORDER_MS, isOver);
    if (isFailed() || isServed(order)) return;
    await kernel.runUntil(kernel.nowMs + 1_000, isFailed);
  }
  fail('service', `none of ${orders.orders.length} orders was served in the ${SERVICE_MS} ms of calm`);
}
