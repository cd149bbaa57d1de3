import { encodeCbor, fromUtf8, sha256, toHex } from '@nemea/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CREDIT_MAX } from './credit.ts';
import { FAILURE_REASONS, failureName, isRetried } from './reasons.ts';
import { encodeState, parseState } from './snapshot.ts';
import { ATTEMPT_OVERHEAD_S, ATTEMPTS_MAX } from './task.ts';
import {
  accusationOf,
  applicationOf,
  bidOf,
  candidateOf,
  epochReportOf,
  equivocationOf,
  foundNetwork,
  judgementOf,
  reportOf,
  TestLedger,
  TestMachine,
  type TestMember,
  type TestNetwork,
  testMember,
  testMembers,
} from './testing.ts';

const members = testMembers(4);
const strangers = Array.from({ length: 3 }, (_, index) => testMember(`stranger ${index}`));
const everybody = [...members, ...strangers];
const certificate = fromUtf8('certificate');

/** What anybody can tell without proofs: who may be a member, and which tasks there are. */
interface Model {
  readonly members: Set<string>;
  readonly tasks: Map<string, { attempt: number; isOver: boolean; executors: string[] }>;
}

interface Real extends TestNetwork {
  tasksAdded: number;
}

type Command = fc.Command<Model, Real>;

/** Runs one thing that may happen, then holds the machine against the model and against what must always be true. */
function command(name: string, run: (real: Real, model: Model) => void): Command {
  return {
    check: () => true,
    run: (model, real) => {
      run(real, model);
      checkAgainst(model, real);
    },
    toString: () => name,
  };
}

/** The naive model: it follows the effects that the machine tells, and never lets them go backwards. */
function follow(model: Model, { machine }: Real): void {
  for (const effect of machine.effects) {
    if (effect.type === 'enrolled') model.members.add(effect.record.account);
    if (effect.type === 'evicted') expect(model.members.delete(effect.account)).toBe(true);
    if (effect.type === 'bidding') {
      const task = openTask(model, effect.taskId);
      expect(task.attempt).toBe(effect.attempt - 1);
      task.attempt = effect.attempt;
    }
    if (effect.type === 'task-closed') {
      const task = openTask(model, effect.taskId);
      expect(task.attempt).toBe(effect.attempt);
      task.isOver = true;
    }
    if (effect.type === 'elected') {
      const task = openTask(model, effect.taskId);
      expect(task.executors).not.toContain(effect.election.executor);
      task.executors.push(effect.election.executor);
    }
  }
}

function openTask(model: Model, taskId: Uint8Array) {
  const task = model.tasks.get(toHex(taskId));
  if (task === undefined || task.isOver) throw new Error('an effect tells of a task that is not open');
  return task;
}

function checkAgainst(model: Model, { machine }: Real): void {
  // Whoever goes on from a snapshot goes on from the very state.
  expect(parseState(encodeState(machine.state))).toEqual(machine.state);
  const { roster, tasks } = machine.state;
  expect(new Set(roster.keys())).toEqual(model.members);
  for (const member of roster.values()) {
    expect(Number.isInteger(member.credit) && member.credit >= 0 && member.credit <= CREDIT_MAX).toBe(true);
  }
  for (const [id, task] of tasks) {
    const known = model.tasks.get(id);
    expect(known).toMatchObject({ attempt: task.attempt, isOver: task.outcome !== 'open' });
    expect(task.attempt).toBeLessThanOrEqual(ATTEMPTS_MAX);
    const { election } = task;
    if (election === undefined) continue;
    expect(election.verifiers).not.toContain(election.executor);
  }
}

const someone = fc.constantFrom(...everybody);
const someTask = fc.nat(1);
const taskAt = ({ ledger }: Real, at: number) => [...ledger.tasks.values()][at];

function order(
  real: Real,
  model: Model,
  author: TestMember,
  body: Parameters<TestMachine['order']>[1],
): void {
  real.machine.order(author, body);
  follow(model, real);
}

function giveUp(real: Real, model: Model, taskId: Uint8Array, reason: number): void {
  const known = real.machine.state.tasks.get(toHex(taskId));
  const executor = everybody.find((member) => member.account === known?.election?.executor);
  if (known === undefined || executor === undefined) return;
  order(real, model, executor, { kind: 'abandon', taskId, attempt: known.attempt, reason });
}

