import { readFileSync } from 'node:fs';
import { concatBytes } from '@nemea/core';

/** The bytes once for each bit from `start` up to `end`, with this bit flipped. */
export function flips(bytes: Uint8Array, start: number, end: number): Uint8Array[] {
  return Array.from({ length: 8 * (end - start) }, (_, bit) => flipped(bytes, start + (bit >> 3), bit & 7));
}

export function flipped(bytes: Uint8Array, at: number, bit = 0): Uint8Array {
  const byte = bytes[at];
  if (byte === undefined) throw new RangeError(`no byte ${at} of ${bytes.length}`);
  return bytes.with(at, byte ^ (1 << bit));
}

/** The bytes once for each length from `start` up to `end`. */
export function cuts(bytes: Uint8Array, start = 0, end = bytes.length): Uint8Array[] {
  return Array.from({ length: end - start }, (_, i) => bytes.slice(0, start + i));
}

export function spliced(
  bytes: Uint8Array,
  at: number,
  remove: number,
  insert: Uint8Array = new Uint8Array(0),
): Uint8Array {
  return concatBytes(bytes.subarray(0, at), insert, bytes.subarray(at + remove));
}

export function longer(bytes: Uint8Array): Uint8Array {
  return concatBytes(bytes, Uint8Array.of(0));
}

/** A file of `vectors/`. */
export function readVector(path: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../../vectors/${path}`, import.meta.url)));
}

export function readVectorJson<T>(path: string): T {
  return JSON.parse(new TextDecoder().decode(readVector(path))) as T;
}
