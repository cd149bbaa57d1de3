import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inspectHost, isRuncFixed, RUNC_MINIMUMS } from './host.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nemea-host-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const options = {
  policy: 'development',
  runcPath: undefined,
  runcMinimums: RUNC_MINIMUMS,
  cgroupRoot: '/sys/fs/cgroup',
} as const;

function runcOfVersion(version: string): string {
  const file = join(folder, `runc-${version}`);
  writeFileSync(file, `#!/bin/sh\necho "runc version ${version}"\n`);
  chmodSync(file, 0o755);
  return file;
}

describe('a release of runc', () => {
  test.each([
    ['1.1.5', false],
    ['1.1.15', false],
    ['1.2.7', false],
    ['1.2.8', true],
    ['1.2.10', true],
    ['1.3.0', false],
    ['1.3.3', true],
    ['1.4.0', true],
    ['2.0.0', true],
  ])('%s has the fixes: %s', (version, isFixed) => {
    expect(isRuncFixed(version, RUNC_MINIMUMS)).toBe(isFixed);
  });
});

describe('the inspection of a machine', () => {
  test('finds this one fit and says what is not perfect about it', async () => {
    const host = await inspectHost(options);
    expect(host.runcVersion).toMatch(/^\d+\.\d+\.\d+$/);
    const hasWarning = host.warnings.some(({ code }) => code === 'RUNC_OLD');
    expect(hasWarning).toBe(!isRuncFixed(host.runcVersion, RUNC_MINIMUMS));
  });

  test('warns about an old runc in development and refuses it in production', async () => {
    const runcPath = runcOfVersion('1.2.7');
    const { warnings } = await inspectHost({ ...options, runcPath });
    expect(warnings.map(({ code }) => code)).toContain('RUNC_OLD');
    const production = inspectHost({ ...options, runcPath, policy: 'production' });
    await expect(production).rejects.toMatchObject({ code: 'SANDBOX_RUNC_OLD' });
  });

  test('refuses a runc without user namespaces and cgroups as we need them even in development', async () => {
    const inspected = inspectHost({ ...options, runcPath: runcOfVersion('1.0.3') });
    await expect(inspected).rejects.toMatchObject({ code: 'SANDBOX_RUNC_OLD' });
  });

  test('names a runc that is missing or is something else', async () => {
    const missing = inspectHost({ ...options, runcPath: join(folder, 'none') });
    await expect(missing).rejects.toMatchObject({ code: 'SANDBOX_RUNC_MISSING' });
    const other = inspectHost({ ...options, runcPath: '/bin/true' });
    await expect(other).rejects.toMatchObject({ code: 'SANDBOX_RUNC_MISSING' });
  });

  test('names the controllers that are missing', async () => {
    const cgroupRoot = join(folder, 'cgroup');
    mkdirSync(join(cgroupRoot, 'memory'), { recursive: true });
    const inspected = inspectHost({ ...options, cgroupRoot });
    await expect(inspected).rejects.toMatchObject({
      code: 'SANDBOX_HOST_UNFIT',
      message: expect.stringContaining('cpu, memory, pids'),
    });
  });
});
