import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { executorCommitment, type Ledger, type Receipt, type Report } from '@nemea/sdk';
import { CLIENT_TOKENS, type Devnet, type NodeStatus } from '../devnet/devnet.ts';
import { DemoError } from './errors.ts';
import { digestOf } from './lists.ts';

export interface Sealed {
  readonly capsuleId: string;
  readonly cid: string;
  readonly registration: Receipt;
}

/** What a node tells of what it has seen. */
export interface NodeRecord {
  readonly epochs: { epoch: number; leaves: string[] }[];
  readonly tasks: (Omit<
    Report['task'],
    'createTx' | 'commitTx' | 'settleTx' | 'settleGas' | 'election' | 'certificate'
  > & {
    outcome: string;
    election: Report['task']['election'] | null;
    certificate: string | null;
  })[];
  readonly candidacies: Report['candidacies'];
  readonly evictions: Omit<Report['evictions'][number], 'txHash' | 'gasUsed'>[];
  readonly timings: { event: string; atMs: number; detail: string }[];
}

/** The main job once it is done. */
export interface Job {
  readonly net: Devnet;
  readonly ledger: Ledger;
  /** How many nodes were there from the beginning. */
  readonly founders: number;
  /** The numbers of all nodes. */
  readonly members: readonly number[];
  readonly sealed: { readonly b: Sealed; readonly c: Sealed };
  readonly task: { readonly taskId: string; readonly createTx: string };
  readonly fee: bigint;
  readonly epochsWanted: number;
  /** The true intersection, where it can be foretold. */
  readonly common: readonly string[] | undefined;
  readonly check: (name: string, ok: boolean, detail: string) => void;
}

/** All but what only the run itself can tell. */
type Facts = Omit<Report, 'ok' | 'leakCheck' | 'durationsMs' | 'checks'>;

/** What the report says of a job that is done, by layer 1 and by the devices; what has to hold is checked on the way. */
export async function gatherReport(job: Job): Promise<Facts> {
  const { net, ledger, sealed, common } = job;
  await ledger.sync();
  const statuses = await Promise.all(job.members.map((index) => net.status(index)));
  const clients = await Promise.all(
    ['a', 'b', 'c'].map((name) => net.client<{ account: string; rssMb: number }>(name, 'GET /status')),
  );
  const record = await net.node<NodeRecord>(1, 'GET /record');
  const nodes = await Promise.all(statuses.map((status, index) => nodeFacts(job, index + 1, status)));
  const epochs = await epochFacts(job, record);
  const task = await taskFacts(job, record);
  const evictions = await Promise.all(
    record.evictions.map(async (eviction) => ({
      ...eviction,
      ...(await eventReceipt(
        ledger,
        (event) => event.type === 'node-evicted' && event.account === eviction.account,
      )),
    })),
  );
  await checkPayment(
    job,
    task,
    clients.map(({ account }) => account),
  );
  const { results } = net.paths;
  return {
    version: 1,
    network: {
      name: ledger.network.name,
      chainId: ledger.network.chainId,
      startBlock: ledger.network.startBlock,
      epochMs: ledger.network.epochMs,
      contracts: { ...ledger.network.contracts },
    },
    nodes,
    candidacies: record.candidacies,
    epochs,
    capsules: await Promise.all(
      [
        { sealed: sealed.b, owner: clients[1]?.account ?? '' },
        { sealed: sealed.c, owner: clients[2]?.account ?? '' },
      ].map(async ({ sealed: capsule, owner }) => ({
        capsuleId: capsule.capsuleId,
        owner,
        cid: capsule.cid,
        txHash: capsule.registration.txHash,
        gasUsed: capsule.registration.gasUsed,
      })),
    ),
    task,
    evictions: evictions.map(({ block: _block, ...eviction }) => eviction),
    intersectionSize: common?.length ?? countNames(join(results, 'b.txt')),
    results: {
      b: digestOf(join(results, 'b.txt')),
      c: digestOf(join(results, 'c.txt')),
    },
    gas: {
      admission: Math.max(...nodes.map((node) => node.admission.gasUsed)),
      epochRecord: Math.max(...epochs.map((epoch) => epoch.gasUsed)),
      capsuleRegistration: Math.max(sealed.b.registration.gasUsed, sealed.c.registration.gasUsed),
      settlement: task.settleGas,
    },
    rssMb: {
      nodeMax: Math.max(...nodes.map((node) => node.rssMb)),
      clientMax: Math.max(...clients.map(({ rssMb }) => rssMb)),
    },
  };
}

