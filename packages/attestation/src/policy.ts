import { z } from 'zod';
import { AttestationError } from './errors.ts';
import { ASSURANCE_LEVELS } from './level.ts';

const policySchema = z.strictObject({
  /** The weakest assurance level that may pass. */
  levelMin: z.literal([...ASSURANCE_LEVELS]),
});

/** The appraisal policy for Evidence in RFC 9334: an argument of the judge, never a global. */
export type AppraisalPolicy = Readonly<z.infer<typeof policySchema>>;

/** Throws `POLICY_INVALID`. */
export function parsePolicy(value: unknown): AppraisalPolicy {
  const parsed = policySchema.safeParse(value);
  if (!parsed.success) throw new AttestationError('POLICY_INVALID', z.prettifyError(parsed.error));
  return parsed.data;
}
