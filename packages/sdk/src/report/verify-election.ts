import { bytesEqual, fromHex, toHex } from '@nemea/core';
import {
  electionSalt,
  juryWeightOf,
  type Member,
  mayServe,
  provenBeta,
  type Roster,
  type TaskOnLedger,
  taskAlpha,
  taskDrawSeed,
  VERIFIERS,
} from '@nemea/membership';
import { compareDraws } from '@nemea/vrf';
import { contractAbis } from '../client/ledger.ts';
import { executorCommitment } from '../ledger/votes.ts';
import { type DrawTime, epochsUnknown, memberAround, spansAround } from './draws.ts';
import { examine, type Finding, type Lies } from './finding.ts';
import { type Inquiry, minedTo, nameOf } from './inquiry.ts';
import { taskOnLedger } from './verify-task.ts';
import { checkCertificate, decodeCall } from './vote-certificate.ts';

/** A draw whose proof held, by the account that drew it. */
type Proven = ReadonlyMap<string, Uint8Array>;

/** Executor and verifiers are the lowest valid draws, and layer 1 was bound to the executor before it was revealed. */
export async function verifyElection(inquiry: Inquiry): Promise<Finding[]> {
  return [...(await verifyDraw(inquiry)), ...(await verifyCommitment(inquiry))];
}

function verifyDraw(inquiry: Inquiry): Promise<Finding[]> {
  return examine('draw', (lies) => {
    const { report, ledger } = inquiry;
    const { taskId, attempt, startBlock, bids, election } = report.task;
    const task = taskOnLedger(inquiry);
    const epochSeed = taskDrawSeed(ledger.history, startBlock);
    if (task === undefined || epochSeed === undefined) {
      lies.add(
        task === undefined ? `task ${taskId} is not on layer 1` : `block ${startBlock} is not on layer 1`,
      );
      return '';
    }
    lies.unlessEqual('different bidders', new Set(bids.map(({ account }) => account)).size, bids.length);
    const context = { networkId: ledger.networkId, epochSeed };
    const execute = provenBids(inquiry, lies, 'execute', taskAlpha(context, 'execute', task.taskId, attempt));
    const verify = provenBids(inquiry, lies, 'verify', taskAlpha(context, 'verify', task.taskId, attempt));
    checkSalt(lies, task.taskId, attempt, election, execute);
    const undecided = checkLowest(inquiry, lies, task, execute, verify);
    return (
      `${bids.length} bids with valid VRF proofs; executor ${nameOf(report, election.executor)} and ` +
      `${election.verifiers.length} verifiers ${undecided ? 'are as low as credit is known' : 'are the lowest'}`
    );
  });
}

/** The bids of one role whose proofs hold. */
function provenBids(inquiry: Inquiry, lies: Lies, role: 'execute' | 'verify', alpha: Uint8Array): Proven {
  const { report, rosters } = inquiry;
  const spans = spansAround(rosters, timeOf(inquiry));
  const proven = new Map<string, Uint8Array>();
  for (const bid of report.task.bids) {
    const draw = bid[role];
    if (draw === null) continue;
    const name = nameOf(report, bid.account);
    const member = memberAround(spans, bid.account);
    if (member === undefined) {
      lies.add(`bidder ${name} was no member`);
      continue;
    }
    const beta = provenBeta(member, alpha, fromHex(draw.proof));
    if (beta === undefined) lies.add(`VRF proof of ${name} to ${role} does not verify for this draw`);
    else if (
      lies.unless(bytesEqual(beta, fromHex(draw.beta)), `VRF output of ${name} to ${role} is not its proof's`)
    ) {
      proven.set(bid.account, beta);
    }
  }
  return proven;
}

/** The salt of the commitment is a function of the winning draw: a quorum could not choose it. */
function checkSalt(
  lies: Lies,
  taskId: Uint8Array,
  attempt: number,
  election: { executor: string; salt: string },
  execute: Proven,
): void {
  const beta = execute.get(election.executor);
  if (!lies.unless(beta !== undefined, 'the executor shows no valid draw')) return;
  lies.unlessEqual('salt', election.salt, toHex(electionSalt(taskId, attempt, beta as Uint8Array)));
}

