import * as dagCbor from '@ipld/dag-cbor';
import { bytesEqual } from './bytes.ts';
import { CoreError } from './errors.ts';

/** What a signed document may hold. Integers beyond 2^53 are bigints; there are no floats and no `undefined`. */
export type CborValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly CborValue[]
  | { readonly [key: string]: CborValue };

/** Deterministic dag-cbor: the same value always gives the same bytes. */
export function encodeCbor(value: CborValue): Uint8Array {
  try {
    const encoded = dagCbor.encode(value);
    // The library may hand out a Buffer, whose `slice` shares memory: callers get a plain array.
    return new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.length);
  } catch (cause) {
    throw new CoreError('CBOR_INVALID', 'value has no dag-cbor form', { cause });
  }
}

/**
 * Decodes dag-cbor and refuses any other encoding of the same value, so that bytes can be hashed and signed.
 * The library's decoder accepts unsorted maps; re-encoding closes that gap.
 */
export function decodeCbor(bytes: Uint8Array): CborValue {
  let value: CborValue;
  try {
    value = dagCbor.decode(bytes) as CborValue;
  } catch (cause) {
    throw new CoreError('CBOR_INVALID', 'not dag-cbor', { cause });
  }
  if (!bytesEqual(encodeCbor(value), bytes)) {
    throw new CoreError('CBOR_NOT_CANONICAL', 'not the canonical dag-cbor encoding');
  }
  return value;
}
