// Records results.json from the recorded boots, without a TPM: node vectors/attestation/record-results.ts
import { readFile, writeFile } from 'node:fs/promises';
import { encodeEvidenceFile, encodeResult, LEVEL } from '@nemea/attestation';
import { signEar } from '@nemea/attestation/ear';
import { type Lesson, learnPolicy } from '@nemea/attestation/learn';
import { type CborValue, encodeCbor, fromHex, fromUtf8, sha256, toHex } from '@nemea/core';
import { p256 } from '@noble/curves/nist.js';
import { judge, type ResultInput, type ResultVectors } from '../../scripts/browser/result-checks.ts';

interface RecordedBoot {
  readonly akPublic: string;
  readonly nonce: string;
  readonly attest: string;
  readonly signature: string;
  readonly pcrs: { readonly sha256: readonly string[] };
}

/** Signs nothing but these vectors; deterministic by RFC 6979, so that a new recording of the same boots has the same bytes. */
const secret = sha256(fromUtf8('nemea test verifier'));
const verifier = { developer: 'https://nemea.example', build: 'result vectors' };
const signer = {
  algorithm: 'es256',
  sign: async (message: Uint8Array) => p256.sign(message, secret, { lowS: false }),
} as const;
const QUOTED = 16;

async function machine(name: string): Promise<{ evidence: Uint8Array; input: ResultInput; lesson: Lesson }> {
  const file = (suffix: string): URL => new URL(`../eventlog/${name}${suffix}`, import.meta.url);
  const boot = JSON.parse(await readFile(file('.json'), 'utf8')) as RecordedBoot;
  const pcrs = boot.pcrs.sha256.slice(0, QUOTED).map((value, pcr) => ({ pcr, value: fromHex(value) }));
  const eventLog = new Uint8Array(await readFile(file('.bin')));
  const imaList = new Uint8Array(await readFile(file('.ima.bin')));
  const evidence = encodeEvidenceFile({
    version: 2,
    attest: fromHex(boot.attest),
    signature: fromHex(boot.signature),
    pcrs,
    log: [],
    binding: new Uint8Array(32),
    eventLog,
    imaList,
  });
  const lesson = learnPolicy({ level: LEVEL.development, pcrs, eventLog, imaList });
  const { akPublic, nonce } = boot;
  const input: ResultInput = {
    name,
    evidence: name,
    akPublic,
    level: LEVEL.development,
    ...lesson,
    nonce,
    clockBefore: null,
    nowMs: Date.UTC(2030, 0, 1),
  };
  return { evidence, input, lesson };
}

const kernel = await machine('ovmf-kernel');
const secure = await machine('ovmf-secure-boot');
const machines = [kernel, secure];
const loaders = { id: 'loaders', expression: 'size(boot.loaders) == 1', why: 'one loader is enough' };
const resets = { id: 'resets', expression: 'clock.resetCount > 1000000', why: 'never true of this machine' };
const withRules = (...rules: readonly (typeof loaders)[]): object => ({ ...secure.lesson.policy, rules });
const cases: readonly ResultInput[] = [
  { ...kernel.input, name: 'kernel that its firmware starts, as learnt' },
  { ...secure.input, name: 'secure boot, as learnt' },
  { ...secure.input, name: 'judged by what another machine taught', ...kernel.lesson },
  { ...secure.input, name: 'a rule that holds', policy: withRules(loaders) },
  { ...secure.input, name: 'a rule that does not', policy: withRules(loaders, resets) },
  {
    ...secure.input,
    name: 'clock behind the record',
    clockBefore: { clock: '18446744073709551615', resetCount: 0xffff_fffe, restartCount: 0 },
  },
  { ...secure.input, name: 'another nonce', nonce: '00'.repeat(16) },
  { ...secure.input, name: 'another key', akPublic: kernel.input.akPublic },
];

const vectors: ResultVectors = {
  publicKey: toHex(p256.getPublicKey(secret)),
  verifier,
  evidence: Object.fromEntries(machines.map(({ input, evidence }) => [input.name, toHex(evidence)])),
  cases: await Promise.all(
    cases.map(async (input) => {
      const evidence = machines.find((it) => it.input.name === input.evidence)?.evidence;
      if (evidence === undefined) throw new Error(`no evidence ${input.evidence}`);
      const result = judge(evidence, input);
      const policyIds = [`sha256:${toHex(sha256(encodeCbor(input.policy as CborValue)))}`];
      const ear = await signEar(signer, { verifier, nonce: fromHex(input.nonce), policyIds, result });
      return { ...input, policyIds, verdict: result.verdict, result: toHex(encodeResult(result)), ear: toHex(ear) };
    }),
  ),
};
await writeFile(new URL('results.json', import.meta.url), `${JSON.stringify(vectors, undefined, 2)}\n`);