const commands: fc.Arbitrary<Command>[] = [
  fc.integer({ min: 1, max: 12 }).map((blocks) =>
    command(`${blocks} blocks`, ({ ledger }) => {
      ledger.head += blocks;
    }),
  ),
  fc.constant(
    command('a task', (real, model) => {
      if (real.tasksAdded === 2) return;
      const { taskId } = real.ledger.addTask(`${real.tasksAdded++}`, { timeoutS: 5 });
      model.tasks.set(toHex(taskId), { attempt: 1, isOver: false, executors: [] });
    }),
  ),
  fc.tuple(someTask, fc.uniqueArray(someone, { minLength: 3 })).map(([at, bidders]) =>
    command(`bids for ${at}`, (real, model) => {
      const task = taskAt(real, at);
      if (task === undefined) return;
      const known = real.machine.state.tasks.get(toHex(task.taskId));
      const { attempt, startBlock } = known ?? { attempt: 1, startBlock: task.createdBlock };
      if (startBlock > real.ledger.head) return;
      for (const bidder of bidders) {
        order(real, model, bidder, bidOf(real.ledger, bidder, task.taskId, attempt, startBlock));
      }
    }),
  ),
  fc.tuple(someTask, fc.boolean()).map(([at, isGivenUp]) =>
    command(`a whole draw for ${at}${isGivenUp ? ', given up' : ''}`, (real, model) => {
      const task = taskAt(real, at) ?? [...real.ledger.tasks.values()].at(-1);
      if (task === undefined) return;
      const { attempt, startBlock } = real.machine.state.tasks.get(toHex(task.taskId)) ?? {
        attempt: 1,
        startBlock: task.createdBlock,
      };
      real.ledger.head = Math.max(real.ledger.head, startBlock) + 1;
      for (const bidder of everybody) {
        order(real, model, bidder, bidOf(real.ledger, bidder, task.taskId, attempt, startBlock));
      }
      for (const author of members) {
        order(real, model, author, { kind: 'close-bids', taskId: task.taskId, attempt });
      }
      if (isGivenUp) giveUp(real, model, task.taskId, FAILURE_REASONS.MACHINE_ERROR);
    }),
  ),
  fc.tuple(someTask, someone, fc.integer({ min: 1, max: 3 })).map(([at, author, attempt]) =>
    command(`close the bids of ${at}`, (real, model) => {
      const task = taskAt(real, at);
      if (task !== undefined)
        order(real, model, author, { kind: 'close-bids', taskId: task.taskId, attempt });
    }),
  ),
  fc.tuple(someTask, fc.boolean(), fc.boolean()).map(([at, isGood, isWhole]) =>
    command(`run ${at}: ${isGood ? 'well' : 'badly'}, ${isWhole ? 'to its end' : 'half'}`, (real, model) => {
      const task = taskAt(real, at);
      const known = task && real.machine.state.tasks.get(toHex(task.taskId));
      if (task === undefined || known?.election === undefined) return;
      const { taskId } = task;
      const { attempt, election } = known;
      const by = (account: string) => everybody.find((member) => member.account === account) as TestMember;
      order(real, model, by(election.executor), { kind: 'complete', taskId, attempt, certificate });
      const verdict = isGood ? 'affirming' : 'contraindicated';
      for (const verifier of election.verifiers.slice(0, isWhole ? 3 : 1)) {
        order(real, model, by(verifier), reportOf(taskId, attempt, certificate, verdict));
      }
    }),
  ),
  fc
    .tuple(someTask, fc.constantFrom(...Object.values(FAILURE_REASONS).filter(isRetried)))
    .map(([at, reason]) =>
      command(`give up ${at} for ${failureName(reason)}`, (real, model) => {
        const task = taskAt(real, at);
        if (task !== undefined) giveUp(real, model, task.taskId, reason);
      }),
    ),
  fc.tuple(someone, fc.constantFrom(...strangers), fc.boolean()).map(([author, stranger, isGood]) =>
    command('an application, judged and decided', (real, model) => {
      order(real, model, author, applicationOf(stranger));
      const candidacy = real.machine.state.candidacies.get(toHex(candidateOf(stranger)));
      if (candidacy?.outcome !== 'open') return;
      const verdict = isGood ? 'affirming' : 'contraindicated';
      for (const judge of members) {
        order(real, model, judge, judgementOf(real.ledger, judge, stranger, candidacy.epoch, verdict));
      }
      order(real, model, author, { kind: 'close-candidacy', candidate: candidateOf(stranger) });
    }),
  ),
  fc.tuple(someone, fc.constantFrom(...strangers), fc.boolean()).map(([author, stranger, isTaken]) =>
    command(`layer 1 ${isTaken ? 'takes' : 'refuses'} whom it was asked to`, (real, model) => {
      const candidacy = real.machine.state.candidacies.get(toHex(candidateOf(stranger)));
      const isMember = real.machine.state.roster.has(stranger.account);
      if (candidacy?.outcome === 'admitted' && isTaken && !isMember)
        real.ledger.registered.push({ record: stranger.record, block: real.ledger.head });
      order(real, model, author, { kind: 'enrol' });
    }),
  ),
  fc.tuple(someone, someone).map(([accuser, target]) =>
    command('an accusation', (real, model) => {
      if (real.machine.state.roster.size <= 3) return;
      const epoch = real.ledger.epochOf(real.ledger.head);
      order(real, model, accuser, accusationOf(real.ledger, accuser, target, epoch));
    }),
  ),
  fc.tuple(someone, someone, fc.nat(2)).map(([author, culprit, epoch]) =>
    command('a proof of equivocation', (real, model) => {
      const { answeredThrough } = real.machine.state;
      order(real, model, author, equivocationOf(culprit, epoch));
      const before = answeredThrough.get(culprit.account) ?? 0;
      const after = real.machine.state.answeredThrough.get(culprit.account) ?? 0;
      expect(after).toBeGreaterThanOrEqual(before);
      expect(after).toBeLessThanOrEqual(real.machine.consensusEpoch);
    }),
  ),
  fc.tuple(someone, fc.nat(8)).map(([author, epoch]) =>
    command(`reports, and epoch ${epoch} closed`, (real, model) => {
      const current = real.ledger.epochOf(real.ledger.head);
      for (const member of everybody) {
        order(real, model, member, epochReportOf(real.ledger, member, current));
      }
      order(real, model, author, { kind: 'close-epoch', epoch });
    }),
  ),
];

