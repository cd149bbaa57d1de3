import { bytesEqual, sha256, toHex } from '@nemea/core';
import type { TaskOnLedger, Vote } from '@nemea/membership';
import { executorCommitment } from '@nemea/sdk';
import { capsuleOf, isZero } from './capsules.ts';
import { requireQuorum } from './quorum.ts';
import { applyCredit } from './registry.ts';
import {
  type Block,
  type Emitted,
  type LayerOneState,
  nodeOf,
  pay,
  Revert,
  type TaskOnContract,
  takeAllowed,
} from './state.ts';

const CREDIT_EXECUTED = 20;
const CREDIT_VERIFIED = 5;
const ATTEMPT_MAX = 5;
const CAPSULES_MAX = 16;
const VERIFIERS_MAX = 32;
const SPEC_BYTES_MAX = 8_192;
const TIMEOUT_S_MAX = 7 * 86_400;
const LEVEL_MAX = 3;
const BPS = 10_000n;

type VoteOf<T extends Vote['type']> = Extract<Vote, { type: T }>;

/** What an author names of a task; the rest follows from the chain. */
export type TaskTerms = Omit<TaskOnLedger, 'taskId' | 'creator' | 'createdBlock'>;

/** TaskEscrow.create */
export function createTask(state: LayerOneState, creator: string, terms: TaskTerms, block: Block): Emitted[] {
  requireWellFormed(state, terms);
  takeAllowed(state, creator, state.network.contracts.taskEscrow, terms.fee);
  const nonce = state.taskNonces.get(creator) ?? 0;
  state.taskNonces.set(creator, nonce + 1);
  const taskId = sha256(new TextEncoder().encode(`task ${creator} ${nonce} ${toHex(terms.spec)}`));
  const task = { ...terms, taskId, creator, createdBlock: block.number };
  state.tasks.set(toHex(taskId), {
    task,
    createdAtS: block.timestampS,
    state: 'created',
    attempt: 0,
    commitment: '',
  });
  return [{ type: 'task-created', task }];
}

function requireWellFormed(state: LayerOneState, terms: TaskTerms): void {
  const { codeDigest, imageDigest, timeoutS, minLevel, fee, spec, capsuleIds } = terms;
  if (isZero(codeDigest)) throw new Revert('TaskFieldInvalid', 'codeDigest');
  if (isZero(imageDigest)) throw new Revert('TaskFieldInvalid', 'imageDigest');
  if (timeoutS === 0 || timeoutS > TIMEOUT_S_MAX) throw new Revert('TaskFieldInvalid', 'timeoutS');
  if (minLevel === 0 || minLevel > LEVEL_MAX) throw new Revert('TaskFieldInvalid', 'minLevel');
  if (fee === 0n) throw new Revert('TaskFieldInvalid', 'fee');
  if (spec.length > SPEC_BYTES_MAX) throw new Revert('TaskFieldInvalid', 'spec');
  if (capsuleIds.length > CAPSULES_MAX) throw new Revert('TaskFieldInvalid', 'capsuleIds');
  const ids = capsuleIds.map(toHex);
  for (const [index, id] of ids.entries()) {
    if (!state.capsules.has(id)) throw new Revert('CapsuleNotRegistered', id);
    if (ids.indexOf(id) !== index) throw new Revert('CapsuleNamedTwice', id);
  }
}

/** TaskEscrow.commitExecutor */
export function commitExecutor(
  state: LayerOneState,
  vote: VoteOf<'Election'>,
  signatures: readonly string[],
  block: Block,
): Emitted[] {
  const found = openTask(state, vote.taskId);
  if (block.timestampS > deadlineS(state, found)) throw new Revert('TaskOverdue', toHex(vote.taskId));
  if (vote.attempt <= found.attempt) throw new Revert('AttemptNotRising', `${vote.attempt}`);
  if (vote.attempt > ATTEMPT_MAX) throw new Revert('AttemptTooHigh', `${vote.attempt}`);
  requireQuorum(state, vote, signatures);
  found.state = 'elected';
  found.attempt = vote.attempt;
  found.commitment = executorCommitment(vote.taskId, vote.executor, vote.salt);
  const { commitment, attempt } = found;
  return [{ type: 'executor-committed', taskId: toHex(vote.taskId), attempt, commitment }];
}

