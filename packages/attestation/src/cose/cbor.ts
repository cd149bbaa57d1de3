/**
 * CBOR with integer keys and tags, as COSE and RATS documents use it (RFC 8949). The project's own documents are
 * dag-cbor, which has neither.
 */
import { decode, encode, rfc8949EncodeOptions, Tagged } from 'cborg';
import { CoseError } from './errors.ts';

export { Tagged };

/** A CBOR value as COSE documents have them. */
export type Cbor =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Cbor[]
  | ReadonlyMap<Cbor, Cbor>
  | Tagged;

/** Core deterministic encoding (RFC 8949, 4.2.1). */
export function encodeTaggedCbor(value: Cbor): Uint8Array {
  return new Uint8Array(encode(value, rfc8949EncodeOptions));
}

/**
 * Decodes one item to the exact end: definite lengths, shortest forms, no duplicate keys, and only the tags listed. Maps
 * become `Map`s. Throws `CBOR_MALFORMED`; the caller bounds the size.
 */
export function decodeTaggedCbor(bytes: Uint8Array, tags: readonly number[]): Cbor {
  try {
    return decode(bytes, {
      useMaps: true,
      strict: true,
      allowIndefinite: false,
      allowUndefined: false,
      allowNaN: false,
      allowInfinity: false,
      rejectDuplicateMapKeys: true,
      tags: Tagged.preserve(...tags),
    }) as Cbor;
  } catch (cause) {
    // Nesting without end too: the decoder recurses, and a full stack is an error like any other.
    throw new CoseError('CBOR_MALFORMED', 'not well-formed cbor with the expected tags', { cause });
  }
}
