import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SandboxRun } from '../../ports/sandbox.ts';
import { SandboxError } from './errors.ts';
import { checkRun } from './limits.ts';

const run: SandboxRun = {
  runId: 'task-1',
  imageDigest: new Uint8Array(32),
  code: new Uint8Array(10),
  entry: 'intersect',
  inputs: [],
  limits: { timeoutMs: 1000, memoryBytes: 64 << 20, pids: 16, outputBytes: 1, stdoutBytes: 0 },
};

describe('the check of a run', () => {
  test('accepts a plain one', () => {
    expect(() => checkRun(run)).not.toThrow();
  });

  test.each([
    ['a path as run id', { runId: '../x' }],
    ['an empty run id', { runId: '' }],
    ['an option as run id', { runId: '-f' }],
    ['an upper-case run id', { runId: 'A' }],
    ['code as entry', { entry: 'f();x' }],
    ['an option as entry', { entry: '--help' }],
    ['large code', { code: new Uint8Array((1 << 20) + 1) }],
    ['many inputs', { inputs: Array.from({ length: 65 }, () => new Uint8Array()) }],
    ['no time', { limits: { ...run.limits, timeoutMs: 0 } }],
    ['a fraction of a process', { limits: { ...run.limits, pids: 20.5 } }],
    ['too little memory to start', { limits: { ...run.limits, memoryBytes: 1 << 20 } }],
    ['no limit at all', { limits: { ...run.limits, outputBytes: Number.POSITIVE_INFINITY } }],
    ['not a number', { limits: { ...run.limits, stdoutBytes: Number.NaN } }],
  ])('refuses %s', (_, change) => {
    expect(() => checkRun({ ...run, ...change })).toThrow(SandboxError);
  });

  test('lets no name through that could leave its folder or become an option', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (runId, entry) => {
        try {
          checkRun({ ...run, runId, entry });
        } catch (error) {
          expect(error).toBeInstanceOf(SandboxError);
          return;
        }
        expect(runId).toMatch(/^[a-z0-9][a-z0-9-]*$/);
        expect(entry).toMatch(/^\w+$/);
      }),
    );
  });
});
