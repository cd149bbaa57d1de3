import { fromHex, toHex } from '@nemea/core';
import { COMPONENT_KINDS, type ComponentKind, type ReferenceComponent } from '../reference-values.ts';
import type { Corim, CorimComponent, CorimContent, CorimDigest, CorimHash } from './corim.ts';
import { HASH_BYTES } from './corim.ts';
import { CorimError } from './errors.ts';

/** Reference values out of a CoRIM, and what of it they leave out. */
export interface ImportedReferences {
  readonly components: readonly ReferenceComponent[];
  /** What the document says and these components do not: none of it is enforced. */
  readonly ignored: readonly string[];
}

/**
 * The judge's reference values out of a CoRIM. Registers are PCRs. A component's kind is what its class names as model, as
 * `toCorim` writes it; for documents of others the caller says what their components are, or they are ignored.
 */
export function fromCorim(corim: Corim, kind?: ComponentKind): ImportedReferences {
  const ignored = [...corim.ignored];
  const registers = corim.registers.flatMap(({ pcr, digests }) =>
    byAlgorithm(digests).map(([algorithm, same]): ReferenceComponent => {
      return { kind: 'pcr', name: `${algorithm}:${pcr}`, digests: same.map(nameOf) };
    }),
  );
  const components: ReferenceComponent[] = [];
  for (const component of corim.components) {
    const known = kindOf(component) ?? kind;
    if (known === undefined) ignored.push(`component ${component.name} of no known kind`);
    else
      components.push({ kind: known, name: component.name || '-', digests: component.digests.map(nameOf) });
  }
  return { components: [...registers, ...components], ignored };
}

/** Reference values as a CoRIM. Throws `CORIM_INVALID` for a SHA-1 digest, which the draft's registry does not have. */
export function toCorim(id: string, components: readonly ReferenceComponent[]): CorimContent {
  const content = {
    id,
    registers: [] as CorimContent['registers'][number][],
    components: [] as CorimComponent[],
  };
  for (const { kind, name, digests: names } of components) {
    const digests = names.map(digestOf);
    const pcr = kind === 'pcr' ? Number(name.split(':')[1]) : undefined;
    if (pcr === undefined) content.components.push({ environment: { model: kind }, name, digests });
    else content.registers.push({ environment: { model: kind }, pcr, digests });
  }
  return content;
}

function kindOf({ environment }: CorimComponent): ComponentKind | undefined {
  return COMPONENT_KINDS.find((kind) => kind !== 'pcr' && kind === environment.model);
}

function byAlgorithm(digests: readonly CorimDigest[]): [CorimHash, CorimDigest[]][] {
  const groups = new Map<CorimHash, CorimDigest[]>();
  for (const digest of digests)
    groups.set(digest.algorithm, [...(groups.get(digest.algorithm) ?? []), digest]);
  return [...groups];
}

function nameOf({ algorithm, digest }: CorimDigest): string {
  return `${algorithm}:${toHex(digest)}`;
}

function digestOf(name: string): CorimDigest {
  const [algorithm = '', hex = ''] = name.split(':');
  if (!isHash(algorithm)) throw new CorimError('CORIM_INVALID', `digest algorithm: got ${algorithm}`);
  return { algorithm, digest: fromHex(hex) };
}

function isHash(name: string): name is CorimHash {
  return Object.hasOwn(HASH_BYTES, name);
}
