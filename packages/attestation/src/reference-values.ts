import { z } from 'zod';
import { AttestationError } from './errors.ts';

const digestHex = z.string().regex(/^[0-9a-f]{64}$/, 'want 64 lower-case hex digits');
const namedDigest = z
  .string()
  .regex(
    /^(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}|sha1:[0-9a-f]{40})$/,
    'want a digest such as sha256:<64 lower-case hex digits>',
  );
const VALUES_MAX = 65_536;
const COMPONENT_DIGESTS_MAX = 1024;

/** What a digest is of. Each kind has its own rule in the policy. */
export const COMPONENT_KINDS = [
  'pcr',
  'secure-boot-key',
  'boot-authority',
  'boot-loader',
  'file',
  'ima-buffer',
] as const;
/** What a reference value is of. */
export type ComponentKind = (typeof COMPONENT_KINDS)[number];

const componentSchema = z.strictObject({
  kind: z.enum(COMPONENT_KINDS),
  /** `sha256:7` of a PCR, `db` of a key list, a device or file path; for authorities and loaders a label only. */
  name: z.string().min(1).max(4096),
  /** Any of these is good. */
  digests: z.array(namedDigest).min(1).max(COMPONENT_DIGESTS_MAX),
});

/** One component that was measured, and the digests that are good: a `reference-triple` of CoRIM. */
export type ReferenceComponent = Readonly<z.infer<typeof componentSchema>>;

const referenceValuesSchema = z.strictObject({
  version: z.exactOptional(z.literal(1)),
  /** SHA-256 digests of the approved release manifests, hex. */
  releases: z.array(digestHex).max(VALUES_MAX),
  /** SHA-256 digests of the approved worker images, hex. */
  images: z.array(digestHex).max(VALUES_MAX),
  components: z.exactOptional(z.array(componentSchema).max(VALUES_MAX)),
});

/** The document as it is stored and exchanged. */
export type ReferenceValuesDocument = z.infer<typeof referenceValuesSchema>;

/** Reference Values in RFC 9334: what approved software measures to. They come from the policy registry on layer 1, or from a file. */
export interface ReferenceValues {
  readonly releases: ReadonlySet<string>;
  readonly images: ReadonlySet<string>;
  readonly components?: ComponentDigests;
}

/** Digests such as `sha256:<hex>` with what they are of, by kind. */
export type ComponentDigests = ReadonlyMap<ComponentKind, ReadonlyMap<string, readonly ReferenceComponent[]>>;

/** Takes plain data, unknown fields refused. Throws `REFERENCE_VALUES_INVALID`. */
export function parseReferenceValuesDocument(value: unknown): ReferenceValuesDocument {
  const parsed = referenceValuesSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AttestationError('REFERENCE_VALUES_INVALID', z.prettifyError(parsed.error));
}

/** Takes plain data (JSON, or what the registry's events give). Throws `REFERENCE_VALUES_INVALID`. */
export function parseReferenceValues(value: unknown): ReferenceValues {
  const { releases, images, components = [] } = parseReferenceValuesDocument(value);
  return { releases: new Set(releases), images: new Set(images), components: indexComponents(components) };
}

/** The components of a kind that this digest is good for. */
export function findReferences(
  values: ReferenceValues,
  kind: ComponentKind,
  digest: string,
): readonly ReferenceComponent[] {
  return values.components?.get(kind)?.get(digest) ?? [];
}

export function countReferences(values: ReferenceValues, kind: ComponentKind): number {
  return values.components?.get(kind)?.size ?? 0;
}

function indexComponents(components: readonly ReferenceComponent[]): ComponentDigests {
  const index = new Map<ComponentKind, Map<string, ReferenceComponent[]>>();
  for (const component of components) {
    const byDigest = index.get(component.kind) ?? new Map<string, ReferenceComponent[]>();
    index.set(component.kind, byDigest);
    for (const digest of component.digests) {
      const known = byDigest.get(digest);
      if (known === undefined) byDigest.set(digest, [component]);
      else known.push(component);
    }
  }
  return index;
}
