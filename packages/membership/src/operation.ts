import { EVIDENCE_BYTES_MAX } from '@nemea/attestation';
import { PAYLOAD_BYTES_MAX } from '@nemea/consensus';
import {
  boundedInteger,
  byteString,
  defineDocument,
  hashDomain,
  mintVerified,
  type Verified,
} from '@nemea/core';
import { z } from 'zod';
import { MembershipError } from './errors.ts';

/**
 * What members order by consensus. An operation names its author, the layer-1 block that its author had seen, and
 * one body; the author's Ed25519 peer key signs it, so that a relaying primary can change nothing [MEMB-1].
 */

/** An operation with the largest evidence, and one with its signature around it. Consensus takes no larger ones than 256 KiB. */
const OPERATION_BYTES_MAX = EVIDENCE_BYTES_MAX + 8_192;
const SIGNED_OPERATION_BYTES_MAX = OPERATION_BYTES_MAX + 256;

export const uint = boundedInteger(Number.MAX_SAFE_INTEGER);
export const accountSchema = z.string().regex(/^0x[0-9a-f]{40}$/);
const verdict = z.enum(['affirming', 'warning', 'contraindicated']);
const proof = byteString(1, 200);

/** The public keys and claims of a node, as they stand in NodeRegistry once it is admitted. */
export const nodeRecordSchema = z.strictObject({
  account: accountSchema,
  /** Who the deposit goes back to: the account itself, or one that has paid into its deposit [MEMB-39]. */
  owner: accountSchema,
  peerKey: byteString(32),
  ekId: byteString(32),
  akX: byteString(32),
  akY: byteString(32),
  vrfX: byteString(32),
  vrfY: byteString(32),
  level: z.number().int().min(1).max(3),
  endpoint: z.string().min(1).max(512),
});
export type NodeRecord = z.infer<typeof nodeRecordSchema>;

/** One drawn attestor's verdict on one target: a leaf of the epoch's attestation root. */
export const attestationSchema = z.strictObject({
  target: accountSchema,
  verdict,
  quoteDigest: byteString(32),
  nonce: byteString(32),
  evidenceDigest: byteString(32),
  /** The target's Ed25519 signature over the answer: it accepted the draw and gave this very evidence. */
  answerSignature: byteString(64),
});
export type Attestation = z.infer<typeof attestationSchema>;

export const phaseSchema = z.enum(['before', 'during', 'after']);
export type Phase = z.infer<typeof phaseSchema>;

const drawSchema = z.strictObject({ beta: byteString(32), proof });

export const taskCertificate = byteString(0, 16_384);

export const judgeSchema = z.strictObject({
  kind: z.literal('judge'),
  candidate: byteString(32),
  epoch: uint,
  proof,
  verdict,
  resultDigest: byteString(32),
});

export const accuseSchema = z.strictObject({
  kind: z.literal('accuse'),
  epoch: uint,
  target: accountSchema,
  proof,
  nonce: byteString(32),
  evidence: byteString(0, EVIDENCE_BYTES_MAX),
  answerSignature: byteString(64),
});

/** A statement of consensus as far as its signature goes. */
export const signedPayloadSchema = z.strictObject({
  payload: byteString(1, PAYLOAD_BYTES_MAX),
  signature: byteString(64),
});
export type SignedPayload = z.infer<typeof signedPayloadSchema>;

export const contradictionSchema = z.strictObject({
  first: signedPayloadSchema,
  second: signedPayloadSchema,
});

export const bidSchema = z.strictObject({
  kind: z.literal('bid'),
  taskId: byteString(32),
  attempt: uint,
  execute: drawSchema.nullable(),
  verify: drawSchema,
});

export const verifySchema = z.strictObject({
  kind: z.literal('verify'),
  taskId: byteString(32),
  attempt: uint,
  certificateDigest: byteString(32),
  phases: z.array(z.strictObject({ phase: phaseSchema, verdict, quoteDigest: byteString(32) })).max(3),
});

