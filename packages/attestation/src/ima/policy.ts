import { fromHex } from '@nemea/core';
import { z } from 'zod';
import { sameBytes } from './check.ts';
import { ImaError } from './errors.ts';
import { GLOB_LENGTH_MAX, type Glob, matchesGlob, parseGlob } from './glob.ts';
import { canonicalHashName } from './hash.ts';
import { IMA_TEMPLATE_NAME_BYTES_MAX } from './limits.ts';
import type { ImaDigest } from './list.ts';
import { BUILT_IN_TEMPLATES } from './template.ts';

const PATHS_MAX = 2 ** 21;
const DIGESTS_OF_PATH_MAX = 4096;
const PATTERNS_MAX = 256;

/** A digest that is approved: `sha256:hex`, `verity:sha256:hex`, or hex alone for any hash of that length. */
interface ApprovedDigest {
  readonly type: 'ima' | 'verity';
  readonly algorithm: string | null;
  readonly value: Uint8Array;
}

/** What is expected of a machine's entries. Whatever it does not mention is refused. */
export interface ImaPolicy {
  /** Path, or `boot_aggregate`, to its approved digests. */
  readonly digests: ReadonlyMap<string, readonly ApprovedDigest[]>;
  /** Files that are not judged at all. */
  readonly exclude: readonly Glob[];
  /** A listed digest does not do without a valid signature. */
  readonly requireSignature: boolean;
  readonly violations: 'refuse' | 'accept';
  /** Templates that the machine's kernel is set to use. No hash covers a template's name, so a liar can choose it. */
  readonly templates: ReadonlySet<string>;
  /** Names of ima-buf entries to approved digests of their content. */
  readonly buffers: readonly { readonly name: Glob; readonly digests: 'any' | readonly ApprovedDigest[] }[];
}

const digestList = z.array(z.string().max(256)).max(DIGESTS_OF_PATH_MAX);
const pattern = z.string().min(1).max(GLOB_LENGTH_MAX);
const policySchema = z.strictObject({
  version: z.literal(1),
  digests: z.record(z.string(), digestList).default({}),
  exclude: z.array(pattern).max(PATTERNS_MAX).default([]),
  requireSignature: z.boolean().default(false),
  violations: z.enum(['refuse', 'accept']).default('refuse'),
  templates: z
    .array(z.string().max(IMA_TEMPLATE_NAME_BYTES_MAX))
    .max(64)
    .default([...BUILT_IN_TEMPLATES]),
  buffers: z.record(pattern, z.union([z.literal('any'), digestList])).default({}),
});

/** The runtime policy of Keylime, as far as it is allow-list, exclusions and key rings. */
const runtimePolicySchema = z.looseObject({
  meta: z.looseObject({}),
  digests: z.record(z.string(), digestList).optional(),
  hashes: z.record(z.string(), digestList).optional(),
  excludes: z.array(z.string().max(GLOB_LENGTH_MAX)).max(PATTERNS_MAX).optional(),
  keyrings: z.record(z.string(), digestList).optional(),
  'ima-buf': z.record(z.string(), digestList).optional(),
  ima: z.looseObject({ ignored_keyrings: z.array(z.string()).optional() }).optional(),
});

type PolicyDocument = z.infer<typeof policySchema>;

/**
 * Reads a policy from parsed JSON: this package's own document, a Keylime runtime policy, or a bare allow-list
 * `{ "/path": ["sha256:hex", ...] }`. Throws `IMA_POLICY_INVALID`. [IMA-20]
 */
export function parseImaPolicy(value: unknown): ImaPolicy {
  const document = toDocument(value);
  if (Object.keys(document.digests).length > PATHS_MAX) throw invalid(`more than ${PATHS_MAX} paths`);
  return {
    digests: new Map(Object.entries(document.digests).map(([path, list]) => [path, list.map(parseApproved)])),
    exclude: document.exclude.map(parseGlob),
    requireSignature: document.requireSignature,
    violations: document.violations,
    templates: new Set(document.templates),
    buffers: Object.entries(document.buffers).map(([name, list]) => ({
      name: parseGlob(name),
      digests: list === 'any' ? list : list.map(parseApproved),
    })),
  };
}

function toDocument(value: unknown): PolicyDocument {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('want a JSON object');
  if ('version' in value) return check(policySchema, value);
  if ('meta' in value) return fromRuntimePolicy(check(runtimePolicySchema, value));
  return check(policySchema, { version: 1, digests: value });
}

function fromRuntimePolicy(policy: z.infer<typeof runtimePolicySchema>): PolicyDocument {
  const buffers = { ...policy.keyrings, ...policy['ima-buf'] };
  const ignored = (policy.ima?.ignored_keyrings ?? []).map((name) => [
    name === '*' ? '*' : escapeGlob(name),
    'any',
  ]);
  return check(policySchema, {
    version: 1,
    digests: policy.digests ?? policy.hashes ?? {},
    exclude: (policy.excludes ?? []).filter((text) => text !== '').map(globOfRegularExpression),
    // What Keylime does unless it is configured otherwise.
    violations: 'accept',
    buffers: {
      ...Object.fromEntries(Object.entries(buffers).map(([name, list]) => [escapeGlob(name), list])),
      ...Object.fromEntries(ignored),
    },
  });
}

/**
 * Exclusions of runtime policies are regular expressions, which no bound keeps from looping: only those are taken that a
 * glob can say. Python's `re.match` looks from the start on, and does not mind what follows.
 */
function globOfRegularExpression(expression: string): string {
  const match = /^\^?((?:[\w/@:,+=~ -]|\\[.\-/+]|\.(?![*+?{]))*)(\.\*|\(\/\.\*\)\?|\/\.\*)?(\$?)$/.exec(
    expression,
  );
  if (match === null)
    throw invalid(`exclusion ${JSON.stringify(expression)}: write it as a pattern of this package`);
  const [, literal = '', tail = '', end = ''] = match;
  const text = escapeGlob(literal.replace(/\\(.)/g, '$1'));
  if (tail === '') return end === '' ? `${text}**` : text;
  return tail === '/.*' ? `${text}/**` : `${text}**`;
}

function escapeGlob(text: string): string {
  return text.replace(/[*?\\]/g, '\\$&');
}

function check<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error));
  return parsed.data;
}

function parseApproved(text: string): ApprovedDigest {
  const match = /^(?:(ima|verity):)?(?:([a-z0-9_-]{2,32}):)?([0-9a-fA-F]{32,128})$/.exec(text);
  const [, type, algorithm, hex = ''] = match ?? [];
  if (match === null || hex.length % 2 !== 0)
    throw invalid(`digest: got ${JSON.stringify(text)}, want alg:hex`);
  return {
    type: type === 'verity' ? 'verity' : 'ima',
    algorithm: algorithm === undefined ? null : canonicalHashName(algorithm),
    value: fromHex(hex),
  };
}

export function isApproved(approved: readonly ApprovedDigest[], digest: ImaDigest): boolean {
  return approved.some(
    ({ type, algorithm, value }) =>
      type === digest.type &&
      (algorithm === null || algorithm === canonicalHashName(digest.algorithm)) &&
      sameBytes(value, digest.value),
  );
}

export function isExcluded(policy: ImaPolicy, path: string): boolean {
  return policy.exclude.some((glob) => matchesGlob(glob, path));
}

function invalid(message: string): ImaError {
  return new ImaError('IMA_POLICY_INVALID', message);
}
