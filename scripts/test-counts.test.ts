import { describe, expect, it } from 'vitest';
import { forgeCounts, vitestCounts } from './test-counts.ts';

const report = (passed: number, failed: number, files: { status: string; tests: string[] }[]): string =>
  JSON.stringify({
    numPassedTests: passed,
    numFailedTests: failed,
    testResults: files.map(({ status, tests }) => ({
      status,
      assertionResults: tests.map((test) => ({ status: test })),
    })),
  });

describe('vitestCounts', () => {
  it('takes the numbers of a good run as they are', () => {
    expect(vitestCounts(report(2, 0, [{ status: 'passed', tests: ['passed', 'passed'] }]), 0)).toEqual({
      passed: 2,
      failed: 0,
    });
  });

  it('counts a failed test once, not again for its file', () => {
    const text = report(1, 1, [{ status: 'failed', tests: ['passed', 'failed'] }]);
    expect(vitestCounts(text, 1)).toEqual({ passed: 1, failed: 1 });
  });

  it('counts a file that does not load', () => {
    expect(vitestCounts(report(0, 0, [{ status: 'failed', tests: [] }]), 1)).toEqual({
      passed: 0,
      failed: 1,
    });
  });

  it('never reports zero failures for a run that ended badly', () => {
    expect(vitestCounts(report(3, 0, []), 1)).toEqual({ passed: 3, failed: 1 });
    expect(vitestCounts(undefined, 0)).toEqual({ passed: 0, failed: 1 });
  });
});

describe('forgeCounts', () => {
  it('sums the closing lines of all profiles', () => {
    const output = 'Ran 3 tests\nforge: 10 passed, 0 failed\nother\nforge: 9 passed, 2 failed\n';
    expect(forgeCounts(output, 1)).toEqual({ passed: 19, failed: 2 });
  });

  it('counts a run without a closing line as one failure', () => {
    expect(forgeCounts('error: no compiler\n', 0)).toEqual({ passed: 0, failed: 1 });
  });

  it('never reports zero failures for a run that ended badly', () => {
    expect(forgeCounts('forge: 4 passed, 0 failed\n', 2)).toEqual({ passed: 4, failed: 1 });
  });
});
