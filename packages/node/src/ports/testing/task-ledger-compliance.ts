import { assert, bytesEqual, fromHex, fromUtf8, toHex } from '@nemea/core';
import type { TaskOnLedger, Vote } from '@nemea/membership';
import type { ComplianceCase } from './journal-compliance.ts';
import { digest, type LedgerGround, storyOf } from './ledger-story.ts';

const FEE = 103n;
const hex = (bytes: Uint8Array): string => `0x${toHex(bytes)}`;
const NOBODY = `0x${'12'.repeat(20)}`;

/**
 * The suite for capsules and tasks on layer 1. It goes on where `ledgerCompliance` ends: the first two members are in
 * good standing, the third has lost its credit, the fourth has been evicted. The stranger is author and owner.
 */
export function taskLedgerCompliance(ground: () => LedgerGround): ComplianceCase[] {
  const { ledger, drive, submit, outcomeOf, expectOutcome, events } = storyOf(ground);
  const owner = () => ground().stranger;
  const members = () => [ledger(0), ledger(1), ledger(2)];
  const capsules = [digest('capsule 1'), digest('capsule 2')];
  const [code, image] = [digest('code'), digest('image')];
  const salt = digest('salt');

  const register = (id: Uint8Array, change: { cid?: string; by?: typeof owner } = {}) =>
    outcomeOf(
      (change.by ?? owner)().submit('capsuleRegistry', 'register', [
        hex(id),
        hex(fromUtf8(change.cid ?? 'bafk')),
        hex(digest('payload')),
        owner().network.contracts.releasePolicy,
        hex(digest('receiver')),
        '/ip4/127.0.0.1/tcp/3',
      ]),
    );

  const setRule = (change: object = {}, by = owner) =>
    outcomeOf(
      by().submit('releasePolicy', 'setRule', [
        hex(capsules[0] as Uint8Array),
        {
          codeDigest: hex(code),
          imageDigest: hex(image),
          minCredit: 50,
          minLevel: 1,
          expiry: 4_000_000_000n,
          ...change,
        },
      ]),
    );

  const create = (change: object = {}, spec = fromUtf8('spec')) =>
    outcomeOf(
      owner().submit('taskEscrow', 'create', [
        {
          codeDigest: hex(code),
          imageDigest: hex(image),
          capsuleIds: capsules.map(hex),
          timeoutS: 60,
          minLevel: 1,
          minCredit: 0,
          fee: FEE,
          ...change,
        },
        hex(spec),
      ]),
    );

  async function lastTask(): Promise<TaskOnLedger> {
    const created = (await events('task-created')).at(-1);
    assert(created !== undefined, 'a task was created');
    return created.task;
  }

  const election = (taskId: Uint8Array, change: object = {}): Vote => ({
    type: 'Election',
    taskId,
    attempt: 1,
    executor: ledger(0).account,
    salt,
    ...change,
  });

  const settlement = (taskId: Uint8Array, change: object = {}): Vote => ({
    type: 'Settlement',
    taskId,
    attempt: 1,
    executor: ledger(0).account,
    salt,
    verifiers: [ledger(1).account, ledger(2).account].sort(),
    certificateDigest: digest('certificate'),
    ...change,
  });

  const balances = () =>
    Promise.all(
      [ledger(0), ledger(1), ledger(2), owner()].map(({ account }) =>
        drive(ledger(0).read<bigint>('feeToken', 'balanceOf', [account])),
      ),
    );

  const check = (taskId: Uint8Array, change: { code?: Uint8Array; executor?: string } = {}) =>
    drive(
      ledger(1).readAt<number>(owner().network.contracts.releasePolicy, 'releasePolicy', 'check', [
        hex(capsules[0] as Uint8Array),
        hex(taskId),
        hex(change.code ?? code),
        hex(image),
        change.executor ?? ledger(0).account,
      ]),
    );

  return [
    {
      title: 'registers a capsule once, and shows its record to everybody',
      async run() {
        expectOutcome(await register(capsules[0] as Uint8Array, { cid: '' }), 'CapsuleFieldInvalid');
        for (const id of capsules) expectOutcome(await register(id), 'OK');
        const other = { by: () => ledger(1) };
        expectOutcome(await register(capsules[0] as Uint8Array, other), 'CapsuleExists');
        const read = (id: Uint8Array) =>
          ledger(1).read<Record<string, string>>('capsuleRegistry', 'capsule', [hex(id)]);
        const record = await drive(read(capsules[0] as Uint8Array));
        assert(record.owner?.toLowerCase() === owner().account, `owner: got ${record.owner}`);
        assert(record.cid === hex(fromUtf8('bafk')), `cid: got ${record.cid}`);
        assert(record.receiverKey === hex(digest('receiver')), `key: got ${record.receiverKey}`);
        assert(record.agent === '/ip4/127.0.0.1/tcp/3', `agent: got ${record.agent}`);
        expectOutcome(await outcomeOf(read(digest('capsule 3'))), 'CapsuleUnknown');
      },
    },
    {
      title: 'lets the owner of a capsule, and nobody else, say what may open it',
      async run() {
        expectOutcome(await setRule({}, () => ledger(1)), 'NotOwnerOfCapsule');
        expectOutcome(await setRule({ minLevel: 4 }), 'RuleFieldInvalid');
        expectOutcome(await setRule({ codeDigest: hex(new Uint8Array(32)) }), 'RuleFieldInvalid');
        expectOutcome(await setRule({ expiry: 1n }), 'RuleExpiryPast');
        expectOutcome(await setRule(), 'OK');
      },
    },
    {
      title: 'takes no task that is not whole, and no fee that its author did not allow',
      async run() {
        expectOutcome(await create({ fee: 0n }), 'TaskFieldInvalid');
        expectOutcome(await create({ minLevel: 0 }), 'TaskFieldInvalid');
        expectOutcome(await create({ timeoutS: 0 }), 'TaskFieldInvalid');
        expectOutcome(await create({}, new Uint8Array(8_193)), 'TaskFieldInvalid');
        expectOutcome(await create({ capsuleIds: [hex(digest('capsule 3'))] }), 'CapsuleNotRegistered');
        const twice = [capsules[0], capsules[0]].map((id) => hex(id as Uint8Array));
        expectOutcome(await create({ capsuleIds: twice }), 'CapsuleNamedTwice');
        expectOutcome(await create(), 'ERC20InsufficientAllowance');
        const { taskEscrow } = owner().network.contracts;
        await drive(owner().submit('feeToken', 'approve', [taskEscrow, 3n * FEE]));
        const allowance = () =>
          drive(owner().read<bigint>('feeToken', 'allowance', [owner().account, taskEscrow]));
        assert((await allowance()) === 3n * FEE, 'the allowance is there');
        const before = await balances();
        expectOutcome(await create(), 'OK');
        assert((await allowance()) === 2n * FEE, 'the allowance is less');
        assert((await balances())[3] === (before[3] as bigint) - FEE, 'the fee is in escrow');
        const task = await lastTask();
        assert(task.creator === owner().account && task.fee === FEE && task.timeoutS === 60, 'the task');
        assert(bytesEqual(task.spec, fromUtf8('spec')) && bytesEqual(task.codeDigest, code), 'its document');
        assert(task.capsuleIds.map(toHex).join() === capsules.map(toHex).join(), 'its capsules');
      },
    },
    {
      title: 'tells which use of a capsule its owner permits, and the first reason not to',
      async run() {
        const { taskId } = await lastTask();
        const answers = [
          await check(taskId),
          await check(taskId, { code: digest('other code') }),
          await check(digest('no task')),
          await check(taskId, { executor: NOBODY }),
          await check(taskId, { executor: ledger(2).account }),
        ];
        assert(answers.map(Number).join() === '0,3,5,10,11', `got ${answers.join()}`);
      },
    },
    {
      title: 'commits to an executor by a quorum, by attempts that rise',
      async run() {
        const { taskId } = await lastTask();
        expectOutcome(await submit(settlement(taskId), members()), 'TaskStateWrong');
        expectOutcome(await submit(election(taskId), [ledger(0)]), 'QuorumNotReached');
        expectOutcome(await submit(election(taskId, { attempt: 6 }), members()), 'AttemptTooHigh');
        expectOutcome(await submit(election(taskId), members()), 'OK');
        expectOutcome(await submit(election(taskId), members()), 'AttemptNotRising');
        const committed = (await events('executor-committed')).at(-1);
        assert(committed?.taskId === toHex(taskId) && committed.attempt === 1, 'the commitment is there');
        assert(!toHex(fromHex(committed.commitment)).includes(ledger(0).account.slice(2)), 'it is blind');
      },
    },
    {
      title: 'settles what was committed to, with verifiers that are others and rise, once',
      async run() {
        const { taskId } = await lastTask();
        const refused: [object, string][] = [
          [{ attempt: 2 }, 'AttemptMismatch'],
          [{ salt: digest('other salt') }, 'CommitmentMismatch'],
          [{ executor: ledger(1).account }, 'CommitmentMismatch'],
          [{ verifiers: [] }, 'VerifierCountInvalid'],
          [{ verifiers: [ledger(0).account] }, 'VerifierIsExecutor'],
          [{ verifiers: [ledger(1).account, ledger(1).account] }, 'VerifiersNotRising'],
        ];
        for (const [change, error] of refused)
          expectOutcome(await submit(settlement(taskId, change), members()), error);
        expectOutcome(await submit(settlement(taskId), [ledger(1)]), 'QuorumNotReached');
        const before = await balances();
        expectOutcome(await submit(settlement(taskId), members()), 'OK');
        const after = await balances();
        // Of 103: half to the executor, a fifth to two verifiers, a quarter to the owner of two capsules, rounded down.
        const earned = after.map((balance, index) => balance - (before[index] as bigint));
        assert(earned.join() === '51,10,10,24', `got ${earned.join()}`);
        const credits = (await events('weight')).slice(-3).map(({ account, credit }) => [account, credit]);
        assert(credits[0]?.[0] === ledger(0).account && credits[0]?.[1] === 120, `got ${credits[0]?.join()}`);
        expectOutcome(await submit(settlement(taskId), members()), 'TaskStateWrong');
        const settled = (await events('task-settled')).at(-1);
        assert(settled?.certificateDigest === toHex(digest('certificate')), 'the certificate is named');
        assert(
          settled.executor === ledger(0).account && settled.taskId === toHex(taskId),
          'and the executor',
        );
        assert(Number(await check(taskId)) === 6, 'a task that is over opens nothing');
      },
    },
    {
      title: 'fails a task by a quorum, and gives the whole fee back; nobody gets it back before its time',
      async run() {
        const before = await balances();
        expectOutcome(await create({ capsuleIds: [] }), 'OK');
        const { taskId } = await lastTask();
        const refund = () => outcomeOf(owner().submit('taskEscrow', 'refund', [hex(taskId)]));
        expectOutcome(await refund(), 'TaskNotOverdue');
        expectOutcome(await submit(election(taskId, { attempt: 2 }), members()), 'OK');
        const failure = (attempt: number): Vote => ({ type: 'TaskFailure', taskId, attempt, reason: 9 });
        expectOutcome(await submit(failure(1), members()), 'AttemptMismatch');
        expectOutcome(await submit(failure(2), [ledger(0)]), 'QuorumNotReached');
        expectOutcome(await submit(failure(2), members()), 'OK');
        expectOutcome(await submit(failure(2), members()), 'TaskStateWrong');
        expectOutcome(await refund(), 'TaskStateWrong');
        assert((await balances()).join() === before.join(), 'everybody has what they had');
        const ended = (await events('task-ended')).at(-1);
        assert(ended?.taskId === toHex(taskId) && ended.reason === 9, 'the reason is there');
      },
    },
    {
      title: 'pays no executor below what the author asked for; without capsules a quarter goes back',
      async run() {
        const [executor, verifiers] = [ledger(2).account, [ledger(0).account, ledger(1).account].sort()];
        const outcomeFor = async (change: object) => {
          const needs = { capsuleIds: [], minCredit: 0, ...change };
          const { taskEscrow } = owner().network.contracts;
          await drive(owner().submit('feeToken', 'approve', [taskEscrow, 10_000n]));
          expectOutcome(await create(needs), 'OK');
          const { taskId } = await lastTask();
          expectOutcome(await submit(election(taskId, { executor }), members()), 'OK');
          return submit(settlement(taskId, { executor, verifiers }), members());
        };
        expectOutcome(await outcomeFor({ minCredit: 50 }), 'ExecutorCreditTooLow');
        expectOutcome(await outcomeFor({ minLevel: 2 }), 'ExecutorLevelTooLow');
        expectOutcome(await outcomeFor({ fee: 501n }), 'ExecutorDepositTooLow');
        const before = await balances();
        expectOutcome(await outcomeFor({ fee: FEE }), 'OK');
        const gained = (await balances()).map((balance, index) => balance - (before[index] as bigint));
        assert(gained.join() === `10,10,51,${25n - FEE}`, `got ${gained.join()}`);
      },
    },
  ];
}
