/**
 * Tests the contracts on two EVMs, shanghai (what is deployed, and the oldest chain that must run it) and osaka, and
 * compares gas with contracts/.gas-snapshot. Prints one line `forge: N passed, N failed` for each EVM on stdout, all
 * else on stderr; exits non-zero on any failure.
 *
 *   node scripts/forge-test.ts                  test
 *   node scripts/forge-test.ts --update-gas     accept the gas figures as they are now
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildContracts, contractsDir, ForgeFailedError, type ForgeProfile, runForge } from './forge.ts';

const EVMS = [
  { build: 'default', test: 'test' },
  { build: 'osaka', test: 'test-osaka' },
] as const;
const TOTALS = /^Ran \d+ test suites?.*?: (\d+) tests passed, (\d+) failed, (\d+) skipped/gm;

async function main(args: readonly string[]): Promise<void> {
  for (const evm of EVMS) {
    await buildContracts(evm.build);
    const { passed, failed } = await runTests(evm.test);
    process.stdout.write(`forge: ${passed} passed, ${failed} failed\n`);
    if (failed > 0) process.exitCode = 1;
  }
  await compareGas(args.includes('--update-gas'));
}

/** Not `forge snapshot --check`: forge 1.7.1 prints the differences and still exits with 0. */
async function compareGas(update: boolean): Promise<void> {
  const current = join('cache-test', 'gas-snapshot');
  await runForge(
    ['snapshot', '--isolate', '--offline', '--match-contract', 'GasTest', '--snap', current],
    'test',
  );
  const got = readFileSync(join(contractsDir, current), 'utf8');
  const path = join(contractsDir, '.gas-snapshot');
  if (update) return writeFileSync(path, got);
  const want = readFileSync(path, 'utf8');
  if (got === want) return;
  process.stderr.write(`gas differs from contracts/.gas-snapshot, got:\n${got}\nwant:\n${want}\n`);
  process.stderr.write('if that is meant: node scripts/forge-test.ts --update-gas\n');
  process.exitCode = 1;
}

/** A skipped test counts as failed: there is no reason for one. */
async function runTests(profile: ForgeProfile): Promise<{ passed: number; failed: number }> {
  const output = await testOutput(profile);
  const totals = [...output.matchAll(TOTALS)].at(-1);
  if (totals === undefined) throw new Error(`forge test (profile ${profile}) printed no totals`);
  return { passed: Number(totals[1]), failed: Number(totals[2]) + Number(totals[3]) };
}

async function testOutput(profile: ForgeProfile): Promise<string> {
  try {
    return await runForge(['test', '--offline'], profile);
  } catch (error) {
    // Failed tests have totals too; a failed compilation has none and is thrown on by the caller.
    if (error instanceof ForgeFailedError) return error.output;
    throw error;
  }
}

await main(process.argv.slice(2));
