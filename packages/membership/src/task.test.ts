import { fromUtf8, sha256, toHex } from '@nemea/core';
import { compareDraws } from '@nemea/vrf';
import { beforeEach, describe, expect, test } from 'vitest';
import { CREDIT_GENESIS, CREDIT_TASK_EXECUTED, CREDIT_TASK_VERIFIED } from './credit.ts';
import { VERIFIERS } from './jury.ts';
import type { TaskOnLedger } from './ledger-view.ts';
import { FAILURE_REASONS } from './reasons.ts';
import type { Bid, Election } from './state.ts';
import {
  ATTEMPT_OVERHEAD_S,
  ATTEMPTS_MAX,
  BIDDING_BLOCKS,
  commitmentPreimage,
  electionSalt,
  SILENCE_BLOCKS,
} from './task.ts';
import {
  accusationOf,
  bidOf,
  epochReportOf,
  foundNetwork,
  isSeated,
  reportOf,
  type TestMember,
  testMembers,
} from './testing.ts';

const members = testMembers(6);
const [first] = members as [TestMember];
const certificate = fromUtf8('clean-up certificate');
let { ledger, machine } = foundNetwork(members);
let task: TaskOnLedger;

beforeEach(() => {
  ({ ledger, machine } = foundNetwork(members));
  task = ledger.addTask('one');
});

const stateOf = () => machine.state.tasks.get(toHex(task.taskId));
const close = (by = first, attempt = stateOf()?.attempt ?? 1) =>
  machine.order(by, { kind: 'close-bids', taskId: task.taskId, attempt });

function bid(by: readonly TestMember[], change: (bid: Bid) => Bid = (it) => it): Map<TestMember, Bid> {
  const attempt = stateOf()?.attempt ?? 1;
  const startBlock = stateOf()?.startBlock ?? task.createdBlock;
  const bids = new Map<TestMember, Bid>();
  for (const member of by) {
    const made = change(bidOf(ledger, member, task.taskId, attempt, startBlock));
    expect(machine.order(member, made)).toBeUndefined();
    bids.set(member, made);
  }
  return bids;
}

function elected(): Election {
  const election = stateOf()?.election;
  if (election === undefined) throw new Error('nobody was elected');
  return election;
}

function elect(by: readonly TestMember[] = members): Election {
  bid(by);
  ledger.head++;
  expect(close()).toBeUndefined();
  return elected();
}

const memberOf = (account: string) => members.find((member) => member.account === account) as TestMember;
const executor = () => memberOf(elected().executor);
const verifiers = () => elected().verifiers.map(memberOf);
const complete = (by = executor(), bytes = certificate) =>
  machine.order(by, {
    kind: 'complete',
    taskId: task.taskId,
    attempt: stateOf()?.attempt ?? 1,
    certificate: bytes,
  });
const report = (by: TestMember, verdict: 'affirming' | 'contraindicated' = 'affirming') =>
  machine.order(by, reportOf(task.taskId, stateOf()?.attempt ?? 1, certificate, verdict));
const abandon = (by: TestMember, reason: number) =>
  machine.order(by, { kind: 'abandon', taskId: task.taskId, attempt: stateOf()?.attempt ?? 1, reason });
const expire = (attempt = stateOf()?.attempt ?? 1) =>
  machine.order(first, { kind: 'expire', taskId: task.taskId, attempt });

