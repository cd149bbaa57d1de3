import { CodedError } from '@nemea/core';
import { z } from 'zod';

/**
 * What a run of the main job leaves behind: every fact, and where to check it. Nothing in it is to be believed because
 * it stands here; `verifyReport` holds it against layer 1.
 */

const hex = (bytes: number) =>
  z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`), `want ${bytes} bytes in hex`);
const hexUpTo = (bytes: number) =>
  z
    .string()
    .regex(/^(?:[0-9a-f]{2})*$/)
    .max(bytes * 2);
const account = z.string().regex(/^0x[0-9a-f]{40}$/);
const txHash = z.string().regex(/^0x[0-9a-f]{64}$/);
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const ms = z.number().min(0);
const draw = z.strictObject({ beta: hex(32), proof: hexUpTo(200) });
const verdict = z.enum(['affirming', 'warning', 'contraindicated']);

const nodeSchema = z.strictObject({
  name: z.string().max(64),
  account,
  peerId: z.string().max(128),
  level: count,
  isGenesis: z.boolean(),
  admission: z.strictObject({ txHash, gasUsed: count, block: count }),
  /** Credit as layer 1 holds it at the end. */
  credit: count,
  status: z.enum(['active', 'evicted']),
  rssMb: count,
  canExecute: z.boolean(),
});

const candidacySchema = z.strictObject({
  candidate: hex(32),
  account,
  applicationDigest: hex(32),
  epoch: count,
  outcome: z.enum(['open', 'admitted', 'refused']),
  /** Whoever counts, judged or not. A silent seat shows no draw: it only makes the jury harder to convince. */
  seated: z.array(account).max(128),
  judgements: z.array(z.strictObject({ account, verdict, proof: hexUpTo(200) })).max(128),
});

const epochSchema = z.strictObject({
  epoch: count,
  txHash,
  gasUsed: count,
  /** Canonical leaves of the attestation tree (see `encodeEpochLeaf`), in the order of the tree. */
  leaves: z.array(hexUpTo(2048)).max(4096),
});

const capsuleSchema = z.strictObject({
  capsuleId: hex(32),
  owner: account,
  cid: z.string().max(128),
  txHash,
  gasUsed: count,
});

const taskSchema = z.strictObject({
  taskId: hex(32),
  attempt: count,
  startBlock: count,
  createTx: txHash,
  commitTx: txHash,
  settleTx: txHash,
  settleGas: count,
  bids: z.array(z.strictObject({ account, execute: draw.nullable(), verify: draw })).max(128),
  election: z.strictObject({ executor: account, salt: hex(32), verifiers: z.array(account).max(16) }),
  /** The executor's clean-up certificate, whose SHA-256 stands on layer 1. */
  certificate: hexUpTo(16_384),
  reports: z
    .array(
      z.strictObject({
        account,
        phases: z
          .array(
            z.strictObject({ phase: z.enum(['before', 'during', 'after']), verdict, quoteDigest: hex(32) }),
          )
          .max(3),
      }),
    )
    .max(16),
});

const evictionSchema = z.strictObject({
  account,
  accuser: account,
  epoch: count,
  proof: hexUpTo(200),
  nonce: hex(32),
  /** The evidence that the evicted node itself signed; every member has judged it, and so can anybody. */
  evidence: hexUpTo(65_536),
  answerSignature: hex(64),
  txHash,
  gasUsed: count,
});

export const reportSchema = z.strictObject({
  version: z.literal(1),
  ok: z.boolean(),
  network: z.strictObject({
    name: z.string().max(64),
    chainId: count,
    startBlock: count,
    epochMs: count,
    contracts: z.record(z.string(), z.string().regex(/^0x[0-9a-fA-F]{40}$/)),
  }),
  nodes: z.array(nodeSchema).max(128),
  candidacies: z.array(candidacySchema).max(64),
  epochs: z.array(epochSchema).max(1024),
  capsules: z.array(capsuleSchema).max(64),
  task: taskSchema,
  evictions: z.array(evictionSchema).max(128),
  intersectionSize: count,
  /** SHA-256 of what each receiver opened, by name of the receiver. */
  results: z.record(z.string(), hex(32)),
  durationsMs: z.strictObject({
    setup: ms,
    join: ms,
    submitToElected: ms,
    taskToResults: ms,
    taskToSettlement: ms,
    tamperToEviction: ms,
    tamperToRecord: ms,
    total: ms,
  }),
  gas: z.strictObject({
    admission: count,
    epochRecord: count,
    capsuleRegistration: count,
    settlement: count,
  }),
  rssMb: z.strictObject({ nodeMax: count, clientMax: count }),
  leakCheck: z.strictObject({
    filesScanned: count,
    bytesScanned: count,
    names: count,
    found: count,
    hits: z.array(z.string()).max(4096),
  }),
  checks: z.array(z.strictObject({ name: z.string(), ok: z.boolean(), detail: z.string() })),
});

export type Report = z.infer<typeof reportSchema>;

export class ReportError extends CodedError<'REPORT_MALFORMED' | 'LEAF_INVALID'> {}

/** Throws `REPORT_MALFORMED` naming the field. */
export function parseReport(json: string): Report {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new ReportError('REPORT_MALFORMED', 'report is not JSON', { cause });
  }
  const parsed = reportSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ReportError('REPORT_MALFORMED', `report: ${issue?.path.join('.')}: ${issue?.message}`);
}
