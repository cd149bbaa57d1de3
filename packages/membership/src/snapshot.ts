import { boundedInteger, boundedList, byteString, defineDocument } from '@nemea/core';
import { z } from 'zod';
import { CREDIT_MAX } from './credit.ts';
import { MembershipError } from './errors.ts';
import {
  accountSchema,
  attestationSchema,
  bidSchema,
  contradictionSchema,
  judgeSchema,
  nodeRecordSchema,
  taskCertificate,
  uint,
  verifySchema,
} from './operation.ts';
import { type Member, ROSTER_MAX } from './roster.ts';
import { CONFIDENCE_MAX, CONFIDENCE_SUSPENDED } from './standing.ts';
import type { Candidacy, Election, MembershipState, TaskState } from './state.ts';

/**
 * The whole shared state as bytes: replicas that have executed the same operations get the same bytes, so that members
 * sign their digest and a replica that lags behind takes them over [MEMB-36]. Maps are lists in the order in which their
 * entries came: that order is state, because what is over is forgotten by it.
 */

/** What the overlay carries in one answer, with room for the proofs beside it. */
export const STATE_BYTES_MAX = 3 * 1024 * 1024;
const ENTRIES_MAX = 65_536;

const hexDigest = z.string().regex(/^[0-9a-f]{64}$/);
const entriesOf = <K, V>(key: z.ZodType<K>, value: z.ZodType<V>, max = ENTRIES_MAX) =>
  boundedList(z.tuple([key, value]), max);

const memberSchema = nodeRecordSchema.extend({
  credit: boundedInteger(CREDIT_MAX),
  /** Genesis members were admitted before the first epoch. */
  admittedEpoch: z.union([z.literal(-1), uint]),
  confidence: z.number().int().min(CONFIDENCE_SUSPENDED).max(CONFIDENCE_MAX),
});

const reportSchema = z.strictObject({
  proof: byteString(1, 200),
  beta: byteString(32),
  results: boundedList(attestationSchema, 256),
});

const candidacySchema = z.strictObject({
  record: nodeRecordSchema,
  applicationDigest: byteString(32),
  sponsor: accountSchema,
  epoch: uint,
  openedBlock: uint,
  seated: boundedList(accountSchema, ENTRIES_MAX),
  judgements: entriesOf(accountSchema, judgeSchema),
  outcome: z.enum(['open', 'admitted', 'refused']),
});

const electionSchema = z.strictObject({
  executor: accountSchema,
  salt: byteString(32),
  verifiers: boundedList(accountSchema, ROSTER_MAX),
  electedBlock: uint,
});

const taskSchema = z.strictObject({
  attempt: uint,
  startBlock: uint,
  bids: entriesOf(accountSchema, bidSchema),
  firstBidBlock: uint.nullable(),
  excluded: boundedList(accountSchema, ROSTER_MAX),
  election: electionSchema.nullable(),
  certificate: taskCertificate.nullable(),
  reports: entriesOf(accountSchema, verifySchema),
  outcome: z.enum(['open', 'settled', 'failed']),
});

const stateSchema = z.strictObject({
  networkId: byteString(32),
  roster: entriesOf(accountSchema, memberSchema, ROSTER_MAX),
  ledgerBlock: uint,
  enrolledThrough: uint,
  epochClosed: uint,
  reports: entriesOf(uint, entriesOf(accountSchema, reportSchema)),
  candidacies: entriesOf(hexDigest, candidacySchema),
  tasks: entriesOf(hexDigest, taskSchema),
  admissions: uint,
  evictions: uint,
  updatesMissed: entriesOf(accountSchema, byteString(32)),
  equivocations: entriesOf(accountSchema, contradictionSchema),
  answeredThrough: entriesOf(accountSchema, uint),
  disputesJudged: boundedList(hexDigest, ENTRIES_MAX),
  rejoins: entriesOf(accountSchema, uint),
});

const stateCodec = defineDocument<z.infer<typeof stateSchema>>({
  name: 'membership state',
  schema: stateSchema,
  bytesMax: STATE_BYTES_MAX,
  invalid: (message, cause) => new MembershipError('STATE_MALFORMED', message, { cause }),
});

/** Throws `STATE_MALFORMED` for a state that is larger than a snapshot may be. */
export function encodeState(state: MembershipState): Uint8Array {
  return stateCodec.encode({
    ...state,
    roster: [...state.roster],
    reports: [...state.reports].map(([epoch, ofEpoch]) => [epoch, [...ofEpoch]]),
    candidacies: [...state.candidacies].map(([id, candidacy]) => [
      id,
      { ...candidacy, seated: [...candidacy.seated], judgements: [...candidacy.judgements] },
    ]),
    tasks: [...state.tasks].map(([id, task]) => [
      id,
      {
        ...task,
        bids: [...task.bids],
        firstBidBlock: task.firstBidBlock ?? null,
        election: task.election ?? null,
        certificate: task.certificate ?? null,
        reports: [...task.reports],
      },
    ]),
    updatesMissed: [...state.updatesMissed],
    equivocations: [...state.equivocations],
    answeredThrough: [...state.answeredThrough],
    disputesJudged: [...state.disputesJudged],
    rejoins: [...state.rejoins],
  });
}

/** Throws `STATE_MALFORMED`. Whether it is the state of a network, only the digest that its members signed tells. */
export function parseState(bytes: Uint8Array): MembershipState {
  const state = stateCodec.parse(bytes);
  const roster = mapOf(state.roster);
  for (const [key, member] of roster) {
    if (key !== member.account) throw malformed('a member under the account of another');
  }
  return {
    ...state,
    roster: roster satisfies ReadonlyMap<string, Member>,
    reports: mapOf(state.reports.map(([epoch, ofEpoch]) => [epoch, mapOf(ofEpoch)] as const)),
    candidacies: mapOf(state.candidacies.map(([id, candidacy]) => [id, toCandidacy(candidacy)] as const)),
    tasks: mapOf(state.tasks.map(([id, task]) => [id, toTask(task)] as const)),
    updatesMissed: mapOf(state.updatesMissed),
    equivocations: mapOf(state.equivocations),
    answeredThrough: mapOf(state.answeredThrough),
    disputesJudged: setOf(state.disputesJudged),
    rejoins: mapOf(state.rejoins),
  };
}

function toCandidacy(candidacy: z.infer<typeof candidacySchema>): Candidacy {
  return { ...candidacy, seated: setOf(candidacy.seated), judgements: mapOf(candidacy.judgements) };
}

/** What was not there yet is null in bytes and absent in the state. */
function toTask({ firstBidBlock, election, certificate, ...task }: z.infer<typeof taskSchema>): TaskState {
  return {
    ...task,
    bids: mapOf(task.bids),
    reports: mapOf(task.reports),
    ...(firstBidBlock === null ? {} : { firstBidBlock }),
    ...(election === null ? {} : { election: election satisfies Election }),
    ...(certificate === null ? {} : { certificate }),
  };
}

/** One entry a key: otherwise two lists would be one state. */
function mapOf<K, V>(entries: readonly (readonly [K, V])[]): Map<K, V> {
  const map = new Map(entries);
  if (map.size !== entries.length) throw malformed('a key appears twice');
  return map;
}

function setOf<T>(items: readonly T[]): Set<T> {
  const set = new Set(items);
  if (set.size !== items.length) throw malformed('an item appears twice');
  return set;
}

function malformed(message: string): MembershipError {
  return new MembershipError('STATE_MALFORMED', `membership state: ${message}`);
}
