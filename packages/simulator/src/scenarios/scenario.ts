import { assert, toHex } from '@nemea/core';
import type { Vote } from '@nemea/membership';
import type { Owner } from '@nemea/node/owner';
import { PROTOCOLS } from '@nemea/node/protocol';
import type { Violation } from '../checkers/checker.ts';
import { Counts } from '../faults/counts.ts';
import type { Plan, Villain } from '../faults/plan.ts';
import { prepare } from '../run/arena.ts';
import { bringMadeUp, keepWaiting } from '../tasks/flood.ts';
import type { Hurdle, Order } from '../tasks/order-book.ts';
import type { ProgramName } from '../tasks/programs.ts';
import { Revert } from '../twins/layer-one/state.ts';
import { createTask, tasksOpen } from '../world/author.ts';
import type { Host } from '../world/host.ts';
import { approveRelease, leave, NEXT_RELEASE, update } from '../world/operators.ts';
import { DEPOSIT, FIRST_RELEASE, World } from '../world/world.ts';

/** How long a scenario may take, in its own time, to get where it says it gets. */
const PATIENCE_MS = 180_000;

export interface ScenarioOptions {
  readonly nodes: number;
  /** Machines that are turned on later, numbered after the founders. */
  readonly strangers?: number;
  /** Members that break the rules, by their number. */
  readonly villains?: Readonly<Record<number, Villain>>;
  readonly epochMs?: number;
  readonly owners?: Plan['owners'];
}

/** A network and what happens to it, told in sentences. Every checker watches; the first broken rule ends the telling. */
export class Scenario {
  readonly world: World;
  #violation: Violation | undefined;
  readonly #cut = new Set<string>();
  #refused: Vote['type'] | undefined;
  readonly #counts = new Counts();
  readonly isServed: (order: Order) => boolean;
  /** The member that asked an owner's key agent last. */
  keysAskedBy: Host | undefined;

