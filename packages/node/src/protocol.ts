import { EVIDENCE_BYTES_MAX } from '@nemea/attestation';
import { DECISIONS_MAX } from '@nemea/consensus';
import { boundedInteger, byteString, CodedError, type DocumentCodec, defineDocument } from '@nemea/core';
import { nodeRecordSchema, phaseSchema, STATE_BYTES_MAX } from '@nemea/membership';
import { z } from 'zod';

/**
 * Messages between nodes, and between nodes and strangers, outside consensus: strict dag-cbor with exact keys and
 * bounds. Parsing says nothing about who sent them; every handler authenticates before it acts.
 */

export const PROTOCOLS = {
  consensus: '/nemea/consensus/1',
  request: '/nemea/request/1',
  decisions: '/nemea/decisions/1',
  vote: '/nemea/vote/1',
  challenge: '/nemea/challenge/1',
  phase: '/nemea/phase/1',
  query: '/nemea/query/1',
  report: '/nemea/report/1',
  admission: '/nemea/admission/1',
  key: '/nemea/key/1',
  result: '/nemea/result/1',
} as const;

export class ProtocolError extends CodedError<'MESSAGE_MALFORMED'> {}

const uint = boundedInteger(Number.MAX_SAFE_INTEGER);
const account = z.string().regex(/^0x[0-9a-f]{40}$/);
const code = z.string().regex(/^[A-Z][A-Z0-9_]{1,63}$/);
const signature = z.string().regex(/^0x[0-9a-f]{130}$/);

function codec<T>(name: string, bytesMax: number, schema: z.ZodType<T>): DocumentCodec<T> {
  return defineDocument({
    name,
    schema,
    bytesMax,
    invalid: (message, cause) => new ProtocolError('MESSAGE_MALFORMED', message, { cause }),
  });
}

/** A member's signature over the EIP-712 digest of a vote that every member derives by itself. */
export const voteMessageCodec = codec('vote', 512, z.strictObject({ digest: byteString(32), signature }));

const commandSchema = z.enum(['epoch', 'before', 'during', 'after']);

/** Step 1 of remote attestation: VRF proof, command, nonce, signature (EIP-712, so that layer 1 can judge it). */
const challengeSchema = z.strictObject({
  epoch: uint,
  attestor: account,
  target: account,
  command: commandSchema,
  nonce: byteString(32),
  proof: byteString(0, 200),
  signature,
  task: z.strictObject({ taskId: byteString(32), attempt: uint }).nullable(),
});
export type Challenge = z.infer<typeof challengeSchema>;
export const challengeCodec = codec('challenge', 2_048, challengeSchema);

/** Steps 9 to 12: evidence under the outer nonce, signed by the target's peer key. */
export const answerCodec = codec(
  'answer',
  EVIDENCE_BYTES_MAX + 512,
  z.strictObject({
    evidence: byteString(0, EVIDENCE_BYTES_MAX),
    stateDigest: byteString(32),
    signature: byteString(64),
  }),
);

/** What members are asked without ordering it: the fresh number makes old answers worthless [CONS-29]. */
export const queryCodec = codec('query', 64, z.strictObject({ fresh: byteString(32) }));

/** A member's answer, signed with its peer key together with the question. */
export const queryAnswerCodec = codec(
  'query answer',
  512,
  z.strictObject({ sequence: uint, result: byteString(1, 256), signature: byteString(64) }),
);

/** What members answer: equal bytes are equal knowledge. */
export const agreedStateCodec = codec(
  'agreed state',
  256,
  z.strictObject({ epochClosed: uint, members: uint, rosterRoot: byteString(32) }),
);

/** The executor tells its verifiers that a phase began, and opens its blinded run to them. */
const phaseNoticeSchema = z.strictObject({
  taskId: byteString(32),
  attempt: uint,
  phase: phaseSchema,
  runSalt: byteString(32),
  certificate: byteString(0, 16_384).nullable(),
});
export type PhaseNotice = z.infer<typeof phaseNoticeSchema>;
export const phaseNoticeCodec = codec('phase notice', 17_408, phaseNoticeSchema);

/** A verifier's signed verdict on one phase; key agents read it too, so it names all that it speaks of. */
const phaseResultSchema = z.strictObject({
  verifier: account,
  executor: account,
  taskId: byteString(32),
  attempt: uint,
  phase: phaseSchema,
  verdict: z.enum(['affirming', 'warning', 'contraindicated']),
  quoteDigest: byteString(32),
  proof: byteString(0, 200),
  /** Block whose hash seeded the draw that the proof is for. */
  startBlock: uint,
});
export type PhaseResult = z.infer<typeof phaseResultSchema>;
export const phaseResultCodec = codec('phase result', 2_048, phaseResultSchema);
export const signedPhaseResultCodec = codec(
  'signed phase result',
  2_560,
  z.strictObject({ result: byteString(0, 2048), signature: byteString(64) }),
);

