export type TestCounts = { readonly passed: number; readonly failed: number };

type VitestReport = {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
};

const FORGE_LINE = /^forge: (\d+) passed, (\d+) failed$/gm;

/**
 * Counts of vitest's JSON report. A file that does not even load counts as one failure, and so does a run that ended
 * badly while every test passed (an unhandled rejection, no tests at all): a bad exit is never zero failures.
 */
export function vitestCounts(report: string | undefined, exitCode: number): TestCounts {
  if (report === undefined) return { passed: 0, failed: 1 };
  const { numPassedTests, numFailedTests, testResults } = JSON.parse(report) as VitestReport;
  const brokenFiles = testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  return failedAtLeast(numPassedTests, numFailedTests + brokenFiles, exitCode);
}

/** Sums the closing lines of every profile that forge ran. No such line at all is a failure. */
export function forgeCounts(output: string, exitCode: number): TestCounts {
  const lines = [...output.matchAll(FORGE_LINE)];
  if (lines.length === 0) return { passed: 0, failed: 1 };
  const passed = lines.reduce((sum, line) => sum + Number(line[1]), 0);
  const failed = lines.reduce((sum, line) => sum + Number(line[2]), 0);
  return failedAtLeast(passed, failed, exitCode);
}

function failedAtLeast(passed: number, failed: number, exitCode: number): TestCounts {
  return { passed, failed: exitCode !== 0 && failed === 0 ? 1 : failed };
}
