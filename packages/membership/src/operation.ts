import { type CborValue, decodeCbor, encodeCbor, hashDomain, mintVerified, type Verified } from '@nemea/core';
import { z } from 'zod';
import { MembershipError } from './errors.ts';

/**
 * What members order by consensus. An operation names its author, the layer-1 block that its author had seen, and
 * one body; the author's Ed25519 peer key signs it, so that a relaying primary can change nothing.
 */

const bytes = (length: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === length, {
    error: `want ${length} bytes`,
  });
const bytesUpTo = (length: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= length, {
    error: `want at most ${length} bytes`,
  });
const uint = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const account = z.string().regex(/^0x[0-9a-f]{40}$/);
const verdict = z.enum(['affirming', 'warning', 'contraindicated']);
const proof = bytesUpTo(200);

/** The public keys and claims of a node, as they stand in NodeRegistry once it is admitted. */
export const nodeRecordSchema = z.strictObject({
  account,
  peerKey: bytes(32),
  ekId: bytes(32),
  akX: bytes(32),
  akY: bytes(32),
  vrfX: bytes(32),
  vrfY: bytes(32),
  level: z.number().int().min(1).max(3),
  endpoint: z.string().min(1).max(512),
});
export type NodeRecord = z.infer<typeof nodeRecordSchema>;

/** One drawn attestor's verdict on one target: a leaf of the epoch's attestation root. */
export const attestationSchema = z.strictObject({
  target: account,
  verdict,
  quoteDigest: bytes(32),
  /** VRF proof that drew the attestor; checked by the target at once, by anybody later. */
  proof,
  nonce: bytes(32),
  evidenceDigest: bytes(32),
  /** The target's Ed25519 signature over the answer: it accepted the draw and gave this very evidence. */
  answerSignature: bytes(64),
});
export type Attestation = z.infer<typeof attestationSchema>;

export const phaseSchema = z.enum(['before', 'during', 'after']);
export type Phase = z.infer<typeof phaseSchema>;

const drawSchema = z.strictObject({ beta: bytes(32), proof });

export const bodySchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('apply'), record: nodeRecordSchema, applicationDigest: bytes(32) }),
  z.strictObject({
    kind: z.literal('judge'),
    candidate: bytes(32),
    epoch: uint,
    proof,
    verdict,
    resultDigest: bytes(32),
  }),
  z.strictObject({ kind: z.literal('close-candidacy'), candidate: bytes(32) }),
  z.strictObject({
    kind: z.literal('attest'),
    epoch: uint,
    attestations: z.array(attestationSchema).max(256),
  }),
  z.strictObject({
    kind: z.literal('accuse'),
    epoch: uint,
    target: account,
    proof,
    nonce: bytes(32),
    evidence: bytesUpTo(65_536),
    answerSignature: bytes(64),
  }),
  z.strictObject({ kind: z.literal('close-epoch'), epoch: uint }),
  z.strictObject({
    kind: z.literal('bid'),
    taskId: bytes(32),
    attempt: uint,
    execute: drawSchema.nullable(),
    verify: drawSchema,
  }),
  z.strictObject({ kind: z.literal('close-bids'), taskId: bytes(32), attempt: uint }),
  z.strictObject({
    kind: z.literal('complete'),
    taskId: bytes(32),
    attempt: uint,
    certificate: bytesUpTo(16_384),
  }),
  z.strictObject({
    kind: z.literal('verify'),
    taskId: bytes(32),
    attempt: uint,
    certificateDigest: bytes(32),
    phases: z.array(z.strictObject({ phase: phaseSchema, verdict, quoteDigest: bytes(32) })).max(3),
  }),
  z.strictObject({
    kind: z.literal('abandon'),
    taskId: bytes(32),
    attempt: uint,
    reason: z.number().int().min(1).max(255),
  }),
  z.strictObject({ kind: z.literal('expire'), taskId: bytes(32), attempt: uint }),
  z.strictObject({ kind: z.literal('judge-dispute'), disputeId: bytes(32) }),
]);
export type OperationBody = z.infer<typeof bodySchema>;

const anchorSchema = z.strictObject({ block: uint, hash: bytes(32) });
export type Anchor = z.infer<typeof anchorSchema>;

const operationSchema = z.strictObject({ author: account, anchor: anchorSchema, body: bodySchema });
export type Operation = z.infer<typeof operationSchema>;

const signedSchema = z.strictObject({ operation: bytesUpTo(131_072), signature: bytes(64) });

export interface SignedOperation {
  readonly operation: Operation;
  /** The bytes as signed; identity and signature are over these, never over a re-encoding. */
  readonly signedBytes: Uint8Array;
  readonly signature: Uint8Array;
}

/** What the author's peer key signs. */
export function operationDigest(networkId: Uint8Array, operationBytes: Uint8Array): Uint8Array {
  return hashDomain('nemea/operation/1', networkId, operationBytes);
}

export function encodeOperation(operation: Operation): Uint8Array {
  return encodeCbor(operation as CborValue);
}

export function encodeSignedOperation(operationBytes: Uint8Array, signature: Uint8Array): Uint8Array {
  return encodeCbor({ operation: operationBytes, signature });
}

/** Parses an operation as it travels. Throws `OPERATION_MALFORMED`; the signature is not checked here. */
export function parseSignedOperation(bytesReceived: Uint8Array): SignedOperation {
  try {
    const outer = signedSchema.parse(decodeCbor(bytesReceived));
    const operation = operationSchema.parse(decodeCbor(outer.operation));
    return { operation, signedBytes: outer.operation, signature: outer.signature };
  } catch (cause) {
    throw new MembershipError('OPERATION_MALFORMED', `operation does not parse: ${firstIssue(cause)}`, {
      cause,
    });
  }
}

/** Checks the author's signature: the one place that mints a verified operation. */
export function authenticateOperation(
  networkId: Uint8Array,
  signed: SignedOperation,
  authorKey: Uint8Array,
  verifySignature: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean,
): Verified<Operation> {
  if (!verifySignature(authorKey, operationDigest(networkId, signed.signedBytes), signed.signature)) {
    throw new MembershipError(
      'OPERATION_SIGNATURE_INVALID',
      `signature is not by ${signed.operation.author}`,
      {
        data: { author: signed.operation.author },
      },
    );
  }
  return mintVerified(signed.operation);
}

function firstIssue(error: unknown): string {
  if (error instanceof z.ZodError) {
    const issue = error.issues[0];
    return issue === undefined ? 'unknown' : `${issue.path.join('.')}: ${issue.message}`;
  }
  return error instanceof Error ? error.message : 'unknown';
}
