import {
  appraise,
  failedClaims,
  LEVEL,
  parseEvidence,
  parsePolicy,
  parseReferenceValues,
  resultDigest,
  verifyQuote,
} from '@nemea/attestation';
import { verifyEkCertificate } from '@nemea/attestation/endorsement';
import { describeBoot, parseEventLog, verifyEventLog } from '@nemea/attestation/eventlog';
import { parseImaList, quotedPcr10, verifyIma } from '@nemea/attestation/ima';
import { CodedError, fromHex, toHex } from '@nemea/core';
import { parseAttest, parsePublicArea, parseSignature } from '@nemea/tpm/structures';
import { otherResults, type ResultVectors } from './result-checks.ts';

/** Reads a file of `vectors/`. */
export type ReadVector = (path: string) => Promise<Uint8Array>;

export interface Outcome {
  readonly checked: number;
  /** What came out otherwise than recorded. */
  readonly wrong: readonly string[];
}

/** Holds the verifying half of the packages against the committed vectors: the same in Node and in a browser. */
export async function checkVectors(read: ReadVector): Promise<Outcome> {
  const wrong: string[] = [];
  let checked = 0;
  function expect(what: string, got: unknown, want: unknown): void {
    checked++;
    if (JSON.stringify(got) !== JSON.stringify(want)) wrong.push(`${what}: got ${JSON.stringify(got)}`);
  }
  await checkStructures(read, expect);
  await checkQuotes(read, expect);
  await checkEvidence(read, expect);
  const results = await json<ResultVectors>(read, 'attestation/results.json');
  expect('results and EAR, byte by byte', await otherResults(results), []);
  await checkBoot(read, expect, 'ovmf-kernel', false);
  await checkBoot(read, expect, 'ovmf-secure-boot', true);
  return { checked, wrong };
}

type Expect = (what: string, got: unknown, want: unknown) => void;

async function json<T>(read: ReadVector, path: string): Promise<T> {
  return JSON.parse(new TextDecoder().decode(await read(path))) as T;
}

async function checkStructures(read: ReadVector, expect: Expect): Promise<void> {
  type Attestation = { name: string; attest: string; signature: string; qualifyingData: string };
  for (const recorded of await json<Attestation[]>(read, 'tpm/attestations.json')) {
    expect(recorded.name, toHex(parseAttest(fromHex(recorded.attest)).extraData), recorded.qualifyingData);
    expect(`${recorded.name} signature`, parseSignature(fromHex(recorded.signature)).scheme, 'ecdsa');
  }
  type Malformed = { name: string; attest: string; code: string };
  for (const { name, attest, code } of await json<Malformed[]>(read, 'tpm/attestations-malformed.json')) {
    expect(
      name,
      codeOf(() => parseAttest(fromHex(attest))),
      code,
    );
  }
  type Identity = Record<'akPublic' | 'ekPublic' | 'ekCertificate' | 'caIntermediate' | 'caRoot', string>;
  const identity = await json<Identity>(read, 'tpm/identity.json');
  expect('AK', parsePublicArea(fromHex(identity.akPublic)).type, 'ecc');
  expect('EK', parsePublicArea(fromHex(identity.ekPublic)).type, 'rsa');
  const { manufacturer } = verifyEkCertificate({
    chain: [fromHex(identity.ekCertificate), fromHex(identity.caIntermediate)],
    roots: [{ certificate: fromHex(identity.caRoot), levelMax: LEVEL.development }],
    nowMs: Date.UTC(2030, 0, 1),
  });
  expect('EK certificate', manufacturer, 'id:00001014');
}

/** Quotes by tpm2-tools: the one place where a browser checks RSA and P-384. */
async function checkQuotes(read: ReadVector, expect: Expect): Promise<void> {
  type Recorded = {
    name: string;
    nonce: string;
    attest: string;
    signature: string;
    akPublic: string;
    pem: string;
  };
  for (const { name, nonce, attest, signature, akPublic, pem } of await json<Recorded[]>(
    read,
    'quote/quotes.json',
  )) {
    for (const key of [pem, fromHex(akPublic)]) {
      const input = { attest: fromHex(attest), signature: fromHex(signature), key, nonce: fromHex(nonce) };
      expect(`quote ${name}`, verifyQuote(input).ok, true);
      const forged = verifyQuote({ ...input, attest: input.attest.with(50, 0x55) });
      expect(`forged quote ${name}`, forged.ok ? 'OK' : forged.error.code, 'SIGNATURE_WRONG');
    }
  }
}

