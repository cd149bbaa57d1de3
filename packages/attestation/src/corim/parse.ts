import { toHex } from '@nemea/core';
import { type Cbor, decodeTaggedCbor, Tagged } from '../cose/cbor.ts';
import { CoseError } from '../cose/errors.ts';
import { type CoseVerifier, TAG_COSE_SIGN1, verifySign1 } from '../cose/sign1.ts';
import {
  CLASS,
  COMID,
  CORIM,
  type Corim,
  type CorimComponent,
  type CorimDigest,
  type CorimEnvironment,
  type CorimHash,
  type CorimRegister,
  ENVIRONMENT,
  HASH_ALGORITHMS,
  HASH_BYTES,
  MEASUREMENT,
  MVAL,
  TAG_COMID,
  TAG_CORIM,
  TAG_UNSIGNED_CORIM,
  TAG_UUID,
  TRIPLES,
} from './corim.ts';
import { CorimError } from './errors.ts';

/** The longest document that is read. */
export const CORIM_BYTES_MAX = 1 << 20;
/** The content type of the signed form. */
export const CORIM_CONTENT_TYPE = 'application/rim+cbor';
/** With the name of the first drafts, which tools still write. */
const CONTENT_TYPES = [CORIM_CONTENT_TYPE, 'application/corim-unsigned+cbor'];
const ITEMS_MAX = 65_536;
const PCR_MAX = 23;
const TEXT_MAX = 256;
/** Tags that documents of others contain: time, URI, UUID, OID, CoSWID, CoTL, and the draft's own from 550 on. */
const KNOWN_TAGS = [1, 32, TAG_UUID, 111, TAG_CORIM, TAG_UNSIGNED_CORIM, 505, TAG_COMID, 508].concat(
  Array.from({ length: 20 }, (_, i) => 550 + i),
);

/** Reads an unsigned CoRIM: whoever made the file is believed. Throws `CORIM_INVALID`, `CORIM_TOO_LARGE` or `CORIM_SIGNATURE_MISSING` for a signed one. */
export function parseCorim(bytes: Uint8Array): Corim {
  if (bytes.length > CORIM_BYTES_MAX) {
    throw new CorimError('CORIM_TOO_LARGE', `got ${bytes.length} bytes, want at most ${CORIM_BYTES_MAX}`);
  }
  const root = untag(decodeCbor(bytes, [...KNOWN_TAGS, TAG_COSE_SIGN1]), TAG_CORIM);
  if (root instanceof Tagged && root.tag === TAG_COSE_SIGN1) {
    throw new CorimError('CORIM_SIGNATURE_MISSING', 'a signed corim needs the key of its signer');
  }
  if (!(root instanceof Tagged) || root.tag !== TAG_UNSIGNED_CORIM) throw invalid('corim', 'want tag 501');
  return new CorimReader().read(mapOf(root.value as Cbor, 'corim'));
}

/** Reads a signed CoRIM after its signature by `verifier` was found good. Throws also `COSE_SIGNATURE_WRONG`. */
export function parseSignedCorim(bytes: Uint8Array, verifier: CoseVerifier): Corim {
  if (bytes.length > CORIM_BYTES_MAX) {
    throw new CorimError('CORIM_TOO_LARGE', `got ${bytes.length} bytes, want at most ${CORIM_BYTES_MAX}`);
  }
  return parseCorim(verifySign1(bytes, verifier, CONTENT_TYPES));
}

/** Walks the document once and collects what the judge can use, and the names of what it cannot. */
class CorimReader {
  readonly #registers: CorimRegister[] = [];
  readonly #components: CorimComponent[] = [];
  readonly #ignored = new Set<string>();
  #items = 0;

