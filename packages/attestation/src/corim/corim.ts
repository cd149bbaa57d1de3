/**
 * Concise Reference Integrity Manifests (draft-ietf-rats-corim): reference values as makers of firmware and systems publish
 * them. Read and written is what this judge can compare: digests of components and values of integrity registers (PCRs) in
 * reference triples of CoMID tags. Everything else is listed in `ignored`, so that nobody believes it was enforced.
 */
import { type Cbor, encodeTaggedCbor, Tagged } from '../cose/cbor.ts';

export const TAG_CORIM = 500;
export const TAG_UNSIGNED_CORIM = 501;
export const TAG_COMID = 506;
export const TAG_UUID = 37;

/** Named Information hash algorithms (RFC 6920, IANA registry) that registers and components are measured with. */
export const HASH_ALGORITHMS = { 1: 'sha256', 7: 'sha384', 8: 'sha512' } as const;
/** Hashes of the IANA Named Information registry that count here. */
export type CorimHash = (typeof HASH_ALGORITHMS)[keyof typeof HASH_ALGORITHMS];
export const HASH_BYTES: Readonly<Record<CorimHash, number>> = { sha256: 32, sha384: 48, sha512: 64 };

/** A digest and its hash. */
export interface CorimDigest {
  readonly algorithm: CorimHash;
  readonly digest: Uint8Array;
}

/** Who and what is described (class-map); a field left out is not said. */
export interface CorimEnvironment {
  readonly vendor?: string | undefined;
  readonly model?: string | undefined;
  readonly layer?: number | undefined;
  readonly index?: number | undefined;
}

/** A component by name with the digests that are good for it, any one of which suffices. */
export interface CorimComponent {
  readonly environment: CorimEnvironment;
  readonly name: string;
  readonly digests: readonly CorimDigest[];
}

/** A PCR with the values that are good for it, any one of which suffices. */
export interface CorimRegister {
  readonly environment: CorimEnvironment;
  readonly pcr: number;
  readonly digests: readonly CorimDigest[];
}

/** What of a CoRIM document this package reads. */
export interface Corim {
  readonly id: string;
  readonly registers: readonly CorimRegister[];
  readonly components: readonly CorimComponent[];
  /** What the document says beyond that, by name: none of it is enforced. */
  readonly ignored: readonly string[];
}

/** What this package writes into one. */
export type CorimContent = Pick<Corim, 'id' | 'registers' | 'components'>;

/** An unsigned CoRIM (tag 501) with one CoMID. Deterministic: the same content gives the same bytes. */
export function encodeCorim(content: CorimContent): Uint8Array {
  const triples = [
    ...content.registers.map(({ environment, pcr, digests }) => {
      const registers = new Map<Cbor, Cbor>([[pcr, digests.map(toDigest)]]);
      return triple(environment, new Map<Cbor, Cbor>([[MVAL.integrityRegisters, registers]]));
    }),
    ...content.components.map(({ environment, name, digests }) =>
      triple(
        environment,
        new Map<Cbor, Cbor>([
          [MVAL.digests, digests.map(toDigest)],
          [MVAL.name, name],
        ]),
      ),
    ),
  ];
  const comid = new Map<Cbor, Cbor>([
    [COMID.tagIdentity, new Map<Cbor, Cbor>([[0, content.id]])],
    [COMID.triples, new Map<Cbor, Cbor>([[TRIPLES.reference, triples]])],
  ]);
  const corim = new Map<Cbor, Cbor>([
    [CORIM.id, content.id],
    [CORIM.tags, [new Tagged(TAG_COMID, encodeTaggedCbor(comid))]],
  ]);
  return encodeTaggedCbor(new Tagged(TAG_UNSIGNED_CORIM, corim));
}

/** Map keys of the draft's CDDL. */
export const CORIM = { id: 0, tags: 1 } as const;
export const COMID = { language: 0, tagIdentity: 1, entities: 2, linkedTags: 3, triples: 4 } as const;
export const TRIPLES = { reference: 0 } as const;
export const ENVIRONMENT = { class: 0 } as const;
export const CLASS = { id: 0, vendor: 1, model: 2, layer: 3, index: 4 } as const;
export const MEASUREMENT = { key: 0, value: 1 } as const;
export const MVAL = { digests: 2, name: 11, integrityRegisters: 14 } as const;

function triple(environment: CorimEnvironment, value: ReadonlyMap<Cbor, Cbor>): Cbor {
  const { vendor, model, layer, index } = environment;
  const described: readonly [number, string | number | undefined][] = [
    [CLASS.vendor, vendor],
    [CLASS.model, model],
    [CLASS.layer, layer],
    [CLASS.index, index],
  ];
  const said = described.filter((entry): entry is [number, string | number] => entry[1] !== undefined);
  const classMap = new Map<Cbor, Cbor>(said);
  return [
    new Map<Cbor, Cbor>([[ENVIRONMENT.class, classMap]]),
    [new Map<Cbor, Cbor>([[MEASUREMENT.value, value]])],
  ];
}

function toDigest({ algorithm, digest }: CorimDigest): Cbor {
  const id = Object.entries(HASH_ALGORITHMS).find(([, name]) => name === algorithm)?.[0];
  return [Number(id), digest];
}
