import { boundedInteger, boundedList, boundedText, byteString, defineDocument } from '@nemea/core';
import { z } from 'zod';
import { CapsuleError } from './errors.ts';
import { cid, declarations, digest, multiaddr } from './fields.ts';

/** What a layer-1 transaction may carry as a task's specification. */
export const TASK_SPEC_BYTES_MAX = 8192;
const CAPSULES_MAX = 64;
const RECEIVERS_MAX = 32;

const taskSpecSchema = z.strictObject({
  version: z.literal(1),
  /** The function that is called. */
  entry: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'want a function name'),
  /** Public: anybody may read what will run on the capsules. */
  code: z.strictObject({ digest, cid, source: multiaddr }),
  image: z.strictObject({ digest, name: boundedText(128) }),
  capsules: boundedList(z.strictObject({ id: digest }), CAPSULES_MAX),
  /** Who can read the results, and the agent to notify. */
  receivers: boundedList(z.strictObject({ key: byteString(32), agent: multiaddr }), RECEIVERS_MAX, 1),
  limits: z.strictObject({
    timeoutMs: boundedInteger(24 * 3_600_000),
    memoryBytes: boundedInteger(2 ** 40),
    pids: boundedInteger(4096),
    outputBytes: boundedInteger(2 ** 40),
  }),
  connections: declarations,
  devices: declarations,
});

/** A task as its author puts it on layer 1: what to run, where, on which capsules, for whom, within which limits. */
export type TaskSpec = Readonly<z.infer<typeof taskSpecSchema>>;

const codec = defineDocument<TaskSpec>({
  name: 'task specification',
  schema: taskSpecSchema,
  bytesMax: TASK_SPEC_BYTES_MAX,
  invalid: (message, cause) => new CapsuleError('TASK_SPEC_INVALID', message, { cause }),
});

/** Throws `TASK_SPEC_INVALID`. */
export function parseTaskSpec(bytes: Uint8Array): TaskSpec {
  return codec.parse(bytes);
}

export function encodeTaskSpec(spec: TaskSpec): Uint8Array {
  return codec.encode(spec);
}
