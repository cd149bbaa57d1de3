import { parseTaskSpec } from '@nemea/capsule';
import { bytesEqual, fromHex, sha256 } from '@nemea/core';
import type { TaskOnLedger } from '@nemea/membership';
import { decodeEventLog, type Hex } from 'viem';
import { contractAbis, type MinedTransaction } from '../client/ledger.ts';
import { examine, type Finding, type Lies } from './finding.ts';
import { hex0x, type Inquiry, minedTo, nameOf, readKnown } from './inquiry.ts';
import { checkCertificate, decodeCall } from './vote-certificate.ts';

/** The task as layer 1 has it; undefined when it has none of this id. */
export function taskOnLedger({ report, ledger }: Inquiry): TaskOnLedger | undefined {
  return ledger.history.task(fromHex(report.task.taskId), ledger.history.head);
}

/** The task was put into escrow by this transaction, and its public document says the same as its record. */
export function verifyTaskCreation(inquiry: Inquiry): Promise<Finding[]> {
  return examine('task', async (lies) => {
    const { report, ledger } = inquiry;
    const mined = await minedTo(inquiry, lies, 'taskEscrow', report.task.createTx);
    const task = taskOnLedger(inquiry);
    if (!lies.unless(task !== undefined, `task ${report.task.taskId} is not on layer 1`)) return '';
    const { taskId, creator, createdBlock, codeDigest, imageDigest, capsuleIds, fee, spec } =
      task as TaskOnLedger;
    const created = ledger.history.events.find(
      (event) => event.type === 'task-created' && bytesEqual(event.task.taskId, taskId),
    );
    lies.unlessEqual('transaction that created it', report.task.createTx, created?.txHash ?? 'none');
    if (report.task.attempt === 1)
      lies.unlessEqual('block that seeds the draw', report.task.startBlock, createdBlock);
    else lies.unless(report.task.startBlock > createdBlock, 'the draw was seeded before the task existed');
    const document = lies.parsed('task document on layer 1', () => parseTaskSpec(spec));
    if (document === undefined) return '';
    lies.unless(
      bytesEqual(document.code.digest, codeDigest) && bytesEqual(document.image.digest, imageDigest),
      'task document names other code or another image than the task',
    );
    const capsules = capsuleIds.map((id) => hex0x(id).slice(2)).join(' ');
    lies.unlessEqual('capsules', report.capsules.map(({ capsuleId }) => capsuleId).join(' '), capsules);
    if (mined !== undefined) {
      const escrow = ledger.network.contracts.taskEscrow.toLowerCase();
      const paid = transfers(inquiry, mined).filter(({ from, to }) => from === creator && to === escrow);
      lies.unlessEqual('fee in escrow', sumOf(paid), fee);
    }
    return `${capsuleIds.length} capsules, fee ${fee} in escrow, code ${hex0x(codeDigest)}`;
  });
}

/** The quorum settled for this executor, these verifiers and this certificate, and the fee went where it has to. */
export function verifySettlement(inquiry: Inquiry): Promise<Finding[]> {
  return examine('settlement', async (lies) => {
    const { task } = inquiry.report;
    const { election } = task;
    const mined = await minedTo(inquiry, lies, 'taskEscrow', task.settleTx);
    if (mined === undefined) return '';
    const call = decodeCall(contractAbis.taskEscrow, mined);
    if (call?.functionName !== 'settle') {
      lies.add(`transaction ${task.settleTx} settles no task`);
      return '';
    }
    const [message, signatures] = call.args;
    const signed = await checkCertificate(inquiry, lies, { type: 'Settlement', message, signatures, mined });
    lies.unlessEqual('task that was settled', message.taskId, `0x${task.taskId}`);
    lies.unlessEqual('attempt', task.attempt, message.attempt);
    lies.unlessEqual('executor', election.executor, message.executor.toLowerCase());
    lies.unlessEqual('salt', `0x${election.salt}`, message.salt);
    const digest = hex0x(sha256(fromHex(task.certificate)));
    lies.unlessEqual('digest of the clean-up certificate', digest, message.certificateDigest);
    lies.unlessEqual('gas', task.settleGas, mined.gasUsed);
    const verifiers = message.verifiers.map((account) => account.toLowerCase());
    checkReports(inquiry, lies, verifiers);
    await checkPayment(inquiry, lies, mined, verifiers);
    return `${signed}; executor ${nameOf(inquiry.report, election.executor)} and ${verifiers.length} verifiers paid`;
  });
}

