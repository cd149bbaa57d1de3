import { z } from 'zod';
import { AttestationError } from './errors.ts';

const digestHex = z.string().regex(/^[0-9a-f]{64}$/, 'want 64 lower-case hex digits');
const VALUES_MAX = 65_536;

const referenceValuesSchema = z.strictObject({
  /** SHA-256 digests of the approved release manifests, hex. */
  releases: z.array(digestHex).max(VALUES_MAX),
  /** SHA-256 digests of the approved worker images, hex. */
  images: z.array(digestHex).max(VALUES_MAX),
});

/** Reference Values in RFC 9334: what approved software measures to. They come from the policy registry on layer 1. */
export interface ReferenceValues {
  readonly releases: ReadonlySet<string>;
  readonly images: ReadonlySet<string>;
}

/** Takes plain data (JSON, or what the registry's events give). Throws `REFERENCE_VALUES_INVALID`. */
export function parseReferenceValues(value: unknown): ReferenceValues {
  const parsed = referenceValuesSchema.safeParse(value);
  if (!parsed.success) {
    throw new AttestationError('REFERENCE_VALUES_INVALID', z.prettifyError(parsed.error));
  }
  return { releases: new Set(parsed.data.releases), images: new Set(parsed.data.images) };
}
