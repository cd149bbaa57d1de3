import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { vitestCounts } from './test-counts.ts';

/**
 * Runs the tests in which this project and other tools use the same software TPM, the same files and the same certificates,
 * and prints what was exchanged, one line each. Exits with 1 when one of them failed.
 */
const root = join(import.meta.dirname, '..');
const REPORT = join(root, '.nemea/interop-report.json');
const SUITES = ['src/interop/', 'src/endorsement/openssl.test.ts'];

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly title: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

function main(): void {
  mkdirSync(join(root, '.nemea'), { recursive: true });
  rmSync(REPORT, { force: true });
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--reporter=json', `--outputFile=${REPORT}`];
  const { status } = spawnSync(process.execPath, [...args, ...SUITES], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const report = readFileSync(REPORT, 'utf8');
  print(JSON.parse(report) as Report);
  const { passed, failed } = vitestCounts(report, status ?? 1);
  console.log(`\n${passed} ok, ${failed} failed, with ${versions()}`);
  process.exitCode = failed > 0 ? 1 : 0;
}

function print({ testResults }: Report): void {
  for (const { message, assertionResults } of testResults.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (message !== '') console.log(message);
    let section: string | undefined;
    for (const { ancestorTitles, title, status, failureMessages } of assertionResults) {
      const next = ancestorTitles.join(' ');
      if (next !== section) console.log(`\n${next}`);
      section = next;
      console.log(`  ${status === 'passed' ? 'ok    ' : 'FAILED'}  ${title}`);
      for (const failure of failureMessages) console.log(failure);
    }
  }
}

function versions(): string {
  const version = (command: string, argument: string, pattern: RegExp): string =>
    pattern.exec(execFileSync(command, [argument], { encoding: 'utf8' }))?.[1] ?? 'of unknown version';
  return [
    `tpm2-tools ${version('tpm2_quote', '--version', /version="([^"]+)"/)}`,
    `swtpm ${version('swtpm', '--version', /version ([\d.]+)/)}`,
    `OpenSSL ${version('openssl', 'version', /OpenSSL ([\d.]+)/)}`,
  ].join(', ');
}

main();