/** A stranger's proof of trust: everything that a judge needs but the fresh quote. */
const applicationSchema = z.strictObject({
  record: nodeRecordSchema,
  ekChain: z.array(byteString(0, 8192)).min(1).max(5),
  ekPublic: byteString(0, 1024),
  akPublic: byteString(0, 256),
  vrfPublic: byteString(0, 256),
  certify: z.strictObject({ attest: byteString(0, 1024), signature: byteString(0, 512) }),
  /** The account's own vote for this record: nobody stakes a deposit that is not theirs. */
  consent: signature,
});
export type Application = z.infer<typeof applicationSchema>;
export const applicationCodec = codec('application', 49_152, applicationSchema);

const admissionRequestSchema = z.discriminatedUnion('kind', [
  /** Asks a member to put the candidacy into the order (or, at genesis, to judge at once). */
  z.strictObject({ kind: z.literal('apply'), application: byteString(0, 49_152) }),
  /** Asks for a challenge; only a drawn judge gives one. */
  z.strictObject({ kind: z.literal('challenge'), candidate: byteString(32) }),
  z.strictObject({
    kind: z.literal('answer'),
    candidate: byteString(32),
    secret: byteString(0, 64),
    evidence: byteString(0, EVIDENCE_BYTES_MAX),
  }),
  z.strictObject({ kind: z.literal('status'), candidate: byteString(32) }),
]);
export type AdmissionRequest = z.infer<typeof admissionRequestSchema>;
/** What a stranger may send at once. */
export const ADMISSION_BYTES_MAX = EVIDENCE_BYTES_MAX + 2_048;
export const admissionRequestCodec = codec('admission request', ADMISSION_BYTES_MAX, admissionRequestSchema);

const admissionResponseSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('accepted'), candidate: byteString(32) }),
  z.strictObject({ kind: z.literal('wait'), code }),
  z.strictObject({
    kind: z.literal('challenge'),
    credentialBlob: byteString(0, 1024),
    encryptedSecret: byteString(0, 1024),
    nonce: byteString(32),
  }),
  /** The judge's verdict with every reason; at genesis with its EIP-712 signature under the admission. */
  z.strictObject({
    kind: z.literal('judged'),
    verdict: z.enum(['affirming', 'warning', 'contraindicated']),
    reasons: z.array(z.string().max(256)).max(64),
    vote: signature.nullable(),
  }),
  z.strictObject({ kind: z.literal('status'), outcome: z.enum(['unknown', 'open', 'admitted', 'refused']) }),
]);
export type AdmissionResponse = z.infer<typeof admissionResponseSchema>;
export const admissionResponseCodec = codec('admission response', 65_536, admissionResponseSchema);

/** Tells a receiver where its result capsule lies. The capsule is sealed; the notice holds no secret. */
const resultNoticeSchema = z.strictObject({
  taskId: byteString(32),
  receiver: byteString(32),
  cid: z.string().min(1).max(128),
  source: z.string().min(1).max(512),
  capsuleDigest: byteString(32),
  /** Present in the second notice: the executor's account of the run, to be held against layer 1. */
  certificate: byteString(0, 16_384).nullable(),
});
export type ResultNotice = z.infer<typeof resultNoticeSchema>;
export const resultNoticeCodec = codec('result notice', 20_480, resultNoticeSchema);

/** A lagging replica asks for decisions from a sequence on. */
export const decisionsRequestCodec = codec('decisions request', 64, z.strictObject({ from: uint }));

export const TRANSFER_BYTES_MAX = 4 << 20;
const snapshotSchema = z.strictObject({
  kind: z.literal('snapshot'),
  /** Header, proofs and names of operations, as consensus encodes them. */
  transfer: byteString(1, TRANSFER_BYTES_MAX),
  /** The membership state of that checkpoint. */
  state: byteString(1, STATE_BYTES_MAX),
});
export const snapshotCodec = codec('snapshot', TRANSFER_BYTES_MAX + STATE_BYTES_MAX + 256, snapshotSchema);

/** The answer: decisions in order, or a snapshot to go on from when they are not kept any more. */
const orderAnswerSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('decisions'),
    decisions: z.array(byteString(1, 2 << 20)).max(DECISIONS_MAX),
  }),
  snapshotSchema,
]);
export type OrderAnswer = z.infer<typeof orderAnswerSchema>;
export const orderAnswerCodec = codec(
  'answer to a replica that lags',
  TRANSFER_BYTES_MAX + STATE_BYTES_MAX + 512,
  orderAnswerSchema,
);

/** Endpoint of a node as layer 1 announces it: overlay and reception addresses, without PeerIds. */
export interface Endpoint {
  readonly overlay: string;
  readonly reception: string;
}

export function encodeEndpoint(endpoint: Endpoint): string {
  return `${endpoint.overlay} ${endpoint.reception}`;
}

export function parseEndpoint(text: string): Endpoint {
  const [overlay, reception, ...rest] = text.split(' ');
  if (overlay === undefined || reception === undefined || rest.length > 0) {
    throw new ProtocolError(
      'MESSAGE_MALFORMED',
      `endpoint: got ${JSON.stringify(text.slice(0, 80))}, want two addresses`,
    );
  }
  return { overlay, reception };
}
