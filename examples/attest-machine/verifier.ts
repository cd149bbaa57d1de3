import { readFile } from 'node:fs/promises';
import { appraise, LEVEL, parseEvidenceFile, parsePolicy, parseReferenceValues } from '@nemea/attestation';

const [nonce = '', golden = 'golden'] = process.argv.slice(2);
const readJson = async (name: string) => JSON.parse(await readFile(`${golden}/${name}.json`, 'utf8'));
const { verdict, claims } = appraise({
  evidence: parseEvidenceFile(await readFile('evidence.cbor')),
  endorsements: { akPublic: await readFile('ak.pub'), level: LEVEL.development },
  policy: parsePolicy(await readJson('policy')),
  referenceValues: parseReferenceValues(await readJson('reference-values')),
  expected: { nonce: Buffer.from(nonce, 'hex') },
  nowMs: Date.now(),
});
for (const claim of claims) console.log(claim.verdict.padEnd(15), claim.name.padEnd(18), claim.detail);
process.exitCode = verdict === 'contraindicated' ? 1 : 0;