async function nodeFacts(
  { net, ledger, founders }: Job,
  index: number,
  status: NodeStatus | undefined,
): Promise<Report['nodes'][number]> {
  const account = net.account(index);
  const admission = await eventReceipt(
    ledger,
    (event) => event.type === 'node-admitted' && event.record.account === account,
  );
  const onLedger = await ledger.read<{ level: number; credit: number; status: number }>(
    'nodeRegistry',
    'node',
    [account],
  );
  return {
    name: `node-${index}`,
    account,
    peerId: status?.peerId ?? '',
    level: onLedger.level,
    isGenesis: index <= founders,
    admission,
    credit: onLedger.credit,
    status: onLedger.status === 1 ? 'active' : 'evicted',
    rssMb: status?.rssMb ?? 0,
    canExecute: status?.canExecute ?? false,
  };
}

async function epochFacts(
  { ledger, epochsWanted, check }: Job,
  record: NodeRecord,
): Promise<Report['epochs']> {
  const facts: Report['epochs'] = [];
  for (const { epoch, leaves } of record.epochs) {
    const event = ledger.history.events.find(
      (candidate) => candidate.type === 'epoch' && candidate.epoch === epoch,
    );
    if (event === undefined) continue;
    const { txHash, gasUsed } = await ledger.receipt(event.txHash);
    facts.push({ epoch, txHash, gasUsed, leaves });
  }
  const attestations = facts.reduce((sum, { leaves }) => sum + leaves.length, 0);
  check(
    'epochs of random attestation are on layer 1',
    facts.length >= epochsWanted && attestations > 0,
    `${facts.length} epochs, ${attestations} attestations`,
  );
  return facts;
}

async function taskFacts({ ledger, task, check }: Job, record: NodeRecord): Promise<Report['task']> {
  const facts = record.tasks.find(({ taskId }) => taskId === task.taskId);
  if (facts?.election == null || facts.certificate === null) {
    throw new DemoError('DEMO_TIMED_OUT', 'the network keeps no record of the task');
  }
  const { outcome: _outcome, election, certificate, ...rest } = facts;
  const commit = ledger.history.events.find(
    (event) =>
      event.type === 'executor-committed' && event.taskId === task.taskId && event.attempt === facts.attempt,
  );
  const settled = await eventReceipt(
    ledger,
    (event) => event.type === 'task-settled' && event.taskId === task.taskId,
  );
  const commitment = executorCommitment(
    Buffer.from(task.taskId, 'hex'),
    election.executor,
    Buffer.from(election.salt, 'hex'),
  );
  check(
    'layer 1 held only a blinded commitment until settlement revealed the executor',
    commit?.type === 'executor-committed' &&
      commit.commitment === commitment &&
      commit.block <= settled.block,
    `executor ${election.executor}`,
  );
  check(
    'drawn verifiers saw the executor before, during and after',
    facts.reports.length * 3 >= election.verifiers.length * 2 &&
      facts.reports.every(
        ({ phases }) => phases.length === 3 && phases.every(({ verdict }) => verdict !== 'contraindicated'),
      ),
    `${facts.reports.length} of ${election.verifiers.length} verifiers reported`,
  );
  return {
    ...rest,
    election,
    certificate,
    createTx: task.createTx,
    commitTx: commit?.txHash ?? '',
    settleTx: settled.txHash,
    settleGas: settled.gasUsed,
  };
}

/** Everybody got the share that the contract promises, and B and C can tell that their result is the settled one. */
async function checkPayment(
  { net, ledger, fee, check }: Job,
  task: Report['task'],
  clients: readonly string[],
): Promise<void> {
  const [author, b, c] = clients;
  const balanceOf = (account: string) => ledger.read<bigint>('feeToken', 'balanceOf', [account]);
  const paid = {
    author: (await balanceOf(author ?? '')) === CLIENT_TOKENS - fee,
    executor: (await balanceOf(task.election.executor)) > 0n,
    owners: (await balanceOf(b ?? '')) > CLIENT_TOKENS && (await balanceOf(c ?? '')) > CLIENT_TOKENS,
  };
  check(
    'the fee went to executor, verifiers and data owners',
    paid.author && paid.executor && paid.owners,
    JSON.stringify(paid),
  );
  for (const name of ['b', 'c']) {
    const results = await net.client<{ taskId: string; confirmed: boolean }[]>(name, 'GET /results');
    const own = results.find(({ taskId }) => taskId === task.taskId);
    check(
      `${name.toUpperCase()} holds the result that layer 1 settled`,
      own?.confirmed === true,
      own === undefined ? 'missing' : `confirmed ${own.confirmed}`,
    );
  }
}

function countNames(file: string): number {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '').length;
}

async function eventReceipt(
  ledger: Ledger,
  matches: (event: Ledger['history']['events'][number]) => boolean,
): Promise<{ txHash: string; gasUsed: number; block: number }> {
  const event = ledger.history.events.findLast(matches);
  if (event === undefined) throw new DemoError('DEMO_TIMED_OUT', 'an expected event is not on layer 1');
  return ledger.receipt(event.txHash);
}