describe('a bid [MEMB-29]', () => {
  test('is taken once from each member', () => {
    const [made] = bid([first]).values();
    expect(machine.order(first, made as Bid)).toBe('ALREADY_DONE');
  });

  test('for a task that is not on layer 1 yet, or in another attempt, is refused', () => {
    const made = bidOf(ledger, first, task.taskId, 1, task.createdBlock);
    expect(machine.order(first, made, task.createdBlock - 1)).toBe('TASK_UNKNOWN');
    expect(machine.order(first, { ...made, taskId: sha256() })).toBe('TASK_UNKNOWN');
    expect(machine.order(first, { ...made, attempt: 2 })).toBe('ATTEMPT_WRONG');
  });

  test('is refused once the draw is closed, or layer 1 has closed the task', () => {
    elect(members.slice(1));
    const made = bidOf(ledger, first, task.taskId, 1, task.createdBlock);
    expect(machine.order(first, made)).toBe('ALREADY_DONE');
    const other = ledger.addTask('refunded');
    ledger.closed.set(toHex(other.taskId), other.createdBlock);
    expect(machine.order(first, bidOf(ledger, first, other.taskId, 1, other.createdBlock))).toBe(
      'ALREADY_DONE',
    );
    expect(machine.state.tasks.has(toHex(other.taskId))).toBe(false);
  });
});

describe('a draw [MEMB-30]', () => {
  test('elects the lowest draw of all bids, in whatever order they came', () => {
    const bids = bid(members.toReversed());
    const lowest = [...bids]
      .map(([member, { execute }]) => ({ member, beta: execute?.beta ?? new Uint8Array(32), weight: 10 }))
      .sort(compareDraws)[0];
    ledger.head++;
    expect(close()).toBeUndefined();
    expect(elected().executor).toBe(lowest?.member.account);
    expect(elected().salt).toEqual(electionSalt(task.taskId, 1, lowest?.beta as Uint8Array));
    expect(machine.effects).toMatchObject([
      { type: 'vote', vote: { type: 'Election', attempt: 1, executor: lowest?.member.account } },
      { type: 'elected', attempt: 1 },
    ]);
    expect(close()).toBe('ALREADY_DONE');
  });

  test('draws distinct verifiers, and never the executor', () => {
    const { executor: account, verifiers: accounts } = elect();
    expect(accounts).toHaveLength(VERIFIERS);
    expect(new Set([account, ...accounts]).size).toBe(VERIFIERS + 1);
    expect(accounts).toEqual([...accounts].sort());
  });

  test('passes over a member that claims a lower output than it proves', () => {
    const liar = first;
    bid([liar], (it) => ({ ...it, execute: it.execute && { ...it.execute, beta: new Uint8Array(32) } }));
    bid(members.slice(1));
    ledger.head++;
    close();
    expect(elected().executor).not.toBe(liar.account);
  });

  test('passes over a member that shows the proof of another', () => {
    const other = bidOf(ledger, members[1] as TestMember, task.taskId, 1, task.createdBlock);
    bid([first], (it) => ({
      ...it,
      execute: { ...other.execute, beta: new Uint8Array(32) } as Bid['execute'],
    }));
    bid(members.slice(1));
    ledger.head++;
    close();
    expect(elected().executor).not.toBe(first.account);
  });

  test('passes over members that are no longer there, may not draw yet, or do not meet the task’s terms', () => {
    const roster = new Map(machine.state.roster);
    const change = (member: TestMember, fields: object) => {
      const known = roster.get(member.account);
      if (known !== undefined) roster.set(member.account, { ...known, ...fields });
    };
    const [poor, low, newcomer, gone, ...eligible] = members as [
      TestMember,
      TestMember,
      TestMember,
      TestMember,
      ...TestMember[],
    ];
    change(poor, { credit: 4 });
    change(low, { level: 1 });
    for (const member of [poor, newcomer, ...eligible]) change(member, { level: 2 });
    change(newcomer, { admittedEpoch: 2 });
    task = ledger.addTask('demanding', { minCredit: 5, minLevel: 2 });
    machine.state = { ...machine.state, roster };
    bid(members);
    const after = new Map(machine.state.roster);
    after.delete(gone.account);
    machine.state = { ...machine.state, roster: after };
    ledger.head++;
    expect(close()).toBeUndefined();
    const { executor: account, verifiers: accounts } = elected();
    expect(eligible.map((member) => member.account)).toContain(account);
    for (const member of [newcomer, gone]) expect(accounts).not.toContain(member.account);
  });

  test('is not closed in the block that opened it, nor before two thirds of the weight bid or had their time', () => {
    bid(members.slice(0, 4));
    expect(close()).toBe('TOO_EARLY');
    ledger.head++;
    expect(close()).toBe('TOO_EARLY');
    bid(members.slice(4, 5));
    expect(close()).toBeUndefined();
  });

  test('is closed without the others after some blocks, so that they cannot hold it up', () => {
    bid(members.slice(0, 3));
    ledger.head += BIDDING_BLOCKS;
    expect(close()).toBeUndefined();
    expect(elected().verifiers).toHaveLength(2);
  });

  test('that is ordered late still gives the others their time, from the first bid on', () => {
    ledger.head += 3 * BIDDING_BLOCKS;
    bid(members.slice(0, 1));
    expect(close()).toBe('TOO_EARLY');
    ledger.head += BIDDING_BLOCKS - 1;
    expect(close()).toBe('TOO_EARLY');
    bid(members.slice(1));
    expect(close()).toBeUndefined();
    expect(elected().verifiers).toHaveLength(3);
  });

  test('that nobody bids for is closed in the end, and fails the task', () => {
    ledger.head = task.createdBlock + SILENCE_BLOCKS - 1;
    expect(close()).toBe('TOO_EARLY');
    ledger.head++;
    expect(close()).toBeUndefined();
    expect(stateOf()?.outcome).toBe('failed');
  });

  test('elects nobody whom too few could verify: no key agent would release a key to it', () => {
    bid(members.slice(0, 2));
    ledger.head += BIDDING_BLOCKS;
    expect(close()).toBeUndefined();
    expect(stateOf()).toMatchObject({ outcome: 'failed' });
  });

  test('that finds no executor fails the task', () => {
    bid(members, (it) => ({ ...it, execute: null }));
    ledger.head++;
    expect(close()).toBeUndefined();
    expect(stateOf()?.outcome).toBe('failed');
    expect(machine.effects).toMatchObject([
      { type: 'vote', vote: { type: 'TaskFailure', attempt: 1, reason: FAILURE_REASONS.NO_EXECUTOR } },
      { type: 'task-closed', outcome: 'failed', reason: FAILURE_REASONS.NO_EXECUTOR },
    ]);
  });

  test('of an unknown task or another attempt is not closed', () => {
    expect(machine.order(first, { kind: 'close-bids', taskId: sha256(), attempt: 1 })).toBe('TASK_UNKNOWN');
    bid(members);
    ledger.head++;
    expect(close(first, 2)).toBe('ATTEMPT_WRONG');
  });
});