  private constructor(
    title: string,
    { nodes, strangers = 0, villains = {}, epochMs = 6_000, owners = 'ordering' }: ScenarioOptions,
  ) {
    this.world = new World({ seed: title, nodes, strangers, epochMs });
    const plan: Plan = {
      nodes,
      strangers,
      isUpdated: false,
      epochMs,
      faults: new Set(),
      villains: new Map(Object.entries(villains).map(([index, villain]) => [`n${index}`, [villain]])),
      mode: 'safety',
      faultsMs: 0,
      owners,
    };
    const run = prepare(this.world, plan, this.#counts, (checker, detail) => {
      this.#violation ??= { checker, detail };
    });
    this.isServed = run.isServed;
    this.world.doors.observers.push({
      onMessage: ({ from, protocol, kind }) => {
        if (protocol === PROTOCOLS.key && kind === 'request')
          this.keysAskedBy = this.world.hosts.find(({ name }) => name === from);
      },
    });
    const { chain } = this.world;
    const send = chain.send.bind(chain);
    chain.send = (from, call, settled) => {
      if (call.kind !== 'vote' || call.vote.type !== this.#refused) return send(from, call, settled);
      settled?.({ revert: new Revert('Refused', 'not now') });
      return '';
    };
    const { weather } = this.world.conditions;
    this.world.conditions.weather = {
      fate: (from, to, passing) => (this.#cut.has(`${from}>${to}`) ? [] : weather.fate(from, to, passing)),
      isReordering: () => false,
    };
  }

  /** A network that has just been founded, every member on. */
  static async begin(title: string, options: ScenarioOptions): Promise<Scenario> {
    const scenario = new Scenario(title, options);
    await scenario.world.start();
    for (const copy of scenario.world.copies) copy.start();
    return scenario;
  }

  member(index: number): Host {
    const host = this.world.hosts[index];
    assert(host !== undefined, `there is no member ${index}`);
    return host;
  }

  /** Cuts every link between two groups; what is said across is lost. */
  separate(left: readonly number[], right: readonly number[]): void {
    for (const a of left)
      for (const b of right) {
        this.#cut.add(`n${a}>n${b}`);
        this.#cut.add(`n${b}>n${a}`);
      }
  }

  /** What `from` says does not reach `to`; the other way it does. */
  deafen(to: number, from: readonly number[]): void {
    for (const other of from) this.#cut.add(`n${other}>n${to}`);
  }

  heal(): void {
    this.#cut.clear();
  }

  async passes(durationMs: number): Promise<void> {
    await this.world.kernel.runUntil(
      this.world.kernel.nowMs + durationMs,
      () => this.#violation !== undefined,
    );
    this.#assertSound();
  }

  /** Lets time pass until something holds. Fails when it never does, or when a rule is broken on the way. */
  async until(what: string, holds: () => boolean): Promise<void> {
    const { kernel } = this.world;
    await kernel.runUntil(kernel.nowMs + PATIENCE_MS, () => this.#violation !== undefined || holds());
    this.#assertSound();
    assert(holds(), `${what}: not within ${PATIENCE_MS} ms of virtual time`);
  }

  /** These members have closed so many epochs more than the network had, and layer 1 has recorded them. */
  async epochsClose(count: number, by = this.world.founders.map((_, index) => index)): Promise<void> {
    const wanted = this.world.chain.state.epochLatest + count;
    await this.until(`epoch ${wanted} is closed by ${by.join(', ')}`, () => {
      const isClosed = by.every((index) => (this.member(index).node?.status().epochClosed ?? 0) >= wanted);
      return isClosed && this.world.chain.state.epochLatest >= wanted;
    });
  }

  /** What a quorum of members says alike to one of them, or the error that it gets. */
  async asksTheMembers(index: number): Promise<unknown> {
    let answer: unknown;
    const asked = this.member(index).node?.agreed();
    assert(asked !== undefined, `member ${index} is not on`);
    void asked.then(
      (agreed) => (answer = agreed),
      (error: unknown) => (answer = error),
    );
    await this.until(`member ${index} has its answer`, () => answer !== undefined);
    return answer;
  }

  /** One machine's account pays for the deposit of another's. */
  async paysFor(index: number, by: number): Promise<void> {
    const { account } = this.member(index);
    this.world.chain.send(this.member(by).account, { kind: 'deposit', account, amount: 1n });
    await this.passes(5_000);
  }

  /** Somebody asks for a run that no machine here can do. */
  taskIsCreated(): void {
    createTask(this.world, this.world.kernel.random.fork('author'));
  }

  /** One kind of vote is refused by layer 1; undefined ends it. */
  layerOneTakesNo(type: Vote['type'] | undefined): void {
    this.#refused = type;
  }

  statusOf(index: number) {
    const { node } = this.member(index);
    assert(node !== undefined, `member ${index} is not on`);
    return node.status();
  }

  /** How many tasks have failed as one member knows it. */
  tasksGivenUp(by: number): number {
    const { tasks } = this.member(by).node?.record() ?? { tasks: [] };
    return tasks.filter(({ outcome }) => outcome === 'failed').length;
  }

  /** How many candidates have been affirmed as one member knows it. */
  candidaciesAffirmed(by: number): number {
    const { candidacies } = this.member(by).node?.record() ?? { candidacies: [] };
    return candidacies.filter(({ outcome }) => outcome === 'admitted').length;
  }

  /** Gives up membership on layer 1. */
  leaves(index: number): void {
    leave(this.world, this.member(index));
  }

  /** Has its deposit out as soon as layer 1 allows it, pays it anew, and knocks as a stranger. */
  async comesBack(index: number): Promise<void> {
    const host = this.member(index);
    await this.until('its deposit is out', () => {
      if (this.statusOnLayerOne(index) === 'exiting')
        this.world.chain.send(host.account, { kind: 'withdraw' });
      return this.statusOnLayerOne(index) === 'left';
    });
    this.world.chain.send(host.account, { kind: 'deposit', account: host.account, amount: DEPOSIT });
    host.isLeaving = false;
    host.start();
  }

  nextReleaseIsApproved(): void {
    approveRelease(this.world, NEXT_RELEASE);
  }

  firstReleaseIsWithdrawn(): void {
    approveRelease(this.world, FIRST_RELEASE, false);
  }

  updates(index: number): void {
    update(this.world, this.member(index));
  }

  /** How often members that break the rules have done so. */
  times(villain: Villain): number {
    return this.#counts.byKind.get(villain) ?? 0;
  }

  /** Owners, by their numbers, have a program run on data of theirs. */
  ownersOrder(program: ProgramName, owners: readonly number[], hurdle?: Hurdle): Order {
    const customers = owners.map((index) => this.world.owners[index]).filter((owner) => owner !== undefined);
    return this.world.orders.place(program, customers, hurdle);
  }

  /** Strangers bring each of its owners results that they made up, before it is run. Returns how many were taken. */
  async strangersBring(order: Order, count: number): Promise<number> {
    const taskId = await this.#idOf(order);
    const taken: number[] = [];
    for (const owner of this.#ownersOf(order))
      void bringMadeUp(this.world, owner, taskId, count).then((number) => taken.push(number));
    await this.until('all is brought', () => taken.length === order.owners.length);
    return taken.reduce((sum, number) => sum + number, 0);
  }

  /** Strangers tell each of its owners, so many times, of results that nobody hands out. */
  async strangersPromise(order: Order, count: number): Promise<void> {
    const taskId = await this.#idOf(order);
    for (const owner of this.#ownersOf(order)) keepWaiting(this.world, owner, taskId, count);
  }

  /** How layer 1 has a task; `none` before its order is there. */
  endOf(order: Order): string {
    return this.#taskOf(order)?.state ?? 'none';
  }

  /** Why layer 1 says that a task has failed. */
  reasonOf(order: Order): number | undefined {
    const id = this.#taskOf(order)?.task.taskId ?? new Uint8Array(0);
    const events = this.world.chain.blocks.flatMap((block) => block.events);
    const ended = events.find((event) => event.type === 'task-ended' && event.taskId === toHex(id));
    return ended?.type === 'task-ended' ? ended.reason : undefined;
  }

  /** What members, by their numbers, have on layer 1 beside their deposits. */
  moneyOf(members: readonly number[]): bigint[] {
    return members.map((index) => this.world.chain.state.balances.get(this.member(index).account) ?? 0n);
  }

  feesInEscrow(): number {
    return tasksOpen(this.world);
  }

  epochOnLayerOne(): number {
    return this.world.chain.state.epochLatest;
  }

  statusOnLayerOne(index: number): string {
    return this.world.chain.state.nodes.get(this.member(index).account)?.status ?? 'none';
  }

  creditOf(index: number, by: number): number | undefined {
    const { account } = this.member(index);
    return this.member(by)
      .node?.status()
      .members.find((member) => member.account === account)?.credit;
  }

  end(): void {
    for (const host of [...this.world.hosts, ...this.world.copies, ...this.world.owners]) host.crash();
  }

  async #idOf(order: Order): Promise<Uint8Array> {
    await this.until('it is on layer 1', () => this.#taskOf(order) !== undefined);
    return this.#taskOf(order)?.task.taskId as Uint8Array;
  }

  #ownersOf({ owners }: Order): Owner[] {
    return owners.flatMap(({ owner }) => (owner === undefined ? [] : [owner]));
  }

  #taskOf(order: Order) {
    const { orders, chain } = this.world;
    return [...chain.state.tasks.values()].find(({ task }) => orders.orderOf(task.capsuleIds) === order);
  }

  #assertSound(): void {
    const violation = this.#violation;
    assert(violation === undefined, `${violation?.checker}: ${violation?.detail}`);
  }
}
