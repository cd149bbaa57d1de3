import { concatBytes, fromHex, hashDomain, sha256, toHex } from '@nemea/core';
import { compareDraws } from '@nemea/vrf';
import { CREDIT_TASK_EXECUTED, CREDIT_TASK_VERIFIED, creditAfter, weightOf } from './credit.ts';
import { mayServe, provenBeta, taskAlpha, taskSeed, VERIFIERS, verifiersNeeded } from './jury.ts';
import type { LedgerView, TaskOnLedger } from './ledger-view.ts';
import type { Context, Outcome } from './machine.ts';
import type { OperationBody, Phase } from './operation.ts';
import { FAILURE_REASONS, isRetried } from './reasons.ts';
import { juryWeightOf, type Member, type Roster, weightTotal, withCredit } from './roster.ts';
import type { Bid, Effect, Election, MembershipState, TaskState, Vote } from './state.ts';

/** Draws of one task before it fails for want of an executor. The contract allows as many. */
export const ATTEMPTS_MAX = 3;
/** Layer-1 blocks after the first bid after which a draw may be closed although a third of the weight has not bid. */
export const BIDDING_BLOCKS = 4;
/** Layer-1 blocks after which a draw that nobody has bid for may be closed. */
export const SILENCE_BLOCKS = 16;
/** What an attempt may take beyond the run itself: keys, verification, clean-up. Seconds of layer-1 time. */
export const ATTEMPT_OVERHEAD_S = 20;

const PHASES: readonly Phase[] = ['before', 'during', 'after'];

type BodyOf<K extends OperationBody['kind']> = Extract<OperationBody, { kind: K }>;

/** A member draws itself for a task: proofs for both roles, judged when the bids close [MEMB-29]. */
export function recordBid({ state, ledger, author }: Context, body: BodyOf<'bid'>): Outcome {
  const drawn = drawingTask(state, ledger, body);
  if ('rejected' in drawn) return drawn;
  const { task } = drawn;
  if (task.bids.has(author.account)) return { rejected: 'ALREADY_DONE' };
  return {
    state: withTask(state, body.taskId, {
      ...task,
      bids: new Map(task.bids).set(author.account, body),
      firstBidBlock: task.firstBidBlock ?? state.ledgerBlock,
    }),
    effects: [],
  };
}

/**
 * Whether a draw may be closed: a block has passed since it opened, and members that outweigh two thirds have bid or
 * had their time. Whoever closes first could otherwise be the only one whose bid is in the order. Time runs from the
 * first bid: what opened the draw may be ordered long after the block that it names [MEMB-30].
 */
export function isDrawRipe(roster: Roster, task: TaskState, atBlock: number): boolean {
  if (atBlock <= task.startBlock) return false;
  const lastBlock =
    task.firstBidBlock === undefined ? task.startBlock + SILENCE_BLOCKS : task.firstBidBlock + BIDDING_BLOCKS;
  if (atBlock >= lastBlock) return true;
  let bidding = 0;
  for (const account of task.bids.keys()) {
    const member = roster.get(account);
    if (member !== undefined) bidding += weightOf(member.credit);
  }
  return bidding * 3 > weightTotal(roster) * 2;
}

/** Elects the lowest valid draw. */
export function closeBids({ state, ledger }: Context, body: BodyOf<'close-bids'>): Outcome {
  const drawn = drawingTask(state, ledger, body);
  if ('rejected' in drawn) return drawn;
  const { task, onLedger } = drawn;
  if (!isDrawRipe(state.roster, task, state.ledgerBlock)) return { rejected: 'TOO_EARLY' };
  const election = elect(state, ledger, onLedger, task);
  if (election === undefined) {
    return failOrRetry(state, ledger, body.taskId, task, FAILURE_REASONS.NO_EXECUTOR);
  }
  const vote: Vote = {
    type: 'Election',
    taskId: body.taskId,
    attempt: task.attempt,
    executor: election.executor,
    salt: election.salt,
  };
  return {
    state: withTask(state, body.taskId, { ...task, election }),
    effects: [
      { type: 'vote', vote },
      { type: 'elected', taskId: body.taskId, attempt: task.attempt, election },
    ],
  };
}