describe('a run [MEMB-31] [MEMB-32]', () => {
  beforeEach(() => {
    elect();
  });

  test('settles when its executor completes it and two thirds of the verifiers affirm it', () => {
    const [one, two, three] = verifiers() as [TestMember, TestMember, TestMember];
    expect(report(one)).toBeUndefined();
    expect(complete()).toBeUndefined();
    expect(stateOf()?.outcome).toBe('open');
    expect(report(two)).toBeUndefined();
    expect(stateOf()?.outcome).toBe('settled');
    expect(machine.effects).toMatchObject([
      { type: 'roster' },
      {
        type: 'vote',
        vote: {
          type: 'Settlement',
          executor: executor().account,
          verifiers: [one, two].map((member) => member.account),
          certificateDigest: sha256(certificate),
        },
      },
      { type: 'task-closed', outcome: 'settled' },
    ]);
    expect(machine.credit(executor())).toBe(CREDIT_GENESIS + CREDIT_TASK_EXECUTED);
    expect(machine.credit(one)).toBe(CREDIT_GENESIS + CREDIT_TASK_VERIFIED);
    expect(machine.credit(three)).toBe(CREDIT_GENESIS);
    expect(report(three)).toBe('ALREADY_DONE');
  });

  test('settles the same whether the certificate or the reports come first', () => {
    complete();
    for (const member of verifiers().slice(0, 2)) report(member);
    expect(stateOf()?.outcome).toBe('settled');
  });

  test('is drawn anew, without its executor, when more than a third of the verifiers refuse it', () => {
    const former = executor();
    const [one, two] = verifiers() as [TestMember, TestMember];
    complete();
    expect(report(one, 'contraindicated')).toBeUndefined();
    expect(stateOf()?.attempt).toBe(1);
    expect(report(two, 'contraindicated')).toBeUndefined();
    expect(stateOf()).toMatchObject({ attempt: 2, outcome: 'open', excluded: [former.account] });
    expect(machine.effects).toEqual([{ type: 'bidding', taskId: task.taskId, attempt: 2 }]);
    ledger.head++;
    elect();
    expect(elected().executor).not.toBe(former.account);
  });

  test.each([
    ['of another certificate', { certificateDigest: sha256() }],
    ['without its last phase', { phases: reportOf(sha256(), 1, certificate).phases.slice(0, 2) }],
    [
      'of one phase, three times',
      { phases: Array.from({ length: 3 }, () => reportOf(sha256(), 1, certificate).phases[0]) },
    ],
  ])('is not affirmed by a report %s', (_what, change) => {
    complete();
    for (const member of verifiers().slice(0, 2)) {
      const body = { ...reportOf(task.taskId, 1, certificate), ...change } as ReturnType<typeof reportOf>;
      machine.order(member, body);
    }
    expect(stateOf()?.attempt).toBe(2);
  });

  test('is completed by its executor only, and once', () => {
    const [verifier] = verifiers() as [TestMember];
    expect(complete(verifier)).toBe('NOT_THE_EXECUTOR');
    expect(complete()).toBeUndefined();
    expect(complete(executor(), fromUtf8('another'))).toBe('ALREADY_DONE');
  });

  test('is reported on by its verifiers only, and once each', () => {
    const [verifier] = verifiers() as [TestMember];
    expect(report(executor())).toBe('NOT_A_VERIFIER');
    expect(report(verifier)).toBeUndefined();
    expect(report(verifier)).toBe('ALREADY_DONE');
  });

  test('is given up by its executor only; a fault of the task ends it', () => {
    const [verifier] = verifiers() as [TestMember];
    expect(abandon(verifier, FAILURE_REASONS.CODE_FAILED)).toBe('NOT_THE_EXECUTOR');
    const former = executor();
    expect(abandon(former, FAILURE_REASONS.CODE_FAILED)).toBeUndefined();
    expect(stateOf()?.outcome).toBe('failed');
    expect(abandon(former, FAILURE_REASONS.CODE_FAILED)).toBe('ALREADY_DONE');
  });

  test('is drawn anew for a fault of the machine, from a block that nobody knows yet [MEMB-28]', () => {
    abandon(executor(), FAILURE_REASONS.MACHINE_ERROR);
    expect(stateOf()).toMatchObject({ attempt: 2, startBlock: ledger.head + 1 });
    expect(close()).toBe('TOO_EARLY');
  });

  test('fails when the last attempt does', () => {
    for (let attempt = 1; attempt < ATTEMPTS_MAX; attempt++) {
      abandon(executor(), FAILURE_REASONS.MACHINE_ERROR);
      ledger.head++;
      elect();
    }
    abandon(executor(), FAILURE_REASONS.MACHINE_ERROR);
    expect(stateOf()).toMatchObject({ attempt: ATTEMPTS_MAX, outcome: 'failed' });
  });

  test('is not drawn anew once layer 1 has closed its task', () => {
    ledger.closed.set(toHex(task.taskId), ledger.head);
    abandon(executor(), FAILURE_REASONS.MACHINE_ERROR);
    expect(stateOf()).toMatchObject({ attempt: 1, outcome: 'failed' });
  });

  test('expires after its time-out, by the clock of layer 1, and not before', () => {
    expect(expire()).toBe('TOO_EARLY');
    ledger.head += task.timeoutS + ATTEMPT_OVERHEAD_S - 1;
    expect(expire()).toBe('TOO_EARLY');
    expect(expire(2)).toBe('ATTEMPT_WRONG');
    ledger.head++;
    expect(expire()).toBeUndefined();
    expect(stateOf()?.attempt).toBe(2);
    expect(expire()).toBe('TASK_UNKNOWN');
  });

  test('is drawn anew at once when its executor is evicted [MEMB-25]', () => {
    const former = executor();
    const accuser = members.find((member) => isSeated(machine, member, former, 2)) as TestMember;
    expect(machine.order(accuser, accusationOf(ledger, accuser, former, 2))).toBeUndefined();
    expect(stateOf()).toMatchObject({ attempt: 2, excluded: [former.account] });
    expect(machine.effects.at(-1)).toEqual({ type: 'bidding', taskId: task.taskId, attempt: 2 });
  });
});

