import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readmeExamples } from './readme.ts';

/** A stranger's project: judges recorded evidence with the packed packages, and is type-checked against their declarations. */
const SOURCE = `
import { readFileSync } from 'node:fs';
import { appraise, failedClaims, LEVEL, parseEvidence, parsePolicy, parseReferenceValues } from '@nemea/attestation';
import { Tpm, TpmError } from '@nemea/tpm';
import { fromHex } from '@nemea/tpm/core';
import { parseAttest } from '@nemea/tpm/structures';
import { otherResults } from './result-checks.mjs';

const vectors = JSON.parse(readFileSync('evidence.json', 'utf8'));
const policy = parsePolicy({
  version: 1,
  levelMin: LEVEL.development,
  clock: { unsafe: 'warn' },
  pcrs: { sha256: [0, 1, 2, 3, 4, 5, 6, 7, 14] },
  firmware: { unmeasured: 'allow', keys: 'any', authorities: 'any', loaders: 'any' },
  ima: { list: 'not-demanded' },
});
for (const recorded of vectors.cases) {
  const evidence = parseEvidence(fromHex(recorded.evidence));
  const { verdict, claims } = appraise({
    evidence,
    endorsements: { akPublic: fromHex(recorded.akPublic), level: LEVEL.development },
    referenceValues: parseReferenceValues({ releases: vectors.releases, images: vectors.images }),
    policy,
    expected: {
      networkId: fromHex(vectors.networkId),
      challenge: fromHex(vectors.challenge),
      binding: fromHex(vectors.binding),
    },
    nowMs: 0,
  });
  if (recorded.clockBefore === null && verdict !== recorded.verdict) throw new Error(recorded.name);
  if (recorded.name === 'honest') console.log(parseAttest(evidence.attest).type, verdict, claims.length > 0);
}
try {
  parseAttest(new Uint8Array(3));
} catch (error) {
  console.log(error instanceof TpmError, typeof Tpm.open, typeof failedClaims);
}
const results = JSON.parse(readFileSync('results.json', 'utf8'));
console.log(results.cases.length, 'results', await otherResults(results));
`;

export const EXPECTED = 'quote affirming true\ntrue function function\n8 results []\n';

const root = join(import.meta.dirname, '..');

/** Writes the project into a folder whose `node_modules` has the packages. */
export function writeConsumer(folder: string): void {
  for (const name of ['evidence.json', 'results.json'])
    cpSync(join(root, 'vectors/attestation', name), join(folder, name));
  // The same check as in this repository and in a browser; what is not published here is carried by @nemea/tpm.
  const checks = readFileSync(join(root, 'scripts/browser/result-checks.ts'), 'utf8');
  writeFileSync(join(folder, 'result-checks.mts'), checks.replace("'@nemea/core'", "'@nemea/tpm/core'"));
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'consumer', private: true, type: 'module' }),
  );
  writeFileSync(join(folder, 'consumer.mts'), SOURCE);
  // What the READMEs show compiles as a stranger's own, too.
  const examples = ['tpm', 'attestation'].flatMap(readmeExamples);
  for (const [i, source] of examples.entries()) writeFileSync(join(folder, `readme-${i}.mts`), source);
  const files = ['consumer.mts', ...examples.map((_, i) => `readme-${i}.mts`)];
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    module: 'nodenext',
    target: 'es2023',
    lib: ['es2024', 'esnext.disposable', 'dom'],
    types: ['node'],
    // The declarations of the packages are what is tested.
    skipLibCheck: false,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
}

/** Compiles the project with `tsc` and runs it on `node`; returns what it printed, or what went wrong. */
export function runConsumer(folder: string, tsc: string, node: string): string {
  const compiled = spawnSync(process.execPath, [tsc, '-p', folder], { cwd: folder, encoding: 'utf8' });
  if (compiled.status !== 0) return `tsc: ${compiled.stdout}${compiled.stderr}`;
  const run = spawnSync(node, ['consumer.mjs'], { cwd: folder, encoding: 'utf8' });
  return `${run.stdout}${run.stderr}`;
}