/** The executor says that it ran, delivered and cleaned up. */
export function completeTask({ state, ledger, author }: Context, body: BodyOf<'complete'>): Outcome {
  const running = runningTask(state, body);
  if ('rejected' in running) return running;
  if (running.election.executor !== author.account) return { rejected: 'NOT_THE_EXECUTOR' };
  if (running.task.certificate !== undefined) return { rejected: 'ALREADY_DONE' };
  return settleWhenVerified(
    state,
    ledger,
    body.taskId,
    { ...running.task, certificate: body.certificate },
    running.election,
  );
}

/** A drawn verifier says what it saw before, during and after. */
export function recordReport({ state, ledger, author }: Context, body: BodyOf<'verify'>): Outcome {
  const running = runningTask(state, body);
  if ('rejected' in running) return running;
  if (!running.election.verifiers.includes(author.account)) return { rejected: 'NOT_A_VERIFIER' };
  if (running.task.reports.has(author.account)) return { rejected: 'ALREADY_DONE' };
  const reports = new Map(running.task.reports).set(author.account, body);
  return settleWhenVerified(state, ledger, body.taskId, { ...running.task, reports }, running.election);
}

/** The executor gives up with a reason. Faults of the machine draw another one; faults of the task end it [MEMB-32]. */
export function abandonTask({ state, ledger, author }: Context, body: BodyOf<'abandon'>): Outcome {
  const running = runningTask(state, body);
  if ('rejected' in running) return running;
  if (running.election.executor !== author.account) return { rejected: 'NOT_THE_EXECUTOR' };
  return failOrRetry(state, ledger, body.taskId, running.task, body.reason);
}

/** Nothing came in time: the executor is passed over and another is drawn. */
export function expireTask({ state, ledger }: Context, body: BodyOf<'expire'>): Outcome {
  const running = runningTask(state, body);
  if ('rejected' in running) return running;
  const onLedger = ledger.task(body.taskId, state.ledgerBlock);
  if (onLedger === undefined) return { rejected: 'TASK_UNKNOWN' };
  const electedAtS = ledger.blockTimestampS(running.election.electedBlock);
  const nowS = ledger.blockTimestampS(state.ledgerBlock);
  if (electedAtS === undefined || nowS === undefined) return { rejected: 'TOO_EARLY' };
  if (nowS < electedAtS + onLedger.timeoutS + ATTEMPT_OVERHEAD_S) return { rejected: 'TOO_EARLY' };
  return failOrRetry(state, ledger, body.taskId, running.task, FAILURE_REASONS.EXPIRED);
}

/**
 * Members are gone: whatever they were elected to run is drawn anew at once, also what is settled here but not on layer 1
 * yet, which pays nobody who is gone and would keep the fee [MEMB-25].
 */
export function reassignTasks(
  before: MembershipState,
  ledger: LedgerView,
  gone: readonly string[],
): { state: MembershipState; effects: readonly Effect[] } {
  let state = before;
  const effects: Effect[] = [];
  for (const [id, task] of before.tasks) {
    if (task.outcome === 'failed' || !gone.includes(task.election?.executor ?? '')) continue;
    const taskId = fromHex(id);
    if (task.outcome === 'settled' && ledger.isTaskClosed(taskId, before.ledgerBlock)) continue;
    const retried = failOrRetry(state, ledger, taskId, task, FAILURE_REASONS.EXECUTOR_GONE);
    state = retried.state;
    effects.push(...retried.effects);
  }
  return { state, effects };
}

/** The salt that hides the executor on layer 1: known to the members, who ordered the bid, and to nobody else. */
export function electionSalt(taskId: Uint8Array, attempt: number, beta: Uint8Array): Uint8Array {
  return hashDomain('nemea/election-salt/1', taskId, Uint8Array.of(attempt), beta);
}

/** The seed context of a task's draws; undefined while the block or its epoch is unknown. */
export function taskDrawSeed(ledger: LedgerView, startBlock: number): Uint8Array | undefined {
  const hash = ledger.blockHash(startBlock);
  const epochSeed = ledger.epochSeed(ledger.epochOf(startBlock));
  return hash === undefined || epochSeed === undefined ? undefined : taskSeed(epochSeed, hash);
}