/**
 * What the verifiers reported fits what was settled. Their single verdicts stand under the settlement's certificate
 * only as a whole: two thirds of the drawn verifiers affirmed.
 */
function checkReports({ report }: Inquiry, lies: Lies, settled: readonly string[]): void {
  const { election, reports } = report.task;
  const reporters = reports.map(({ account }) => account);
  lies.unlessEqual('different verifiers that reported', new Set(reporters).size, reporters.length);
  for (const account of new Set([...reporters, ...settled])) {
    const name = nameOf(report, account);
    lies.unless(election.verifiers.includes(account), `${name} was not elected to verify`);
  }
  for (const account of settled) {
    lies.unless(
      reporters.includes(account),
      `${nameOf(report, account)} was paid, and no report of it is shown`,
    );
  }
  for (const { account, phases } of reports) {
    const order = phases.map(({ phase }) => phase).join(', ');
    lies.unlessEqual(`phases seen by ${nameOf(report, account)}`, order, 'before, during, after');
  }
  const quotes = reports.flatMap(({ phases }) => phases.map(({ quoteDigest }) => quoteDigest));
  lies.unless(new Set(quotes).size === quotes.length, 'one quote was counted for two challenges');
  const refusing = reports.filter(({ phases }) =>
    phases.some(({ verdict }) => verdict === 'contraindicated'),
  );
  const affirming = reports.length - refusing.length;
  lies.unless(
    affirming * 3 >= election.verifiers.length * 2 && refusing.length * 3 <= election.verifiers.length,
    `${affirming} of ${election.verifiers.length} verifiers affirm, want two thirds`,
  );
}

/** What left the escrow in this transaction is the fee, to the unit, and each receiver was due. */
async function checkPayment(
  inquiry: Inquiry,
  lies: Lies,
  mined: MinedTransaction,
  verifiers: readonly string[],
): Promise<void> {
  const { ledger, report } = inquiry;
  const task = taskOnLedger(inquiry);
  if (task === undefined) return;
  const escrow = ledger.network.contracts.taskEscrow.toLowerCase();
  const paid = transfers(inquiry, mined).filter(({ from }) => from === escrow);
  lies.unlessEqual('sum of the payouts', sumOf(paid), task.fee);
  const owners = await Promise.all(
    task.capsuleIds.map((id) => readKnown<string>(ledger, 'capsuleRegistry', 'ownerOf', [hex0x(id)])),
  );
  const due = new Set([
    report.task.election.executor,
    ...verifiers,
    ...owners.map((owner) => owner?.toLowerCase() ?? ''),
    ledger.network.contracts.nodeRegistry.toLowerCase(),
    ...(task.capsuleIds.length === 0 ? [task.creator] : []),
  ]);
  for (const { to, value } of paid)
    lies.unless(due.has(to), `${value} went to ${nameOf(report, to)}, who was due nothing`);
  const receivers = new Set(paid.map(({ to }) => to));
  for (const owner of owners)
    lies.unless(receivers.has(owner?.toLowerCase() ?? ''), `owner ${owner} was not paid`);
  lies.unless(receivers.has(report.task.election.executor), 'the executor was not paid');
}

interface Transfer {
  readonly from: string;
  readonly to: string;
  readonly value: bigint;
}

/** Movements of the fee token that a transaction logged. */
function transfers({ ledger }: Inquiry, mined: MinedTransaction): Transfer[] {
  const token = ledger.network.contracts.feeToken.toLowerCase();
  return mined.logs.flatMap(({ address, topics, data }) => {
    if (address !== token) return [];
    const { eventName, args } = decodeEventLog({
      abi: contractAbis.feeToken,
      topics: topics as [Hex, ...Hex[]],
      data: data as Hex,
    });
    if (eventName !== 'Transfer') return [];
    return [{ from: args.from.toLowerCase(), to: args.to.toLowerCase(), value: args.value }];
  });
}

function sumOf(paid: readonly Transfer[]): bigint {
  return paid.reduce((sum, { value }) => sum + value, 0n);
}