/** TaskEscrow.settle */
export function settle(
  state: LayerOneState,
  vote: VoteOf<'Settlement'>,
  signatures: readonly string[],
): Emitted[] {
  const { taskId, attempt, executor, salt, verifiers, certificateDigest } = vote;
  const found = openTask(state, taskId);
  if (found.state !== 'elected') throw new Revert('TaskStateWrong', found.state);
  if (attempt !== found.attempt) throw new Revert('AttemptMismatch', `${attempt}`);
  if (executorCommitment(taskId, executor, salt) !== found.commitment)
    throw new Revert('CommitmentMismatch', toHex(taskId));
  const node = nodeOf(state, executor);
  if (node.status !== 'active') throw new Revert('ExecutorNotActive', executor);
  if ((node.record?.level ?? 0) < found.task.minLevel) throw new Revert('ExecutorLevelTooLow', executor);
  if (node.credit < found.task.minCredit) throw new Revert('ExecutorCreditTooLow', executor);
  if (node.deposit < found.task.fee) throw new Revert('ExecutorDepositTooLow', executor);
  requireVerifiers(verifiers, executor);
  requireQuorum(state, vote, signatures);
  found.state = 'settled';
  const events = [
    applyCredit(state, executor, CREDIT_EXECUTED),
    ...divideFee(state, found, executor, verifiers),
  ];
  const settled = { type: 'task-settled', taskId: toHex(taskId), executor } as const;
  return [...events, { ...settled, certificateDigest: toHex(certificateDigest) }];
}

function requireVerifiers(verifiers: readonly string[], executor: string): void {
  if (verifiers.length === 0 || verifiers.length > VERIFIERS_MAX)
    throw new Revert('VerifierCountInvalid', `${verifiers.length}`);
  for (const [index, verifier] of verifiers.entries()) {
    if (index > 0 && verifier <= (verifiers[index - 1] as string))
      throw new Revert('VerifiersNotRising', verifier);
    if (verifier === executor) throw new Revert('VerifierIsExecutor', verifier);
  }
}

/** FeeSplit: executor 50 %, verifiers 20 %, owners 25 % (the creator without capsules), the rest to the reserve. */
function divideFee(
  state: LayerOneState,
  { task }: TaskOnContract,
  executor: string,
  verifiers: readonly string[],
): Emitted[] {
  const share = (bps: bigint): bigint => (task.fee * bps) / BPS;
  const perVerifier = share(2_000n) / BigInt(verifiers.length);
  let left = task.fee;
  const give = (account: string, amount: bigint): void => {
    pay(state, account, amount);
    left -= amount;
  };
  give(executor, share(5_000n));
  const events: Emitted[] = [];
  for (const verifier of verifiers) {
    if (nodeOf(state, verifier).status !== 'active') continue;
    events.push(applyCredit(state, verifier, CREDIT_VERIFIED));
    give(verifier, perVerifier);
  }
  const owners = task.capsuleIds.map((id) => capsuleOf(state, toHex(id)).owner);
  if (owners.length === 0) give(task.creator, share(2_500n));
  for (const owner of owners) give(owner, share(2_500n) / BigInt(owners.length));
  state.reserve += left;
  return events;
}

/** TaskEscrow.fail */
export function fail(
  state: LayerOneState,
  vote: VoteOf<'TaskFailure'>,
  signatures: readonly string[],
): Emitted[] {
  const found = openTask(state, vote.taskId);
  if (vote.attempt < found.attempt) throw new Revert('AttemptMismatch', `${vote.attempt}`);
  requireQuorum(state, vote, signatures);
  found.state = 'failed';
  pay(state, found.task.creator, found.task.fee);
  return [{ type: 'task-ended', taskId: toHex(vote.taskId), reason: vote.reason }];
}

/** TaskEscrow.refund */
export function refund(state: LayerOneState, taskId: Uint8Array, block: Block): Emitted[] {
  const found = openTask(state, taskId);
  if (block.timestampS <= deadlineS(state, found)) throw new Revert('TaskNotOverdue', toHex(taskId));
  found.state = 'refunded';
  pay(state, found.task.creator, found.task.fee);
  return [{ type: 'task-ended', taskId: toHex(taskId), reason: 0 }];
}

export function deadlineS(state: LayerOneState, { task, createdAtS }: TaskOnContract): number {
  return createdAtS + task.timeoutS + state.graceS;
}

function openTask(state: LayerOneState, taskId: Uint8Array): TaskOnContract {
  const found = state.tasks.get(toHex(taskId));
  if (found === undefined || !bytesEqual(found.task.taskId, taskId))
    throw new Revert('TaskStateWrong', 'none');
  if (found.state !== 'created' && found.state !== 'elected') throw new Revert('TaskStateWrong', found.state);
  return found;
}