  read(corim: ReadonlyMap<Cbor, Cbor>): Corim {
    this.#ignoreOthers('corim', corim, [CORIM.id, CORIM.tags]);
    const id = idOf(corim.get(CORIM.id), 'corim id');
    for (const tag of listOf(corim.get(CORIM.tags), 'tags')) this.#readTag(tag);
    return {
      id,
      registers: this.#registers,
      components: this.#components,
      ignored: [...this.#ignored],
    };
  }

  #readTag(tag: Cbor): void {
    this.#count();
    if (!(tag instanceof Tagged) || !((tag.value as Cbor) instanceof Uint8Array)) {
      throw invalid('tags', 'want tagged byte strings');
    }
    if (tag.tag !== TAG_COMID) {
      this.#ignored.add(`tag ${tag.tag}`);
      return;
    }
    const comid = mapOf(decodeCbor(tag.value as Uint8Array, KNOWN_TAGS), 'comid');
    this.#ignoreOthers('comid', comid, [COMID.language, COMID.tagIdentity, COMID.entities, COMID.triples]);
    const triples = mapOf(comid.get(COMID.triples), 'triples');
    this.#ignoreOthers('triples', triples, [TRIPLES.reference]);
    for (const record of listOf(triples.get(TRIPLES.reference) ?? [], 'reference triples'))
      this.#readTriple(record);
  }

  #readTriple(record: Cbor): void {
    this.#count();
    const [environmentMap, measurements, ...conditions] = listOf(record, 'reference triple');
    if (conditions.length > 0) throw invalid('reference triple', 'want environment and measurements');
    const environment = this.#environmentOf(mapOf(environmentMap, 'environment'));
    for (const measurement of listOf(measurements, 'measurements')) {
      this.#readMeasurement(environment, mapOf(measurement, 'measurement'));
    }
  }

  #environmentOf(environment: ReadonlyMap<Cbor, Cbor>): CorimEnvironment {
    this.#ignoreOthers('environment', environment, [ENVIRONMENT.class]);
    const described = environment.has(ENVIRONMENT.class)
      ? mapOf(environment.get(ENVIRONMENT.class), 'class')
      : new Map();
    this.#ignoreOthers('class', described, [CLASS.vendor, CLASS.model, CLASS.layer, CLASS.index]);
    return {
      vendor: optional(described.get(CLASS.vendor), (value) => textOf(value, 'vendor')),
      model: optional(described.get(CLASS.model), (value) => textOf(value, 'model')),
      layer: optional(described.get(CLASS.layer), (value) => uintOf(value, 'layer')),
      index: optional(described.get(CLASS.index), (value) => uintOf(value, 'index')),
    };
  }

  #readMeasurement(environment: CorimEnvironment, measurement: ReadonlyMap<Cbor, Cbor>): void {
    this.#count();
    this.#ignoreOthers('measurement', measurement, [MEASUREMENT.key, MEASUREMENT.value]);
    const value = mapOf(measurement.get(MEASUREMENT.value), 'measured value');
    this.#ignoreOthers('measured value', value, [MVAL.digests, MVAL.name, MVAL.integrityRegisters]);
    if (value.has(MVAL.integrityRegisters)) {
      for (const [id, digests] of mapOf(value.get(MVAL.integrityRegisters), 'integrity registers')) {
        this.#count();
        if (typeof id !== 'number' || id < 0 || id > PCR_MAX)
          this.#ignored.add(`integrity register ${shortText(id)}`);
        else this.#registers.push({ environment, pcr: id, digests: this.#digestsOf(digests) });
      }
    }
    if (value.has(MVAL.digests)) {
      const name = value.get(MVAL.name) ?? measurement.get(MEASUREMENT.key) ?? environment.model ?? '';
      this.#components.push({
        environment,
        name: shortText(name),
        digests: this.#digestsOf(value.get(MVAL.digests)),
      });
    }
  }

  /** At least one digest must be of a known algorithm: an empty list would approve nothing, or everything. */
  #digestsOf(value: Cbor | undefined): CorimDigest[] {
    const known: CorimDigest[] = [];
    for (const entry of listOf(value, 'digests')) {
      this.#count();
      const [id, digest, ...more] = listOf(entry, 'digest');
      if (!(digest instanceof Uint8Array) || more.length > 0)
        throw invalid('digest', 'want algorithm and bytes');
      const algorithm = HASHES.get(id as Cbor);
      if (algorithm === undefined) {
        this.#ignored.add(`digest algorithm ${shortText(id as Cbor)}`);
        continue;
      }
      if (digest.length !== HASH_BYTES[algorithm]) {
        throw invalid('digest', `got ${digest.length} bytes, want ${HASH_BYTES[algorithm]}`);
      }
      known.push({ algorithm, digest });
    }
    if (known.length === 0) throw invalid('digests', 'none is of a known algorithm');
    return known;
  }

  #ignoreOthers(what: string, map: ReadonlyMap<Cbor, Cbor>, known: readonly number[]): void {
    for (const key of map.keys()) {
      if (typeof key !== 'number' || !known.includes(key)) this.#ignored.add(`${what} ${shortText(key)}`);
    }
  }

  #count(): void {
    this.#items++;
    if (this.#items > ITEMS_MAX) throw new CorimError('CORIM_TOO_LARGE', `got more than ${ITEMS_MAX} items`);
  }
}