function elect(
  state: MembershipState,
  ledger: LedgerView,
  onLedger: TaskOnLedger,
  task: TaskState,
): Election | undefined {
  const epochSeed = taskDrawSeed(ledger, task.startBlock);
  if (epochSeed === undefined) return undefined;
  const context = { networkId: state.networkId, epochSeed };
  const epoch = ledger.epochOf(task.startBlock);
  const eligible = (member: Member) =>
    mayServe(member, epoch) &&
    member.credit >= onLedger.minCredit &&
    member.level >= onLedger.minLevel &&
    !task.excluded.includes(member.account);
  const executors = lowestDraws(state.roster, task, 'execute', 1, eligible, (role) =>
    taskAlpha(context, role, onLedger.taskId, task.attempt),
  );
  const executor = executors[0];
  if (executor === undefined) return undefined;
  const verifiers = lowestDraws(
    state.roster,
    task,
    'verify',
    VERIFIERS,
    (member) => mayServe(member, epoch) && member.account !== executor.account,
    (role) => taskAlpha(context, role, onLedger.taskId, task.attempt),
  );
  if (verifiers.length < verifiersNeeded(state.roster.size)) return undefined;
  return {
    executor: executor.account,
    salt: electionSalt(onLedger.taskId, task.attempt, executor.beta),
    verifiers: verifiers.map((draw) => draw.account).sort(),
    electedBlock: state.ledgerBlock,
  };
}

/** Walks the claimed draws from the lowest and keeps those whose proof holds. A false claim only loses its place [MEMB-29]. */
function lowestDraws(
  roster: Roster,
  task: TaskState,
  role: 'execute' | 'verify',
  count: number,
  eligible: (member: Member) => boolean,
  alphaOf: (role: 'execute' | 'verify') => Uint8Array,
): { account: string; beta: Uint8Array }[] {
  const claims: { member: Member; beta: Uint8Array; proof: Uint8Array; weight: number }[] = [];
  for (const [account, bid] of task.bids) {
    const member = roster.get(account);
    const draw = drawOf(bid, role);
    if (member === undefined || draw === null || !eligible(member)) continue;
    claims.push({ member, beta: draw.beta, proof: draw.proof, weight: juryWeightOf(roster, account) });
  }
  claims.sort(compareDraws);
  const drawn: { account: string; beta: Uint8Array }[] = [];
  for (const claim of claims) {
    if (drawn.length === count) break;
    const beta = provenBeta(claim.member, alphaOf(role), claim.proof);
    if (beta === undefined || toHex(beta) !== toHex(claim.beta)) continue;
    drawn.push({ account: claim.member.account, beta });
  }
  return drawn;
}

function drawOf(bid: Bid, role: 'execute' | 'verify'): Bid['execute'] {
  return role === 'execute' ? bid.execute : bid.verify;
}

function settleWhenVerified(
  state: MembershipState,
  ledger: LedgerView,
  taskId: Uint8Array,
  task: TaskState,
  election: Election,
): Outcome {
  const waiting = { state: withTask(state, taskId, task), effects: [] };
  if (task.certificate === undefined) return waiting;
  const certificateDigest = sha256(task.certificate);
  const reports = [...task.reports.values()];
  const affirming = reports.filter(
    (report) =>
      toHex(report.certificateDigest) === toHex(certificateDigest) &&
      report.phases.length === PHASES.length &&
      report.phases.every(({ phase, verdict }, i) => phase === PHASES[i] && verdict !== 'contraindicated'),
  ).length;
  const refusing = reports.length - affirming;
  if (refusing * 3 > election.verifiers.length) {
    return failOrRetry(state, ledger, taskId, task, FAILURE_REASONS.VERIFICATION_FAILED);
  }
  // Two thirds of the verifiers suffice: one that died cannot hold back what the others saw [MEMB-31].
  if (affirming * 3 < election.verifiers.length * 2) return waiting;
  return settle(state, taskId, task, election, certificateDigest);
}

function settle(
  state: MembershipState,
  taskId: Uint8Array,
  task: TaskState,
  election: Election,
  certificateDigest: Uint8Array,
): Outcome {
  let roster = earn(state.roster, election.executor, CREDIT_TASK_EXECUTED);
  const verifiers = election.verifiers.filter((account) => task.reports.has(account));
  for (const account of verifiers) roster = earn(roster, account, CREDIT_TASK_VERIFIED);
  const vote: Vote = {
    type: 'Settlement',
    taskId,
    attempt: task.attempt,
    executor: election.executor,
    salt: election.salt,
    verifiers,
    certificateDigest,
  };
  return {
    state: { ...withTask(state, taskId, { ...task, outcome: 'settled' }), roster },
    effects: [
      { type: 'roster', roster },
      { type: 'vote', vote },
      { type: 'task-closed', taskId, attempt: task.attempt, outcome: 'settled', reason: 0 },
    ],
  };
}

