import type { CborValue } from '@nemea/core';
import { ConsensusError } from './errors.ts';

/** Readers of decoded CBOR that accept one shape and name what else they got. */

export function asTuple(value: CborValue | undefined, length: number, name: string): readonly CborValue[] {
  if (!Array.isArray(value) || value.length !== length) throw wrong(name, `a tuple of ${length}`);
  return value;
}

export function asList<T>(
  value: CborValue | undefined,
  max: number,
  name: string,
  read: (item: CborValue) => T,
): T[] {
  if (!Array.isArray(value) || value.length > max) throw wrong(name, `a list of at most ${max}`);
  return value.map(read);
}

export function asCount(value: CborValue | undefined, name: string, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max) {
    throw wrong(name, `an integer from 0 to ${max}`);
  }
  return value;
}

export function asBytes(value: CborValue | undefined, length: number, name: string): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== length) throw wrong(name, `${length} bytes`);
  return value;
}

export function asBytesUpTo(value: CborValue | undefined, max: number, name: string): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length === 0 || value.length > max) {
    throw wrong(name, `1 to ${max} bytes`);
  }
  return value;
}

export function asText(value: CborValue | undefined, max: number, name: string): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > max) {
    throw wrong(name, `a text of 1 to ${max} characters`);
  }
  return value;
}

export function asFlag(value: CborValue | undefined, name: string): boolean {
  if (typeof value !== 'boolean') throw wrong(name, 'a boolean');
  return value;
}

function wrong(name: string, want: string): ConsensusError {
  return new ConsensusError('MESSAGE_INVALID', `${name}: want ${want}`);
}