function start(): { model: Model; real: Real } {
  return {
    model: { members: new Set(members.map(({ account }) => account)), tasks: new Map() },
    real: { ...foundNetwork(members), tasksAdded: 0 },
  };
}

test('whatever happens, the machine keeps its members, its tasks and its bounds as the naive model does [MEMB-4]', () => {
  fc.assert(
    fc.property(fc.commands(commands, { maxCommands: 25, size: 'max' }), (given) => {
      fc.modelRun(start, given);
    }),
    { numRuns: 50 },
  );
});

test('no task is lost: with time and members that go on, every one ends, settled or failed [MEMB-33]', () => {
  fc.assert(
    fc.property(fc.commands(commands, { maxCommands: 12 }), (given) => {
      const { model, real } = start();
      fc.modelRun(() => ({ model, real }), given);
      for (const task of real.ledger.tasks.values()) endTask(real, model, task.taskId);
      for (const { isOver } of model.tasks.values()) expect(isOver).toBe(true);
    }),
    { numRuns: 15 },
  );
});

/** Members bid and pass over executors that never answer, until nothing is left to do. */
function endTask(real: Real, model: Model, taskId: Uint8Array): void {
  for (let turn = 0; turn < 2 * ATTEMPTS_MAX; turn++) {
    real.ledger.head += 60 + ATTEMPT_OVERHEAD_S;
    const known = real.machine.state.tasks.get(toHex(taskId));
    const attempt = known?.attempt ?? 1;
    const startBlock =
      known?.startBlock ?? (real.ledger.task(taskId, real.ledger.head)?.createdBlock as number);
    const present = everybody.filter((member) => real.machine.state.roster.has(member.account));
    for (const member of present) {
      order(real, model, member, bidOf(real.ledger, member, taskId, attempt, startBlock));
    }
    const [anyone] = present as [TestMember];
    order(real, model, anyone, { kind: 'close-bids', taskId, attempt });
    real.ledger.head += 60 + ATTEMPT_OVERHEAD_S;
    order(real, model, anyone, { kind: 'expire', taskId, attempt });
  }
}

test('the same operations over the same facts give the same state, also to a replica that has read further [MEMB-2]', () => {
  const ahead = new TestLedger(members, 200);
  const now = new TestLedger(members, 25);
  for (const ledger of [ahead, now]) ledger.addTask('one', { createdBlock: 24 });
  const [one, two, three] = members as [TestMember, TestMember, TestMember];
  const taskId = sha256(fromUtf8('task one'));
  const [stranger, later] = strangers as [TestMember, TestMember];
  now.registered.push({ record: stranger.record, block: 25 });
  ahead.registered.push({ record: stranger.record, block: 25 }, { record: later.record, block: 26 });
  const bodies: [TestMember, Parameters<TestMachine['order']>[1]][] = [
    [one, applicationOf(stranger)],
    ...members.map((judge): [TestMember, Parameters<TestMachine['order']>[1]] => [
      judge,
      judgementOf(now, judge, stranger, 2),
    ]),
    [two, { kind: 'close-candidacy', candidate: candidateOf(stranger) }],
    [two, { kind: 'enrol' }],
    ...members.map((bidder): [TestMember, Parameters<TestMachine['order']>[1]] => [
      bidder,
      bidOf(now, bidder, taskId, 1, 24),
    ]),
    [three, { kind: 'close-bids', taskId, attempt: 1 }],
    [three, epochReportOf(ahead, three, 3)],
    [three, epochReportOf(ahead, three, 2)],
    [two, { kind: 'close-epoch', epoch: 2 }],
    [two, accusationOf(ahead, two, one, 3)],
    [one, { kind: 'expire', taskId, attempt: 1 }],
  ];
  const digests = [now, ahead].map((ledger) => {
    const machine = new TestMachine(ledger);
    return bodies.map(([author, body]) => {
      machine.order(author, body, 25);
      return toHex(sha256(encodeCbor(plain([machine.state, machine.effects]))));
    });
  });
  expect(digests[1]).toEqual(digests[0]);
});

type Plain = Parameters<typeof encodeCbor>[0];

/** Maps and sets in the order in which they are walked: a difference in order is a difference. */
function plain(value: unknown): Plain {
  if (value instanceof Uint8Array) return value;
  if (value instanceof Map) return plain([...value]);
  if (value instanceof Set) return plain([...value]);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined);
    return Object.fromEntries(fields.map(([key, field]) => [key, plain(field)]));
  }
  return value as Plain;
}