export const bodySchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('apply'), record: nodeRecordSchema, applicationDigest: byteString(32) }),
  z.strictObject({ kind: z.literal('sit'), candidate: byteString(32), epoch: uint, proof }),
  judgeSchema,
  z.strictObject({ kind: z.literal('close-candidacy'), candidate: byteString(32) }),
  z.strictObject({ kind: z.literal('enrol') }),
  z.strictObject({
    kind: z.literal('attest'),
    epoch: uint,
    /** VRF proof of the attestor's draw in the epoch: whom it was drawn for follows from it. */
    proof,
    attestations: z.array(attestationSchema).max(256),
  }),
  accuseSchema,
  z.strictObject({ kind: z.literal('close-epoch'), epoch: uint }),
  bidSchema,
  z.strictObject({ kind: z.literal('close-bids'), taskId: byteString(32), attempt: uint }),
  z.strictObject({
    kind: z.literal('complete'),
    taskId: byteString(32),
    attempt: uint,
    certificate: taskCertificate,
  }),
  verifySchema,
  z.strictObject({
    kind: z.literal('abandon'),
    taskId: byteString(32),
    attempt: uint,
    reason: z.number().int().min(1).max(255),
  }),
  z.strictObject({ kind: z.literal('expire'), taskId: byteString(32), attempt: uint }),
  z.strictObject({ kind: z.literal('judge-dispute'), disputeId: byteString(32) }),
  contradictionSchema.extend({ kind: z.literal('prove-equivocation'), culprit: accountSchema }),
  z.strictObject({ kind: z.literal('rejoin'), nonce: byteString(32) }),
]);
export type OperationBody = z.infer<typeof bodySchema>;

const anchorSchema = z.strictObject({ block: uint, hash: byteString(32) });
export type Anchor = z.infer<typeof anchorSchema>;

const operationSchema = z.strictObject({ author: accountSchema, anchor: anchorSchema, body: bodySchema });
export type Operation = z.infer<typeof operationSchema>;

export interface SignedOperation {
  readonly operation: Operation;
  /** The bytes as signed; identity and signature are over these, never over a re-encoding. */
  readonly signedBytes: Uint8Array;
  readonly signature: Uint8Array;
}

function malformed(message: string, cause?: unknown): MembershipError {
  return new MembershipError('OPERATION_MALFORMED', message, { cause });
}

const operationCodec = defineDocument<Operation>({
  name: 'operation',
  schema: operationSchema,
  bytesMax: OPERATION_BYTES_MAX,
  invalid: malformed,
});

const signedCodec = defineDocument<{ operation: Uint8Array; signature: Uint8Array }>({
  name: 'signed operation',
  schema: z.strictObject({ operation: byteString(1, OPERATION_BYTES_MAX), signature: byteString(64) }),
  bytesMax: SIGNED_OPERATION_BYTES_MAX,
  invalid: malformed,
});

/** What the author's peer key signs. */
export function operationDigest(networkId: Uint8Array, operationBytes: Uint8Array): Uint8Array {
  return hashDomain('nemea/operation/1', networkId, operationBytes);
}

/** Throws `OPERATION_MALFORMED` for an operation that nobody would accept. */
export function encodeOperation(operation: Operation): Uint8Array {
  return operationCodec.encode(operation);
}

export function encodeSignedOperation(operationBytes: Uint8Array, signature: Uint8Array): Uint8Array {
  return signedCodec.encode({ operation: operationBytes, signature });
}

/** Parses an operation as it travels. Throws `OPERATION_MALFORMED`; the signature is not checked here. */
export function parseSignedOperation(bytesReceived: Uint8Array): SignedOperation {
  const outer = signedCodec.parse(bytesReceived);
  return {
    operation: operationCodec.parse(outer.operation),
    signedBytes: outer.operation,
    signature: outer.signature,
  };
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
