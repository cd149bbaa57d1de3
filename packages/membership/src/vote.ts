import { boundedList, byteString, defineDocument } from '@nemea/core';
import { z } from 'zod';
import { MembershipError } from './errors.ts';
import { accountSchema, nodeRecordSchema, uint } from './operation.ts';
import { ROSTER_MAX } from './roster.ts';
import type { Vote } from './state.ts';

const BYTES_MAX = 16_384;

const digest = byteString(32);

const voteSchema: z.ZodType<Vote> = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('Admission'), record: nodeRecordSchema, epoch: uint }),
  z.strictObject({
    type: z.literal('Eviction'),
    account: accountSchema,
    epoch: uint,
    evidenceDigest: digest,
    reason: uint,
  }),
  z.strictObject({
    type: z.literal('EpochRecord'),
    epoch: uint,
    seed: digest,
    rosterRoot: digest,
    attestationRoot: digest,
    creditRoot: digest,
    admissions: uint,
    evictions: uint,
    policyVersion: uint,
    boundaryBlock: uint,
  }),
  z.strictObject({
    type: z.literal('Election'),
    taskId: digest,
    attempt: uint,
    executor: accountSchema,
    salt: digest,
  }),
  z.strictObject({
    type: z.literal('Settlement'),
    taskId: digest,
    attempt: uint,
    executor: accountSchema,
    salt: digest,
    verifiers: boundedList(accountSchema, ROSTER_MAX),
    certificateDigest: digest,
  }),
  z.strictObject({ type: z.literal('TaskFailure'), taskId: digest, attempt: uint, reason: uint }),
  z.strictObject({ type: z.literal('DisputeVerdict'), disputeId: digest, guilty: z.boolean() }),
]);

const codec = defineDocument<Vote>({
  name: 'vote',
  schema: voteSchema,
  bytesMax: BYTES_MAX,
  invalid: (message, cause) => new MembershipError('VOTE_MALFORMED', message, { cause }),
});

/** A vote as a node keeps it for itself; what it signs is the EIP-712 message that layer 1 takes. */
export const encodeVote = codec.encode;

/** Throws `VOTE_MALFORMED`. */
export const parseVote = codec.parse;
