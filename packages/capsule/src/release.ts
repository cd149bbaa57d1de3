import { EVIDENCE_BYTES_MAX } from '@nemea/attestation';
import { ByteWriter, boundedInteger, boundedList, byteString, defineDocument, hashDomain } from '@nemea/core';
import { z } from 'zod';
import { CapsuleError } from './errors.ts';
import { account, digest, stanzaSchema } from './fields.ts';
import type { CapsuleHeader } from './header.ts';
import { type Random, systemRandom } from './random.ts';
import { openWithKey, type Stanza, sealToKey } from './stanza.ts';

export const RELEASE_MESSAGE_BYTES_MAX = EVIDENCE_BYTES_MAX + 256 * 1024;
const SIGNATURES_MAX = 1024;
const RESULTS_MAX = 64;
const RESULT_BYTES_MAX = 4096;

/**
 * Why a key agent refuses, as the executor and the task's author may know it. Each says which check failed, and none
 * says what the owner's policy holds.
 */
export const RELEASE_REFUSALS = {
  AGENT_BUSY: 'the key agent serves too many requests, ask again later',
  AGENT_FAILED: 'the key agent could not decide',
  CAPSULE_UNKNOWN: 'the key agent does not hold this capsule',
  ELECTION_INVALID: 'the election is not signed by a quorum for this executor',
  EVIDENCE_INVALID: 'the evidence cannot be read',
  EVIDENCE_REFUSED: 'the evidence does not show an approved and trusted machine',
  NONCE_UNKNOWN: 'the nonce is not one that the key agent gave, or it is used up',
  POLICY_REFUSED: 'the owner does not permit this use of the capsule',
  REQUEST_INVALID: 'the request cannot be read',
  RESULTS_INSUFFICIENT: 'too few verifiers vouch for the executor',
  RUN_NOT_MEASURED: 'the run is not in the measured log of the executor',
  TASK_INVALID: 'the task is unknown, is not under way, or does not name this capsule',
} as const;

export type ReleaseRefusal = keyof typeof RELEASE_REFUSALS;

const refusalCodes = Object.keys(RELEASE_REFUSALS) as [ReleaseRefusal, ...ReleaseRefusal[]];

const helloSchema = z.strictObject({ kind: z.literal('hello'), taskId: digest, capsuleId: digest });

const nonceSchema = z.strictObject({ kind: z.literal('nonce'), nonce: digest });

const requestSchema = z.strictObject({
  kind: z.literal('request'),
  taskId: digest,
  capsuleId: digest,
  attempt: boundedInteger(0xffffffff),
  executor: account,
  /** Opens the blinded election on layer 1. */
  salt: digest,
  /** The quorum's EIP-712 signatures under the election. */
  election: boundedList(byteString(65), SIGNATURES_MAX),
  /** X25519, made for this run and kept in memory. */
  runKey: byteString(32),
  nonce: digest,
  /** Evidence document, bound to `releaseBinding` under the agent's nonce. */
  evidence: byteString(1, EVIDENCE_BYTES_MAX),
  /** Opens the `run` event in the measured log; the task id is the request's. */
  runOpening: z.strictObject({ codeDigest: digest, imageDigest: digest, salt: digest }),
  /** The verifiers' signed results about the executor, as they signed them. */
  results: boundedList(byteString(1, RESULT_BYTES_MAX), RESULTS_MAX),
});

const grantSchema = z.strictObject({ kind: z.literal('grant'), stanza: stanzaSchema });

const refusalSchema = z.strictObject({ kind: z.literal('refusal'), code: z.enum(refusalCodes) });

const messageSchema = z.discriminatedUnion('kind', [
  helloSchema,
  nonceSchema,
  requestSchema,
  grantSchema,
  refusalSchema,
]);

export type ReleaseHello = Readonly<z.infer<typeof helloSchema>>;
export type ReleaseNonce = Readonly<z.infer<typeof nonceSchema>>;
export type ReleaseRequest = Readonly<z.infer<typeof requestSchema>>;
export type ReleaseGrant = Readonly<z.infer<typeof grantSchema>>;
export type ReleaseRefused = Readonly<z.infer<typeof refusalSchema>>;

/** Key release: the executor says hello and requests, the key agent answers with a nonce, then a grant or a refusal. */
export type ReleaseMessage = z.infer<typeof messageSchema>;

const codec = defineDocument<ReleaseMessage>({
  name: 'key release message',
  schema: messageSchema,
  bytesMax: RELEASE_MESSAGE_BYTES_MAX,
  invalid: (message, cause) => new CapsuleError('RELEASE_MESSAGE_INVALID', message, { cause }),
});

/** Throws `RELEASE_MESSAGE_INVALID`. */
export function parseReleaseMessage(bytes: Uint8Array): ReleaseMessage {
  return codec.parse(bytes);
}

export function encodeReleaseMessage(message: ReleaseMessage): Uint8Array {
  return codec.encode(message);
}

/** What the executor's quote is bound to: the run key is its own, for this task and this capsule. */
export function releaseBinding(release: {
  readonly runKey: Uint8Array;
  readonly taskId: Uint8Array;
  readonly capsuleId: Uint8Array;
}): Uint8Array {
  return hashDomain('nemea/release-binding/1', release.runKey, release.taskId, release.capsuleId);
}

/** What a released key is for. Both sides derive it from their own facts: a grant opens for nothing else. */
export interface ReleaseTerms {
  readonly taskId: Uint8Array;
  readonly capsuleId: Uint8Array;
  readonly attempt: number;
  readonly runKey: Uint8Array;
  readonly policy: NonNullable<CapsuleHeader['policy']>;
}

/** Seals the file key to the run key (HPKE). The agent forgets the file key afterwards. */
export function sealGrant(
  terms: ReleaseTerms,
  fileKey: Uint8Array,
  random: Random = systemRandom,
): ReleaseGrant {
  const stanza = sealToKey(terms.runKey, { plaintext: fileKey, info: releaseInfo(terms), random });
  return { kind: 'grant', stanza };
}

/** Throws `STANZA_INVALID` for a grant that was made for other terms. */
export function openGrant(terms: ReleaseTerms, stanza: Stanza, runPrivateKey: Uint8Array): Uint8Array {
  return openWithKey(runPrivateKey, { stanza, info: releaseInfo(terms) });
}

function releaseInfo(terms: ReleaseTerms): Uint8Array {
  return hashDomain(
    'nemea/release/1',
    terms.taskId,
    terms.capsuleId,
    new ByteWriter().u32(terms.attempt).toBytes(),
    terms.runKey,
    new ByteWriter().u64(BigInt(terms.policy.chainId)).toBytes(),
    terms.policy.contract,
  );
}
