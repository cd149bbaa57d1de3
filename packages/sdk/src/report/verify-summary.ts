import { examine, type Finding, type Lies } from './finding.ts';
import type { Inquiry } from './inquiry.ts';
import type { Report } from './report.ts';

/** Layer-1 blocks carry whole seconds, and a block may be a second late. */
const CLOCK_SLACK_S = 3;

/** The sums and the verdict follow from the parts, and standing is what the registry held. */
export async function verifySummary(inquiry: Inquiry): Promise<Finding[]> {
  return [
    ...(await verifyStanding(inquiry)),
    ...(await verifyGas(inquiry.report)),
    ...(await verifyDurations(inquiry)),
    ...(await verifyVerdict(inquiry.report)),
    ...(await tellUncheckable(inquiry.report)),
  ];
}

/** Credit and status are what the registry held when the report was made, or later: the network may have gone on. */
function verifyStanding({ report, ledger }: Inquiry): Promise<Finding[]> {
  return examine('standing', (lies) => {
    const madeAt = lastBlock(report, ledger.history.events);
    for (const node of report.nodes) {
      const standings = ledger.history.standings(node.account);
      const first = standings.findLastIndex(({ block }) => block <= madeAt);
      const held = standings.slice(Math.max(0, first));
      const isHeld = held.some(
        ({ credit, isActive }) => credit === node.credit && isActive === (node.status === 'active'),
      );
      const last = held[0];
      lies.unless(
        isHeld,
        `${node.name}: got credit ${node.credit}, ${node.status}; the registry held ` +
          `${last === undefined ? 'nothing' : `credit ${last.credit}, ${last.isActive ? 'active' : 'evicted'}`}`,
      );
    }
    return report.nodes
      .map(({ name, credit, status }) => `${name} ${status === 'active' ? credit : status}`)
      .join(', ');
  });
}

/** The last block that the report speaks of. */
function lastBlock(report: Report, events: Inquiry['ledger']['history']['events']): number {
  const named = new Set([
    report.task.settleTx,
    ...report.evictions.map(({ txHash }) => txHash),
    ...report.nodes.map(({ admission }) => admission.txHash),
  ]);
  return Math.max(0, ...events.filter(({ txHash }) => named.has(txHash)).map(({ block }) => block));
}

/** Each single figure was held against its receipt; these are the largest of each kind. */
function verifyGas(report: Report): Promise<Finding[]> {
  return examine('gas', (lies) => {
    const { gas } = report;
    const largest = (figures: readonly number[]) => Math.max(0, ...figures);
    lies.unlessEqual('admission', gas.admission, largest(report.nodes.map((it) => it.admission.gasUsed)));
    lies.unlessEqual('epoch record', gas.epochRecord, largest(report.epochs.map((it) => it.gasUsed)));
    lies.unlessEqual(
      'capsule registration',
      gas.capsuleRegistration,
      largest(report.capsules.map((it) => it.gasUsed)),
    );
    lies.unlessEqual('settlement', gas.settlement, report.task.settleGas);
    return `admission ${gas.admission}, epoch ${gas.epochRecord}, capsule ${gas.capsuleRegistration}, settlement ${gas.settlement}`;
  });
}

/** Layer 1 has a clock too: a task cannot have settled sooner than its blocks say. */
function verifyDurations({ report, ledger }: Inquiry): Promise<Finding[]> {
  return examine('durations', (lies) => {
    const { history } = ledger;
    const { durationsMs: d, task } = report;
    const blockOf = (hash: string) => history.events.find(({ txHash }) => txHash === hash)?.block ?? -1;
    const created = history.blockTimestampS(blockOf(task.createTx));
    const settled = history.blockTimestampS(blockOf(task.settleTx));
    if (created === undefined || settled === undefined) return 'layer 1 shows no task to time';
    lies.unless(
      d.taskToSettlement / 1000 > settled - created - CLOCK_SLACK_S,
      `task to settlement: got ${d.taskToSettlement} ms, its blocks are ${settled - created} s apart`,
    );
    checkOrder(lies, 'task to results', d.taskToResults, 'task to settlement', d.taskToSettlement);
    checkOrder(lies, 'tampering to eviction', d.tamperToEviction, 'tampering to record', d.tamperToRecord);
    const parts = d.setup + d.join + d.taskToSettlement + d.tamperToRecord;
    checkOrder(lies, 'all parts', parts, 'the whole', d.total);
    return `settled ${settled - created} s after its creation by layer 1's clock, ${d.taskToSettlement} ms by the report`;
  });
}

function checkOrder(lies: Lies, part: string, partMs: number, whole: string, wholeMs: number): void {
  lies.unless(partMs <= wholeMs, `${part} took ${partMs} ms, ${whole} ${wholeMs} ms`);
}

function verifyVerdict(report: Report): Promise<Finding[]> {
  return examine('verdict', (lies) => {
    const failed = report.checks.filter(({ ok }) => !ok).map(({ name }) => name);
    lies.unless(report.checks.length > 0, 'the report checked nothing');
    lies.unless(
      report.ok === (failed.length === 0),
      `the report says ${report.ok ? 'that all held' : 'that not all held'}, and ${failed.length} checks failed`,
    );
    lies.unless(
      !report.ok || report.leakCheck.found === 0,
      `the report says that all held, and ${report.leakCheck.found} names leaked`,
    );
    const results = new Set(Object.values(report.results));
    lies.unless(
      !report.ok || results.size === 1,
      'the report says that all held, and the receivers opened different results',
    );
    lies.unlessEqual(
      'largest node process in MB',
      report.rssMb.nodeMax,
      Math.max(0, ...report.nodes.map(({ rssMb }) => rssMb)),
    );
    return failed.length === 0
      ? `${report.checks.length} of ${report.checks.length} checks held`
      : `the report owns up to ${failed.length} failed checks: ${failed.join('; ')}`;
  });
}

/** Said plainly, so that nobody takes a measurement for a proof. */
function tellUncheckable(report: Report): Promise<Finding[]> {
  return examine(
    'not provable',
    () =>
      `what the makers of the report measured: ${report.intersectionSize} common names, the results' digests, ` +
      'durations, memory, the leak search; and what single judges and verifiers saw, beyond the quorum that signed',
  );
}
