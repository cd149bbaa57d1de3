import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesEqual, type CborValue, encodeCbor, fromUtf8, toHex, toUtf8 } from '@nemea/core';
import fc from 'fast-check';
import { NotOfForm, type Target } from '../target.ts';

const VECTORS = join(import.meta.dirname, '..', '..', 'vectors');
const SAMPLE_SEED = 1;

export function readVector(path: string): Uint8Array {
  return Uint8Array.from(readFileSync(join(VECTORS, path)));
}

export function readJson<T>(path: string): T {
  return JSON.parse(toUtf8(readVector(path))) as T;
}

/** Files of a folder of vectors whose names end so. */
export function readVectors(folder: string, ending: string): Uint8Array[] {
  const names = readdirSync(join(VECTORS, folder)).filter((name) => name.endsWith(ending));
  return names.map((name) => readVector(join(folder, name)));
}

export function json(value: unknown): Uint8Array {
  return fromUtf8(JSON.stringify(value));
}

export function cbor(value: CborValue): Uint8Array {
  return Uint8Array.from(encodeCbor(value));
}

/** The same few examples in every run. */
export function samples<T>(arbitrary: fc.Arbitrary<T>, count = 24): T[] {
  return fc.sample(arbitrary, { numRuns: count, seed: SAMPLE_SEED });
}

/** A parser whose encoder must give back the very bytes. */
export function codec<T>(parse: (input: Uint8Array) => T, encode: (value: T) => Uint8Array): Target['run'] {
  return (input) => {
    const value = parse(input);
    let again: Uint8Array;
    try {
      again = encode(value);
    } catch (cause) {
      throw new Error('what was parsed is not encoded', { cause });
    }
    if (!bytesEqual(again, input)) throw new Error(`encodes to other bytes: ${toHex(again).slice(0, 200)}`);
  };
}

/** Text input: what is not UTF-8 never reaches a parser of text. */
export function text(parse: (input: string) => unknown): Target['run'] {
  const decoder = new TextDecoder();
  return (input) => void parse(decoder.decode(input));
}

/** JSON input; what is no JSON is refused by the language. */
export function jsonText(parse: (value: unknown) => unknown): Target['run'] {
  const decoder = new TextDecoder();
  return (input) => {
    let value: unknown;
    try {
      value = JSON.parse(decoder.decode(input));
    } catch {
      throw new NotOfForm('not JSON');
    }
    parse(value);
  };
}
