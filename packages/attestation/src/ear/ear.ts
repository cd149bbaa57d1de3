/**
 * Attestation Results as relying parties outside this network read them: EAR (draft-ietf-rats-ear-04) in CBOR, signed as
 * COSE_Sign1. The trustworthiness vector is the normalised view of AR4SI; the judge's own result travels beside it, so that
 * nothing of its claims is lost.
 */
import { bytesEqual } from '@nemea/core';
import { type Cbor, decodeTaggedCbor, encodeTaggedCbor } from '../cose/cbor.ts';
import { CoseError } from '../cose/errors.ts';
import { type CoseSigner, type CoseVerifier, signSign1, verifySign1 } from '../cose/sign1.ts';
import { AttestationError } from '../errors.ts';
import { type AttestationResult, encodeResult, parseResult } from '../result.ts';
import { DIMENSIONS, type Dimension, TIER, type TrustworthinessVector, toVector } from './vector.ts';

/** The profile of every EAR written or read here. */
export const EAR_PROFILE = 'tag:ietf.org,2026:rats/ear#04';
/** The content type in the signed header. */
export const EAR_CONTENT_TYPE = `application/eat+cwt; eat_profile="${EAR_PROFILE}"`;
/** The one attester of a result: the machine behind the TPM. */
const SUBMODULE = 'tpm';
const TEXT_MAX = 256;

/** CWT claim keys (RFC 8392, RFC 9711, EAR). The last is of the private range and holds the judge's result. */
const CLAIM = {
  issuedAt: 6,
  nonce: 10,
  profile: 265,
  submods: 266,
  status: 1000,
  vector: 1001,
  policyIds: 1003,
  verifierId: 1004,
  result: -70_100,
} as const;

/** Who judged. */
export interface VerifierId {
  /** Who made the verifier, as a URI or name, and which build of it judged. */
  readonly developer: string;
  readonly build: string;
}

/** An EAR whose signature and view were checked. */
export interface Ear {
  readonly issuedAtS: number;
  readonly verifier: VerifierId;
  /** The challenge that the evidence answered. */
  readonly nonce: Uint8Array;
  /** Names of the policies that were applied, for example the digest of the policy document. */
  readonly policyIds: readonly string[];
  readonly vector: TrustworthinessVector;
  readonly result: AttestationResult;
}

/** What the verifier says; the rest follows from the result. */
export type EarContent = Pick<Ear, 'verifier' | 'nonce' | 'policyIds' | 'result'>;

/** Signs a result for relying parties. What signs may be a key in a TPM. */
export async function signEar(signer: CoseSigner, content: EarContent): Promise<Uint8Array> {
  return await signSign1(signer, { contentType: EAR_CONTENT_TYPE, payload: encodeEar(content) });
}

/** Throws `EAR_INVALID`, or what `verifySign1` throws for a signature that is not the verifier's. */
export function verifyEar(bytes: Uint8Array, verifier: CoseVerifier): Ear {
  return parseEar(verifySign1(bytes, verifier, [EAR_CONTENT_TYPE]));
}

function encodeEar({ verifier, nonce, policyIds, result }: EarContent): Uint8Array {
  const vector = Object.entries(toVector(result.claims)) as [Dimension, number][];
  const appraisal = new Map<Cbor, Cbor>([
    [CLAIM.status, TIER[result.verdict]],
    [CLAIM.vector, new Map<Cbor, Cbor>(vector.map(([dimension, tier]) => [DIMENSIONS[dimension], tier]))],
    [CLAIM.policyIds, policyIds],
    [CLAIM.result, encodeResult(result)],
  ]);
  return encodeTaggedCbor(
    new Map<Cbor, Cbor>([
      [CLAIM.profile, EAR_PROFILE],
      [CLAIM.issuedAt, Math.floor(result.appraisedAtMs / 1000)],
      [
        CLAIM.verifierId,
        new Map<Cbor, Cbor>([
          [0, verifier.developer],
          [1, verifier.build],
        ]),
      ],
      [CLAIM.nonce, nonce],
      [CLAIM.submods, new Map<Cbor, Cbor>([[SUBMODULE, appraisal]])],
    ]),
  );
}

/** Strict: it must be exactly what this judge writes, so its normalised view cannot differ from the result inside. */
function parseEar(bytes: Uint8Array): Ear {
  const claims = mapOf(decode(bytes), 'claims');
  const submods = mapOf(claims.get(CLAIM.submods), 'submods');
  const appraisal = mapOf(submods.get(SUBMODULE), SUBMODULE);
  const verifierId = mapOf(claims.get(CLAIM.verifierId), 'verifier id');
  const content: EarContent = {
    verifier: {
      developer: textOf(verifierId.get(0), 'developer'),
      build: textOf(verifierId.get(1), 'build'),
    },
    nonce: bytesOf(claims.get(CLAIM.nonce), 'nonce'),
    policyIds: listOf(appraisal.get(CLAIM.policyIds), 'policy ids').map((id) => textOf(id, 'policy id')),
    result: resultOf(appraisal.get(CLAIM.result)),
  };
  if (!bytesEqual(encodeEar(content), bytes)) throw invalid('its view is not that of the result inside');
  return {
    ...content,
    issuedAtS: Math.floor(content.result.appraisedAtMs / 1000),
    vector: toVector(content.result.claims),
  };
}

function decode(bytes: Uint8Array): Cbor {
  try {
    return decodeTaggedCbor(bytes, []);
  } catch (cause) {
    if (!(cause instanceof CoseError)) throw cause;
    throw invalid(cause.message);
  }
}

function resultOf(value: Cbor | undefined): AttestationResult {
  const bytes = bytesOf(value, 'result');
  try {
    return parseResult(bytes);
  } catch (cause) {
    if (!(cause instanceof AttestationError)) throw cause;
    throw invalid(cause.message);
  }
}

function mapOf(value: Cbor | undefined, what: string): ReadonlyMap<Cbor, Cbor> {
  if (!(value instanceof Map)) throw invalid(`${what}: want a map`);
  return value;
}

function listOf(value: Cbor | undefined, what: string): readonly Cbor[] {
  if (!Array.isArray(value)) throw invalid(`${what}: want an array`);
  return value;
}

function textOf(value: Cbor | undefined, what: string): string {
  if (typeof value !== 'string' || value.length > TEXT_MAX)
    throw invalid(`${what}: want text of at most ${TEXT_MAX}`);
  return value;
}

function bytesOf(value: Cbor | undefined, what: string): Uint8Array {
  if (!(value instanceof Uint8Array)) throw invalid(`${what}: want bytes`);
  return value;
}

function invalid(message: string): AttestationError {
  return new AttestationError('EAR_INVALID', `ear: ${message}`);
}
