import { type CborValue, CodedError, decodeCbor, encodeCbor } from '@nemea/core';
import { nodeRecordSchema, phaseSchema } from '@nemea/membership';
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
  report: '/nemea/report/1',
  admission: '/nemea/admission/1',
  key: '/nemea/key/1',
  result: '/nemea/result/1',
} as const;

export class ProtocolError extends CodedError<'MESSAGE_MALFORMED'> {}

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
const code = z.string().regex(/^[A-Z][A-Z0-9_]{1,63}$/);
const signature = z.string().regex(/^0x[0-9a-f]{130}$/);

interface Codec<T> {
  /** Throws `MESSAGE_MALFORMED` naming the field. */
  parse(bytes: Uint8Array): T;
  encode(value: T): Uint8Array;
}

function codec<T>(name: string, schema: z.ZodType<T>): Codec<T> {
  return {
    parse(received) {
      let value: CborValue;
      try {
        value = decodeCbor(received);
      } catch (cause) {
        throw new ProtocolError('MESSAGE_MALFORMED', `${name}: not canonical dag-cbor`, { cause });
      }
      const parsed = schema.safeParse(value);
      if (parsed.success) return parsed.data;
      const issue = parsed.error.issues[0];
      throw new ProtocolError('MESSAGE_MALFORMED', `${name}: ${issue?.path.join('.')}: ${issue?.message}`);
    },
    encode: (value) => encodeCbor(value as CborValue),
  };
}

/** A member's signature over the EIP-712 digest of a vote that every member derives by itself. */
export const voteMessageCodec = codec('vote', z.strictObject({ digest: bytes(32), signature }));

const commandSchema = z.enum(['epoch', 'before', 'during', 'after']);

/** Step 1 of remote attestation: VRF proof, command, nonce, signature (EIP-712, so that layer 1 can judge it). */
const challengeSchema = z.strictObject({
  epoch: uint,
  attestor: account,
  target: account,
  command: commandSchema,
  nonce: bytes(32),
  proof: bytesUpTo(200),
  signature,
  task: z.strictObject({ taskId: bytes(32), attempt: uint }).nullable(),
});
export type Challenge = z.infer<typeof challengeSchema>;
export const challengeCodec = codec('challenge', challengeSchema);

/** Steps 9 to 12: evidence under the outer nonce, signed by the target's peer key. */
export const answerCodec = codec(
  'answer',
  z.strictObject({ evidence: bytesUpTo(65_536), stateDigest: bytes(32), signature: bytes(64) }),
);

/** The executor tells its verifiers that a phase began, and opens its blinded run to them. */
const phaseNoticeSchema = z.strictObject({
  taskId: bytes(32),
  attempt: uint,
  phase: phaseSchema,
  runSalt: bytes(32),
  certificate: bytesUpTo(16_384).nullable(),
});
export type PhaseNotice = z.infer<typeof phaseNoticeSchema>;
export const phaseNoticeCodec = codec('phase notice', phaseNoticeSchema);

/** A verifier's signed verdict on one phase; key agents read it too, so it names all that it speaks of. */
const phaseResultSchema = z.strictObject({
  verifier: account,
  executor: account,
  taskId: bytes(32),
  attempt: uint,
  phase: phaseSchema,
  verdict: z.enum(['affirming', 'warning', 'contraindicated']),
  quoteDigest: bytes(32),
  proof: bytesUpTo(200),
  /** Block whose hash seeded the draw that the proof is for. */
  startBlock: uint,
});
export type PhaseResult = z.infer<typeof phaseResultSchema>;
export const phaseResultCodec = codec('phase result', phaseResultSchema);
export const signedPhaseResultCodec = codec(
  'signed phase result',
  z.strictObject({ result: bytesUpTo(2048), signature: bytes(64) }),
);

/** A stranger's proof of trust: everything that a judge needs but the fresh quote. */
const applicationSchema = z.strictObject({
  record: nodeRecordSchema,
  ekChain: z.array(bytesUpTo(8192)).min(1).max(5),
  ekPublic: bytesUpTo(1024),
  akPublic: bytesUpTo(256),
  vrfPublic: bytesUpTo(256),
  certify: z.strictObject({ attest: bytesUpTo(1024), signature: bytesUpTo(512) }),
});
export type Application = z.infer<typeof applicationSchema>;
export const applicationCodec = codec('application', applicationSchema);

const admissionRequestSchema = z.discriminatedUnion('kind', [
  /** Asks a member to put the candidacy into the order (or, at genesis, to judge at once). */
  z.strictObject({ kind: z.literal('apply'), application: bytesUpTo(49_152) }),
  /** Asks for a challenge; only a drawn judge gives one. */
  z.strictObject({ kind: z.literal('challenge'), candidate: bytes(32) }),
  z.strictObject({
    kind: z.literal('answer'),
    candidate: bytes(32),
    secret: bytesUpTo(64),
    evidence: bytesUpTo(65_536),
  }),
  z.strictObject({ kind: z.literal('status'), candidate: bytes(32) }),
]);
export type AdmissionRequest = z.infer<typeof admissionRequestSchema>;
export const admissionRequestCodec = codec('admission request', admissionRequestSchema);

const admissionResponseSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('accepted'), candidate: bytes(32) }),
  z.strictObject({ kind: z.literal('wait'), code }),
  z.strictObject({
    kind: z.literal('challenge'),
    credentialBlob: bytesUpTo(1024),
    encryptedSecret: bytesUpTo(1024),
    nonce: bytes(32),
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
export const admissionResponseCodec = codec('admission response', admissionResponseSchema);

/** Tells a receiver where its result capsule lies. The capsule is sealed; the notice holds no secret. */
const resultNoticeSchema = z.strictObject({
  taskId: bytes(32),
  receiver: bytes(32),
  cid: z.string().min(1).max(128),
  source: z.string().min(1).max(512),
  capsuleDigest: bytes(32),
  /** Present in the second notice: the executor's account of the run, to be held against layer 1. */
  certificate: bytesUpTo(16_384).nullable(),
});
export type ResultNotice = z.infer<typeof resultNoticeSchema>;
export const resultNoticeCodec = codec('result notice', resultNoticeSchema);

/** A lagging replica asks for decisions from a sequence on. */
export const decisionsRequestCodec = codec('decisions request', z.strictObject({ from: uint }));

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
