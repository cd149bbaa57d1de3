import {
  appraise,
  encodeResult,
  parseEvidenceFile,
  parsePolicy,
  parseReferenceValues,
} from '@nemea/attestation';
import { signEar, verifyEar } from '@nemea/attestation/ear';
import { fromHex, toHex } from '@nemea/core';

/** `vectors/attestation/results.json`. Bytes are hex. */
export interface ResultVectors {
  /** Of the verifier's key: a point on P-256. */
  readonly publicKey: string;
  readonly verifier: { readonly developer: string; readonly build: string };
  /** Evidence documents by name. */
  readonly evidence: Readonly<Record<string, string>>;
  readonly cases: readonly ResultCase[];
}

export interface ResultCase {
  readonly name: string;
  /** The name of an evidence document. */
  readonly evidence: string;
  readonly akPublic: string;
  readonly level: 1 | 2 | 3;
  readonly policy: unknown;
  readonly policyIds: readonly string[];
  readonly referenceValues: unknown;
  readonly nonce: string;
  readonly clockBefore: {
    readonly clock: string;
    readonly resetCount: number;
    readonly restartCount: number;
  } | null;
  readonly nowMs: number;
  readonly verdict: string;
  readonly result: string;
  readonly ear: string;
}

const SIGNATURE_BYTES = 64;

/** Judges every case again. Returns the names of cases whose result or EAR has other bytes than recorded. */
export async function otherResults({
  publicKey,
  verifier,
  evidence,
  cases,
}: ResultVectors): Promise<string[]> {
  const other: string[] = [];
  const key = { algorithm: 'es256', publicKey: fromHex(publicKey) } as const;
  for (const recorded of cases) {
    const ear = fromHex(recorded.ear);
    const result = judge(fromHex(evidence[recorded.evidence] ?? ''), recorded);
    const signed = await signEar(
      // A signature may be random: what is made anew is all that it covers.
      { algorithm: 'es256', sign: async () => ear.slice(-SIGNATURE_BYTES) },
      { verifier, nonce: fromHex(recorded.nonce), policyIds: recorded.policyIds, result },
    );
    const isSame =
      result.verdict === recorded.verdict &&
      toHex(encodeResult(result)) === recorded.result &&
      toHex(signed) === recorded.ear &&
      toHex(encodeResult(verifyEar(ear, key).result)) === recorded.result;
    if (!isSame) other.push(recorded.name);
  }
  return other;
}

export type ResultInput = Omit<ResultCase, 'verdict' | 'result' | 'ear' | 'policyIds'>;

export function judge(
  evidence: Uint8Array,
  { clockBefore: before, ...input }: ResultInput,
): ReturnType<typeof appraise> {
  return appraise({
    evidence: parseEvidenceFile(evidence),
    endorsements: { akPublic: fromHex(input.akPublic), level: input.level },
    referenceValues: parseReferenceValues(input.referenceValues),
    policy: parsePolicy(input.policy),
    expected: { nonce: fromHex(input.nonce) },
    ...(before === null ? {} : { clockBefore: { ...before, clock: BigInt(before.clock) } }),
    nowMs: input.nowMs,
  });
}