/**
 * Elects again by every roster of that time; one of them must give the same. Returns whether credit was not known to
 * the epoch, so that another roster may have decided.
 */
function checkLowest(
  inquiry: Inquiry,
  lies: Lies,
  task: TaskOnLedger,
  execute: Proven,
  verify: Proven,
): boolean {
  const { report, rosters } = inquiry;
  const { election, attempt } = report.task;
  const when = timeOf(inquiry);
  const { epoch } = when;
  const elections = spansAround(rosters, when).map(({ roster }) => {
    const executors = inOrder(
      roster,
      execute,
      (member) => mayServe(member, epoch) && member.credit >= task.minCredit && member.level >= task.minLevel,
    );
    const verifiers = inOrder(
      roster,
      verify,
      (member) => mayServe(member, epoch) && member.account !== election.executor,
    );
    return { executors, verifiers: verifiers.slice(0, VERIFIERS).sort() };
  });
  // Executors of earlier attempts are passed over; who they were, layer 1 never learns.
  const isLowest = elections.filter(({ executors }) => {
    const rank = executors.indexOf(election.executor);
    return rank >= 0 && rank < attempt;
  });
  const claimed = [...election.verifiers].sort().join(' ');
  const isSame = isLowest.some(({ verifiers }) => verifiers.join(' ') === claimed);
  if (isSame) return false;
  if (epochsUnknown(rosters, when) > 0 && election.verifiers.every((it) => verify.has(it))) return true;
  const fair = elections.at(-1);
  if (isLowest.length === 0) {
    const winner = fair?.executors[0];
    lies.add(
      `executor ${nameOf(report, election.executor)} has not the lowest draw: ` +
        `${winner === undefined ? 'nobody' : nameOf(report, winner)} has`,
    );
  } else {
    const names = fair?.verifiers.map((account) => nameOf(report, account)).join(', ');
    lies.add(`the verifiers have not the lowest draws: ${names} have`);
  }
  return false;
}

/** The draw is seeded by a block, and decided by the block that holds the commitment to the executor. */
function timeOf({ report, ledger }: Inquiry): DrawTime {
  const { history } = ledger;
  const committed = history.events.find(({ txHash }) => txHash === report.task.commitTx)?.block;
  return {
    epoch: history.epochOf(report.task.startBlock),
    judgedEpoch: history.epochOf(committed ?? history.head),
  };
}

function inOrder(roster: Roster, proven: Proven, isEligible: (member: Member) => boolean): string[] {
  const draws: { account: string; beta: Uint8Array; weight: number }[] = [];
  for (const [account, beta] of proven) {
    const member = roster.get(account);
    if (member !== undefined && isEligible(member))
      draws.push({ account, beta, weight: juryWeightOf(roster, account) });
  }
  return draws.sort(compareDraws).map(({ account }) => account);
}

function verifyCommitment(inquiry: Inquiry): Promise<Finding[]> {
  return examine('election', async (lies) => {
    const { report, ledger } = inquiry;
    const { task } = report;
    const mined = await minedTo(inquiry, lies, 'taskEscrow', task.commitTx);
    if (mined === undefined) return '';
    const call = decodeCall(contractAbis.taskEscrow, mined);
    if (call?.functionName !== 'commitExecutor') {
      lies.add(`transaction ${task.commitTx} commits to no executor`);
      return '';
    }
    const [message, signatures] = call.args;
    const signed = await checkCertificate(inquiry, lies, { type: 'Election', message, signatures, mined });
    lies.unlessEqual('task', message.taskId, `0x${task.taskId}`);
    lies.unlessEqual('attempt', message.attempt, task.attempt);
    const { executor, salt } = task.election;
    lies.unlessEqual(
      'commitment to the executor',
      executorCommitment(fromHex(task.taskId), executor, fromHex(salt)),
      message.commitment,
    );
    const settled = ledger.history.events.find(
      (it) => it.type === 'task-settled' && it.taskId === task.taskId,
    );
    lies.unless(
      settled !== undefined && mined.block <= settled.block,
      'it was committed after it was settled',
    );
    return `${signed}; layer 1 held a blinded commitment to the executor from block ${mined.block}`;
  });
}