interface EvidenceVectors {
  readonly networkId: string;
  readonly challenge: string;
  readonly binding: string;
  readonly releases: readonly string[];
  readonly images: readonly string[];
  readonly policy: unknown;
  readonly cases: readonly {
    readonly name: string;
    readonly akPublic: string;
    readonly evidence: string;
    readonly clockBefore: { clock: string; resetCount: number; restartCount: number } | null;
    readonly failed: readonly string[];
    readonly resultDigest: string;
  }[];
}

async function checkEvidence(read: ReadVector, expect: Expect): Promise<void> {
  const vectors = await json<EvidenceVectors>(read, 'attestation/evidence.json');
  for (const { name, akPublic, evidence, clockBefore, failed, resultDigest: digest } of vectors.cases) {
    const result = appraise({
      evidence: parseEvidence(fromHex(evidence)),
      endorsements: { akPublic: fromHex(akPublic), level: LEVEL.development },
      referenceValues: parseReferenceValues({ releases: vectors.releases, images: vectors.images }),
      policy: parsePolicy(vectors.policy),
      expected: {
        networkId: fromHex(vectors.networkId),
        challenge: fromHex(vectors.challenge),
        binding: fromHex(vectors.binding),
      },
      clockBefore: clockBefore === null ? undefined : { ...clockBefore, clock: BigInt(clockBefore.clock) },
      nowMs: 0,
    });
    expect(
      `evidence ${name}`,
      failedClaims(result).map((claim) => `${claim.name} ${claim.reason}`),
      failed,
    );
    expect(`result ${name}`, toHex(resultDigest(result)), digest);
  }
}

interface RecordedBoot {
  readonly pcrs: Readonly<Record<'sha1' | 'sha256' | 'sha384' | 'sha512', readonly string[]>>;
  readonly akPublic: string;
  readonly nonce: string;
  readonly attest: string;
  readonly signature: string;
}

/** A whole machine: its quote, its event log and both forms of its IMA list, held against each other. */
async function checkBoot(read: ReadVector, expect: Expect, name: string, secureBoot: boolean): Promise<void> {
  const boot = await json<RecordedBoot>(read, `eventlog/${name}.json`);
  const values = Object.entries(boot.pcrs).flatMap(([bank, pcrs]) =>
    pcrs.map((value, pcr) => ({ bank: bank as keyof typeof boot.pcrs, pcr, value: fromHex(value) })),
  );
  const verdict = verifyQuote({
    attest: fromHex(boot.attest),
    signature: fromHex(boot.signature),
    key: fromHex(boot.akPublic),
    nonce: fromHex(boot.nonce),
    pcrs: values.filter(({ bank, pcr }) => bank === 'sha256' && pcr < 16),
  });
  expect(`${name} quote`, verdict.ok, true);
  const firmware = values.filter(({ pcr }) => pcr < 10 || pcr === 11);
  const verified = verifyEventLog(parseEventLog(await read(`eventlog/${name}.bin`)), firmware);
  expect(`${name} event log`, verified.ok, true);
  if (verified.ok) expect(`${name} Secure Boot`, describeBoot(verified.boot).secureBoot.enabled, secureBoot);
  const pcr10 = quotedPcr10({
    sha1: fromHex(boot.pcrs.sha1[10] ?? ''),
    sha256: fromHex(boot.pcrs.sha256[10] ?? ''),
  });
  for (const form of ['ima.bin', 'ima.txt']) {
    const { ok, badEntries } = verifyIma(parseImaList(await read(`eventlog/${name}.${form}`)), pcr10);
    expect(`${name} ${form}`, { ok, badEntries }, { ok: true, badEntries: [] });
  }
}

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'OK';
  } catch (error) {
    return error instanceof CodedError ? error.code : String(error);
  }
}