/** By the registry's number or, as documents of others do, by its name. */
const HASHES: ReadonlyMap<Cbor, CorimHash> = new Map<Cbor, CorimHash>([
  ...Object.entries(HASH_ALGORITHMS).map(([id, name]): [Cbor, CorimHash] => [Number(id), name]),
  ...Object.values(HASH_ALGORITHMS).map((name): [Cbor, CorimHash] => [name.replace('sha', 'sha-'), name]),
]);

function decodeCbor(bytes: Uint8Array, tags: readonly number[]): Cbor {
  try {
    return decodeTaggedCbor(bytes, tags);
  } catch (cause) {
    if (!(cause instanceof CoseError)) throw cause;
    throw new CorimError('CORIM_INVALID', `corim: ${cause.message}`, { cause });
  }
}

function untag(value: Cbor, tag: number): Cbor {
  return value instanceof Tagged && value.tag === tag ? (value.value as Cbor) : value;
}

function mapOf(value: Cbor | undefined, what: string): ReadonlyMap<Cbor, Cbor> {
  if (!(value instanceof Map)) throw invalid(what, 'want a map');
  return value;
}

function listOf(value: Cbor | undefined, what: string): readonly Cbor[] {
  if (!Array.isArray(value)) throw invalid(what, 'want an array');
  return value;
}

function textOf(value: Cbor, what: string): string {
  if (typeof value !== 'string' || value.length > TEXT_MAX)
    throw invalid(what, `want text of at most ${TEXT_MAX}`);
  return value;
}

function uintOf(value: Cbor, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw invalid(what, 'want an unsigned integer');
  return value;
}

function idOf(value: Cbor | undefined, what: string): string {
  const id = untag(value ?? null, TAG_UUID);
  if (id instanceof Uint8Array && id.length === 16) return shortText(id);
  return textOf(id, what);
}

function optional<T>(value: Cbor | undefined, read: (value: Cbor) => T): T | undefined {
  return value === undefined ? undefined : read(value);
}

/** A key or name for people: text, number, or the hex of bytes, cut where it gets long. */
function shortText(value: Cbor): string {
  const plain = value instanceof Tagged ? (value.value as Cbor) : value;
  if (plain instanceof Uint8Array) return toHex(plain.subarray(0, 32));
  if (typeof plain === 'string') return plain.slice(0, TEXT_MAX);
  return typeof plain === 'number' || typeof plain === 'bigint' ? String(plain) : typeof plain;
}

function invalid(what: string, message: string): CorimError {
  return new CorimError('CORIM_INVALID', `${what}: ${message}`);
}
