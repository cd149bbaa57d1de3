import { readFileSync } from 'node:fs';
import type { Report } from '@nemea/sdk';
import type { Devnet } from '../apps/cli/src/devnet/devnet.ts';

/** Resident memory in MB, as the kernel counts it. */
export interface Memory {
  readonly idle: readonly number[];
  readonly executor: readonly number[];
  readonly members: readonly number[];
  /** The high-water mark of each member since its start. */
  readonly peaks: readonly number[];
}

export function readMemory(net: Devnet, report: Report): Memory {
  const { executor } = report.task.election;
  const members = report.nodes
    .filter(({ status }) => status === 'active')
    .map(({ name, account }) => ({
      isExecutor: account === executor,
      ...readProcess(net.processes.pid(name)),
    }));
  const residentOf = (isExecutor: boolean): number[] =>
    members.filter((member) => member.isExecutor === isExecutor).map(({ resident }) => resident);
  return {
    idle: residentOf(false),
    executor: residentOf(true),
    members: members.map(({ resident }) => resident),
    peaks: members.map(({ peak }) => peak),
  };
}

function readProcess(pid: number | undefined): { resident: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
  return { resident: field('VmRSS'), peak: field('VmHWM') };
}
