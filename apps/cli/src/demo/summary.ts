import type { Report } from '@nemea/sdk';
import { seconds } from '../output.ts';

/** A table for people. */
export function summary(report: Report, reportFile: string): string {
  const d = report.durationsMs;
  const rows: [string, string][] = [
    [
      'nodes',
      `${report.nodes.length} (${report.nodes.filter((node) => node.status === 'active').length} active, ${report.evictions.length} evicted)`,
    ],
    ['common names', String(report.intersectionSize)],
    ['executor, revealed after clean-up', report.task.election.executor],
    ['network up', seconds(d.setup)],
    ['a stranger joins', seconds(d.join)],
    ['task to both results opened', seconds(d.taskToResults)],
    ['  of which until the executor was drawn', seconds(d.submitToElected)],
    ['task to settlement', seconds(d.taskToSettlement)],
    ['tampering to eviction by the network', seconds(d.tamperToEviction)],
    ['tampering to the layer-1 record', seconds(d.tamperToRecord)],
    ['whole demo', seconds(d.total)],
    [
      'gas: admission / epoch / capsule / settlement',
      `${report.gas.admission} / ${report.gas.epochRecord} / ${report.gas.capsuleRegistration} / ${report.gas.settlement}`,
    ],
    ['largest node process', `${report.rssMb.nodeMax} MB`],
    ['leak search', `${report.leakCheck.filesScanned} files, ${report.leakCheck.found} hits`],
    ['checks', `${report.checks.filter((check) => check.ok).length} of ${report.checks.length} held`],
    ['report', reportFile],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`).join('\n');
}
