import { readFileSync } from 'node:fs';
import type { Report } from '@nemea/sdk';
import type { Devnet } from '../apps/cli/src/devnet/devnet.ts';

/** Resident memory in MB, as the kernel counts it. */
export interface Memory {
  readonly idle: readonly number[];
  readonly executor: readonly number[];
  readonly members: readonly number[];
  /** The high-water mark of each process since its start. */
  readonly peaks: readonly number[];
}

export function readMemory(net: Devnet, report: Report): Memory {
  const { executor } = report.task.election;
  const processes = report.nodes.map(({ name, account, status }) => ({
    isExecutor: account === executor,
    isMember: status === 'active',
    ...readProcess(net.processes.pid(name)),
  }));
  const members = processes.filter(({ isMember }) => isMember);
  return {
    idle: members.filter(({ isExecutor }) => !isExecutor).map(({ resident }) => resident),
    // Also where it was the one that the demo tampered with: its process lives on.
    executor: processes.filter(({ isExecutor }) => isExecutor).map(({ resident }) => resident),
    members: members.map(({ resident }) => resident),
    peaks: processes.map(({ peak }) => peak),
  };
}

function readProcess(pid: number | undefined): { resident: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
  return { resident: field('VmRSS'), peak: field('VmHWM') };
}
