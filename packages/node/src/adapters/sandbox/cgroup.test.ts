import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  countsSwap,
  findCgroups,
  groupProcesses,
  killGroup,
  listGroups,
  missingControllers,
  readUsage,
  removeGroup,
} from './cgroup.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'nemea-cgroup-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function files(contents: Record<string, string>): void {
  for (const [name, content] of Object.entries(contents)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
}

describe('a tree of cgroup version 2', () => {
  test('is known by its controllers file, and its counters are read', () => {
    files({
      'cgroup.controllers': 'cpuset cpu io memory pids\n',
      'nemea/n1/r1/cpu.stat': 'usage_usec 1234567\nuser_usec 1000000\n',
      'nemea/n1/r1/memory.peak': '44040192\n',
      'nemea/n1/r1/memory.events': 'low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\n',
      'nemea/n1/r1/cgroup.procs': '11\n12\n',
      'nemea/n1/r1/inner/cgroup.procs': '13\n',
    });
    const cgroups = findCgroups(root);
    expect(cgroups.version).toBe(2);
    expect(missingControllers(cgroups)).toEqual([]);
    expect(countsSwap(cgroups)).toBe(true);
    expect(readUsage(cgroups, 'nemea/n1/r1')).toEqual({
      cpuMs: 1235,
      memoryPeakBytes: 44_040_192,
      oomKills: 1,
    });
    expect(groupProcesses(cgroups, 'nemea/n1/r1')).toEqual([11, 12, 13]);
    expect(listGroups(cgroups, 'nemea/n1')).toEqual([':r1', ':r1/inner']);
  });

  test('tells the controllers it lacks', () => {
    files({ 'cgroup.controllers': 'cpu io\n' });
    expect(missingControllers(findCgroups(root))).toEqual(['memory', 'pids']);
  });

  test('kills a group by its own switch', async () => {
    files({
      'cgroup.controllers': 'cpu\n',
      'nemea/n1/r1/cgroup.kill': '',
      'nemea/n1/r1/cgroup.procs': '999999999\n',
    });
    killGroup(findCgroups(root), 'nemea/n1/r1');
    const { readFileSync } = await import('node:fs');
    expect(readFileSync(join(root, 'nemea/n1/r1/cgroup.kill'), 'utf8')).toBe('1');
  });

  test('counts nothing for a group that was never made', () => {
    files({ 'cgroup.controllers': 'cpu\n' });
    const nothing = { cpuMs: 0, memoryPeakBytes: 0, oomKills: 0 };
    expect(readUsage(findCgroups(root), 'nemea/n1/none')).toEqual(nothing);
    expect(groupProcesses(findCgroups(root), 'nemea/n1/none')).toEqual([]);
  });
});

describe('the trees of cgroup version 1', () => {
  test('are one for each controller', () => {
    files({
      'cpu/cgroup.procs': '',
      'memory/cgroup.procs': '',
      'pids/cgroup.procs': '',
      'cpuacct/nemea/n1/r1/cpuacct.usage': '712000000\n',
      'memory/nemea/n1/r1/memory.max_usage_in_bytes': '134217728\n',
      'memory/nemea/n1/r1/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n',
      'pids/nemea/n1/r1/cgroup.procs': '21\n',
    });
    const cgroups = findCgroups(root);
    expect(cgroups.version).toBe(1);
    expect(missingControllers(cgroups)).toEqual([]);
    expect(countsSwap(cgroups)).toBe(false);
    expect(readUsage(cgroups, 'nemea/n1/r1')).toEqual({
      cpuMs: 712,
      memoryPeakBytes: 134_217_728,
      oomKills: 3,
    });
    expect(groupProcesses(cgroups, 'nemea/n1/r1')).toEqual([21]);
    expect(listGroups(cgroups, 'nemea/n1').sort()).toEqual(['/cpuacct:r1', '/memory:r1', '/pids:r1']);
  });

  test('lose a group in every tree, children first, and keep its neighbours', async () => {
    for (const tree of ['cpu', 'memory', 'pids'])
      mkdirSync(join(root, tree, 'nemea/n1/r1/inner'), { recursive: true });
    mkdirSync(join(root, 'cpu/nemea/n2'));
    const cgroups = findCgroups(root);
    expect(await removeGroup(cgroups, 'nemea/n1')).toBe(true);
    expect(listGroups(cgroups, 'nemea')).toEqual(['/cpu:n2']);
  });
});
