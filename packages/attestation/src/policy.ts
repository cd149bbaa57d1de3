import { z } from 'zod';
import { AK_PROFILES } from './ak-profile.ts';
import { AttestationError } from './errors.ts';
import { ASSURANCE_LEVELS } from './level.ts';
import { compileRule, RULE_CHARACTERS_MAX } from './rules.ts';

const LIST_MAX = 1024;
const TEXT_MAX = 256;
const text = z.string().min(1).max(TEXT_MAX);
const texts = z.array(text).max(LIST_MAX);
/** PCR 16 and 23 can be reset by any program: their values say nothing. */
const pcrNumber = z
  .int()
  .min(0)
  .max(22)
  .refine((pcr) => pcr !== 16, 'PCR 16 can be reset');
const pcrNumbers = z
  .array(pcrNumber)
  .max(22)
  .refine((pcrs) => pcrs.every((pcr, i) => i === 0 || (pcrs[i - 1] ?? pcr) < pcr), 'want ascending numbers');

const freshnessSchema = z.strictObject({
  /** What makes evidence fresh: the verifier's own nonce, an epoch handle, or (a warning) nothing. */
  accept: z
    .array(z.enum(['challenge', 'epoch', 'none']))
    .min(1)
    .default(['challenge']),
  /** How many of the newest epoch handles count. */
  epochsMax: z.int().min(1).max(16).default(2),
});

const clockSchema = z.strictObject({
  /** What to say of a TPM that lost power without a shutdown, so that its clock may repeat. */
  unsafe: z.enum(['refuse', 'warn']).default('refuse'),
  /** Refuse a TPM that no earlier clock is known of. */
  recordRequired: z.boolean().default(false),
});

const pcrsSchema = z.strictObject({
  /** What the quote must select of each bank. */
  sha256: pcrNumbers.min(1).default([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14]),
  sha384: pcrNumbers.default([]),
  /** Whether a quote may select other registers as well. */
  others: z.enum(['refuse', 'allow']).default('refuse'),
  /** Registers of the SHA-256 bank whose value must be a reference value; of a node's PCR 14 that before its own log. */
  exact: pcrNumbers.default([]),
});

const commandLineSchema = z.strictObject({
  /** Words that each measured kernel command line must have; `name=*` stands for any value. */
  required: texts.default([]),
  /** When given, no other words may be there. */
  allowed: texts.nullable().default(null),
  forbidden: texts.default([]),
});

const firmwareSchema = z.strictObject({
  /** A machine whose PCR 0 to 7 are all zero measured nothing while it booted. */
  unmeasured: z.enum(['refuse', 'allow']).default('refuse'),
  secureBoot: z.enum(['required', 'any']).default('required'),
  /** Whether PK, KEK, db and dbx must be reference values (`secure-boot-key`). */
  keys: z.enum(['reference', 'any']).default('reference'),
  /** Whether what authorised each loader must be a reference value (`boot-authority`). */
  authorities: z.enum(['reference', 'any']).default('reference'),
  /** Whether each loader, driver and kernel image that was measured must be a reference value (`boot-loader`). */
  loaders: z.enum(['reference', 'any']).default('reference'),
  /** Null: no kernel command line is asked for. */
  commandLine: commandLineSchema.nullable().default(null),
  /** Names of event types that must not be there, for instance `EV_EFI_ACTION`. */
  forbiddenEvents: texts.default([]),
  errorSeparators: z.enum(['refuse', 'allow']).default('refuse'),
  /** Ids of oddities of firmware that are tolerated. */
  findings: z.union([z.literal('any'), texts]).default([]),
});

const imaSchema = z.strictObject({
  /** Whether the kernel must show what it measured into PCR 10. */
  list: z.enum(['required', 'not-demanded']).default('required'),
  /** Whether every measured file must be a reference value (`file`). */
  files: z.enum(['reference', 'any']).default('reference'),
  /** Patterns of paths that are not judged: `*` within a name, `**` across names. */
  excluded: texts.default([]),
  /** Whether each file needs a signature by one of the endorsed keys, beside a digest that is known. */
  requireSignature: z.boolean().default(false),
  violations: z.enum(['refuse', 'allow']).default('refuse'),
});

const ruleSchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'want lower-case words joined by hyphens'),
  /** CEL, of type bool. */
  expression: z.string().min(1).max(RULE_CHARACTERS_MAX),
  why: text,
});

const policySchema = z.strictObject({
  version: z.literal(1),
  /** The weakest assurance level that may pass. */
  levelMin: z.literal([...ASSURANCE_LEVELS]),
  attestationKeys: z.array(z.enum(AK_PROFILES)).min(1).default(['ecdsa-p256']),
  freshness: freshnessSchema.prefault({}),
  clock: clockSchema.prefault({}),
  pcrs: pcrsSchema.prefault({}),
  firmware: firmwareSchema.prefault({}),
  ima: imaSchema.prefault({}),
  /** Whether the machine must log its own software into PCR 14, all of it approved. */
  measuredLog: z.enum(['required', 'not-demanded']).default('required'),
  rules: z.array(ruleSchema).max(64).default([]),
});

type Frozen<T> = T extends readonly (infer U)[]
  ? readonly Frozen<U>[]
  : T extends object
    ? { readonly [K in keyof T]: Frozen<T[K]> }
    : T;

/** The appraisal policy for Evidence in RFC 9334: an argument of the judge, never a global. */
export type AppraisalPolicy = Frozen<z.infer<typeof policySchema>>;

/**
 * Takes plain data. What it does not mention is demanded: a policy only ever gets weaker by saying so [ATT-22].
 * Throws `POLICY_INVALID`, also for a rule that does not compile and for demands that contradict each other.
 */
export function parsePolicy(value: unknown): AppraisalPolicy {
  const parsed = policySchema.safeParse(value);
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error));
  const { rules, pcrs, firmware, ima, measuredLog } = parsed.data;
  for (const { expression } of rules) compileRule(expression);
  if (new Set(rules.map(({ id }) => id)).size !== rules.length) throw invalid('rules: want each id once');
  const unselected = [
    ...pcrs.exact,
    ...(ima.list === 'required' ? [10] : []),
    ...(measuredLog === 'required' ? [14] : []),
    ...(firmware.loaders === 'reference' ? [2, 4] : []),
    ...(firmware.secureBoot === 'required' || [firmware.keys, firmware.authorities].includes('reference')
      ? [7]
      : []),
  ].filter((pcr) => !pcrs.sha256.includes(pcr));
  if (unselected.length > 0) {
    throw invalid(
      `pcrs.sha256: PCR ${[...new Set(unselected)].join(', ')} is judged, so the quote must select it`,
    );
  }
  if (firmware.commandLine !== null && !pcrs.sha256.includes(8) && !pcrs.sha256.includes(12)) {
    throw invalid(
      'pcrs.sha256: boot loaders measure the kernel command line into PCR 8 or 12, want one of them',
    );
  }
  return parsed.data;
}

function invalid(message: string): AttestationError {
  return new AttestationError('POLICY_INVALID', message);
}