/** Another attempt, or the end: a task is never left without either [MEMB-33]. */
function failOrRetry(
  state: MembershipState,
  ledger: LedgerView,
  taskId: Uint8Array,
  task: TaskState,
  reason: number,
): { state: MembershipState; effects: readonly Effect[] } {
  const isWanted = !ledger.isTaskClosed(taskId, state.ledgerBlock);
  if (isRetried(reason) && isWanted && task.attempt < ATTEMPTS_MAX) {
    const passedOver = task.election?.executor;
    const retried: TaskState = {
      attempt: task.attempt + 1,
      // The next block: its hash is not known to whoever chose the moment of the failure [MEMB-28].
      startBlock: state.ledgerBlock + 1,
      bids: new Map(),
      excluded: passedOver === undefined ? task.excluded : [...task.excluded, passedOver],
      reports: new Map(),
      outcome: 'open',
    };
    const effect: Effect = { type: 'bidding', taskId, attempt: retried.attempt };
    return { state: withTask(state, taskId, retried), effects: [effect] };
  }
  const vote: Vote = { type: 'TaskFailure', taskId, attempt: task.attempt, reason };
  return {
    state: withTask(state, taskId, { ...task, outcome: 'failed' }),
    effects: [
      { type: 'vote', vote },
      { type: 'task-closed', taskId, attempt: task.attempt, outcome: 'failed', reason },
    ],
  };
}

function drawingTask(
  state: MembershipState,
  ledger: LedgerView,
  body: { taskId: Uint8Array; attempt: number },
):
  | { task: TaskState; onLedger: TaskOnLedger }
  | { rejected: 'TASK_UNKNOWN' | 'ATTEMPT_WRONG' | 'ALREADY_DONE' } {
  const onLedger = ledger.task(body.taskId, state.ledgerBlock);
  if (onLedger === undefined) return { rejected: 'TASK_UNKNOWN' };
  const task = state.tasks.get(toHex(body.taskId)) ?? newTask(onLedger);
  const isOver = task.outcome !== 'open' || ledger.isTaskClosed(body.taskId, state.ledgerBlock);
  if (isOver || task.election !== undefined) return { rejected: 'ALREADY_DONE' };
  if (body.attempt !== task.attempt) return { rejected: 'ATTEMPT_WRONG' };
  return { task, onLedger };
}

function runningTask(
  state: MembershipState,
  body: { taskId: Uint8Array; attempt: number },
): { task: TaskState; election: Election } | { rejected: 'TASK_UNKNOWN' | 'ATTEMPT_WRONG' | 'ALREADY_DONE' } {
  const task = state.tasks.get(toHex(body.taskId));
  if (task?.election === undefined) return { rejected: 'TASK_UNKNOWN' };
  if (task.outcome !== 'open') return { rejected: 'ALREADY_DONE' };
  if (task.attempt !== body.attempt) return { rejected: 'ATTEMPT_WRONG' };
  return { task, election: task.election };
}

function newTask(onLedger: TaskOnLedger): TaskState {
  return {
    attempt: 1,
    startBlock: onLedger.createdBlock,
    bids: new Map(),
    excluded: [],
    reports: new Map(),
    outcome: 'open',
  };
}

function withTask(state: MembershipState, taskId: Uint8Array, task: TaskState): MembershipState {
  return { ...state, tasks: new Map(state.tasks).set(toHex(taskId), task) };
}

function earn(roster: Roster, account: string, delta: number): Roster {
  const member = roster.get(account);
  return member === undefined ? roster : withCredit(roster, account, creditAfter(member.credit, delta));
}

/** What layer 1 stores for an executor until settlement: keccak256 is the contract's; this packs its preimage. */
export function commitmentPreimage(taskId: Uint8Array, executor: string, salt: Uint8Array): Uint8Array {
  const padded = new Uint8Array(32);
  padded.set(fromHex(executor), 12);
  return concatBytes(taskId, padded, salt);
}