test('a run whose executor took its stake away is drawn anew when the epoch closes [MEMB-21]', () => {
  const { executor: former } = elect();
  ledger.left.set(former, 20);
  ledger.head = 40;
  for (const epoch of [3, 4]) machine.order(first, epochReportOf(ledger, first, epoch));
  ledger.head = 50;
  expect(machine.order(first, { kind: 'close-epoch', epoch: 3 })).toBeUndefined();
  expect(stateOf()).toMatchObject({ attempt: 2, excluded: [former] });
  expect(machine.effects.at(-1)).toEqual({ type: 'bidding', taskId: task.taskId, attempt: 2 });
});

describe('a task that was settled for an executor that left before layer 1 paid it', () => {
  const settleAndLeave = (closedBlock?: number) => {
    const { executor: former } = elect();
    complete();
    for (const verifier of verifiers()) report(verifier);
    expect(stateOf()?.outcome).toBe('settled');
    if (closedBlock !== undefined) ledger.closed.set(toHex(task.taskId), closedBlock);
    ledger.left.set(former, 20);
    ledger.head = 40;
    for (const epoch of [3, 4]) machine.order(first, epochReportOf(ledger, first, epoch));
    ledger.head = 50;
    expect(machine.order(first, { kind: 'close-epoch', epoch: 3 })).toBeUndefined();
    return former;
  };

  test('is drawn anew: layer 1 pays nobody who is gone, and would keep the fee [MEMB-21] [MEMB-25]', () => {
    const former = settleAndLeave();
    expect(stateOf()).toMatchObject({ attempt: 2, excluded: [former], outcome: 'open' });
    expect(machine.effects.at(-1)).toEqual({ type: 'bidding', taskId: task.taskId, attempt: 2 });
  });

  test('stays settled when layer 1 has paid', () => {
    settleAndLeave(19);
    expect(machine.effects.filter(({ type }) => type === 'bidding')).toEqual([]);
    expect(stateOf()?.outcome ?? 'settled').toBe('settled');
  });
});

test('a task that was never drawn has nothing to complete, report, give up or expire', () => {
  const body = { taskId: task.taskId, attempt: 1 };
  expect(machine.order(first, { kind: 'complete', ...body, certificate })).toBe('TASK_UNKNOWN');
  expect(machine.order(first, reportOf(task.taskId, 1, certificate))).toBe('TASK_UNKNOWN');
  expect(machine.order(first, { kind: 'abandon', ...body, reason: 1 })).toBe('TASK_UNKNOWN');
  expect(machine.order(first, { kind: 'expire', ...body })).toBe('TASK_UNKNOWN');
});

test('the preimage of a commitment is three words: task, executor, salt', () => {
  const preimage = commitmentPreimage(task.taskId, first.account, sha256());
  expect(toHex(preimage)).toBe(
    `${toHex(task.taskId)}${'0'.repeat(24)}${first.account.slice(2)}${toHex(sha256())}`,
  );
});
