import { concatBytes, fromUtf8 } from '@nemea/core';
import type { Comparison } from './feedback.ts';
import type { Random } from './random.ts';

/** What mutations draw from. */
export interface Material {
  readonly random: Random;
  /** Byte forms of the constants in the code under test. */
  readonly tokens: readonly Uint8Array[];
  /** What the input's last execution compared. */
  readonly comparisons: readonly Comparison[];
  /** Another input, to take pieces from. */
  readonly donor: Uint8Array;
  readonly bytesMax: number;
}

type Mutation = (input: Uint8Array, material: Material) => Uint8Array;

const WIDTHS = [1, 2, 4, 8] as const;
const INTERESTING = [
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0x8000n,
  0xffffn,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
];
const BLOCK_BYTES_MAX = 64;
const ARITHMETIC_MAX = 16;
const OCCURRENCES_MAX = 64;
const FIELD_DISTANCE_MAX = 512;

const flipBit: Mutation = (input, { random }) => {
  const at = random.below(input.length);
  return replaced(input, at, [(input[at] ?? 0) ^ (1 << random.below(8))]);
};

const setByte: Mutation = (input, { random }) => replaced(input, random.below(input.length), [random.u32()]);

const setInteger: Mutation = (input, { random }) => {
  const value = random.pick(INTERESTING) ?? 0n;
  return replaced(
    input,
    random.below(input.length),
    integer(value, random.pick(WIDTHS) ?? 1, random.once(2)),
  );
};

const addToInteger: Mutation = (input, { random }) => {
  const width = random.pick(WIDTHS) ?? 1;
  const at = random.below(input.length - width + 1);
  const little = random.once(2);
  const difference = BigInt(1 + random.below(ARITHMETIC_MAX)) * (random.once(2) ? 1n : -1n);
  return replaced(input, at, integer(readInteger(input, at, width, little) + difference, width, little));
};

const remove: Mutation = (input, { random }) => {
  const at = random.below(input.length);
  return spliced(
    input,
    at,
    Math.min(1 + random.below(BLOCK_BYTES_MAX), input.length - at),
    new Uint8Array(0),
  );
};

const truncate: Mutation = (input, { random }) => input.slice(0, random.below(input.length));

const insertRandom: Mutation = (input, { random }) =>
  spliced(input, random.below(input.length + 1), 0, random.bytes(1 + random.below(8)));

const insertToken: Mutation = (input, { random, tokens }) =>
  spliced(input, random.below(input.length + 1), 0, random.pick(tokens) ?? random.bytes(2));

const overwriteToken: Mutation = (input, { random, tokens }) =>
  replaced(input, random.below(input.length), random.pick(tokens) ?? random.bytes(2));

const repeatBlock: Mutation = (input, { random }) => {
  const block = randomBlock(input, random);
  const times = random.once(8) ? 1 + random.below(64) : 1;
  return spliced(
    input,
    random.below(input.length + 1),
    0,
    concatBytes(...Array<Uint8Array>(times).fill(block)),
  );
};

const insertFromDonor: Mutation = (input, { random, donor }) =>
  spliced(input, random.below(input.length + 1), 0, randomBlock(donor, random));

const overwriteFromDonor: Mutation = (input, { random, donor }) =>
  replaced(input, random.below(input.length), randomBlock(donor, random));

const crossOver: Mutation = (input, { random, donor }) =>
  concatBytes(input.slice(0, random.below(input.length + 1)), donor.slice(random.below(donor.length)));

/** Inserts or removes bytes and corrects the length fields in front that may have counted them. */
const resizeField: Mutation = (input, { random, donor, tokens }) => {
  const at = random.below(input.length + 1);
  const isInsertion = random.once(2);
  const added = random.once(2) ? (random.pick(tokens) ?? random.bytes(1)) : randomBlock(donor, random);
  const removed = isInsertion ? 0 : Math.min(1 + random.below(BLOCK_BYTES_MAX), input.length - at);
  const content = isInsertion ? added : new Uint8Array(0);
  // Every field that ends exactly at the end counts; of the others any may be a length or not.
  const isLength = (end: number): boolean => end === input.length || random.once(2);
  return splicedCounted(input, { at, removed, content }, isLength);
};

interface Splice {
  readonly at: number;
  readonly removed: number;
  readonly content: Uint8Array;
}

/** Replaces bytes, and corrects the integers in front of them that may be the length of what they are in. */
function splicedCounted(
  input: Uint8Array,
  { at, removed, content }: Splice,
  isLength: (end: number) => boolean,
): Uint8Array {
  const corrected = Uint8Array.from(input);
  for (const width of [1, 2, 4] as const) {
    for (const little of width === 1 ? [false] : [false, true]) {
      for (let field = Math.max(0, at - FIELD_DISTANCE_MAX); field + width <= at; field++) {
        const length = readInteger(input, field, width, little);
        const end = field + width + Number(length);
        if (end < at + removed || end > input.length || (width > 1 && length === 0n) || !isLength(end))
          continue;
        corrected.set(integer(length + BigInt(content.length - removed), width, little), field);
      }
    }
  }
  return spliced(corrected, at, removed, content);
}

/** The input without some bytes: as they are, and with the lengths corrected that end where the input ends. */
export function withoutBytes(input: Uint8Array, at: number, length: number): Uint8Array[] {
  const removed = Math.min(length, input.length - at);
  const content = new Uint8Array(0);
  return [
    spliced(input, at, removed, content),
    splicedCounted(input, { at, removed, content }, (end) => end === input.length),
  ];
}

/** Puts one side of a failed comparison where the other side stands in the input. */
const answerComparison: Mutation = (input, { random, comparisons, tokens }) => {
  const comparison = random.pick(comparisons);
  if (comparison === undefined) return overwriteToken(input, { random, tokens } as Material);
  const [found, wanted] = random.once(2) ? comparison : [comparison[1], comparison[0]];
  if (
    found === input.length &&
    typeof wanted === 'number' &&
    wanted >= 0 &&
    wanted < 2 * input.length + 256
  ) {
    if (random.once(2)) return resized(input, wanted);
  }
  if (typeof found === 'string') return replaceText(input, found, String(wanted), random);
  return replaceNumber(input, found, wanted as number | bigint, random);
};

const MUTATIONS: readonly Mutation[] = [
  flipBit,
  setByte,
  setInteger,
  addToInteger,
  remove,
  truncate,
  insertRandom,
  insertToken,
  overwriteToken,
  repeatBlock,
  insertFromDonor,
  overwriteFromDonor,
  crossOver,
  resizeField,
  resizeField,
  answerComparison,
  answerComparison,
  answerComparison,
  answerComparison,
];

/** A changed copy, at most `bytesMax` long. */
export function mutateBytes(input: Uint8Array, material: Material): Uint8Array {
  const mutation = material.random.pick(MUTATIONS) ?? flipBit;
  return mutation(input, material).slice(0, material.bytesMax);
}

/** The constants of code as they may stand in input: numbers in both byte orders, texts in UTF-8 and UTF-16. */
export function toTokens(literals: Iterable<string | number | bigint>): Uint8Array[] {
  const tokens: Uint8Array[] = [];
  for (const literal of literals) {
    if (typeof literal === 'string') {
      tokens.push(fromUtf8(literal), Uint8Array.from(Buffer.from(literal, 'utf16le')));
    } else if (typeof literal === 'bigint' || Number.isSafeInteger(literal)) {
      const value = BigInt(literal);
      const width = value <= 0xffffn ? 2 : value <= 0xffffffffn ? 4 : 8;
      tokens.push(
        Uint8Array.from(integer(value, width, false)),
        Uint8Array.from(integer(value, width, true)),
      );
    }
  }
  return tokens;
}

function replaceNumber(
  input: Uint8Array,
  found: number | bigint,
  wanted: number | bigint,
  random: Random,
): Uint8Array {
  if (!isInteger(found) || !isInteger(wanted)) return input;
  // Just beyond the other side, too: that decides `<`.
  const value = BigInt(wanted) + BigInt(random.once(3) ? random.below(3) - 1 : 0);
  const places: [number, 1 | 2 | 4 | 8, boolean][] = [];
  for (const width of WIDTHS) {
    if (BigInt(found) >= 1n << BigInt(8 * width)) continue;
    for (const little of width === 1 ? [false] : [false, true]) {
      const needle = Uint8Array.from(integer(BigInt(found), width, little));
      for (const at of occurrences(input, needle)) places.push([at, width, little]);
    }
  }
  const place = random.pick(places);
  if (place === undefined) return input;
  const [at, width, little] = place;
  return replaced(input, at, integer(value, width, little));
}

function replaceText(input: Uint8Array, found: string, wanted: string, random: Random): Uint8Array {
  const encode = random.once(4)
    ? (text: string) => Uint8Array.from(Buffer.from(text, 'utf16le'))
    : (text: string) => fromUtf8(text);
  const needle = encode(found);
  const at = needle.length === 0 ? random.below(input.length + 1) : random.pick(occurrences(input, needle));
  if (at === undefined) return input;
  return spliced(input, at, needle.length, encode(wanted));
}

function occurrences(input: Uint8Array, needle: Uint8Array): number[] {
  const haystack = Buffer.from(input.buffer, input.byteOffset, input.length);
  const found: number[] = [];
  for (let at = haystack.indexOf(needle); at !== -1; at = haystack.indexOf(needle, at + 1)) {
    found.push(at);
    if (found.length === OCCURRENCES_MAX) break;
  }
  return found;
}

function isInteger(value: number | bigint): boolean {
  return (typeof value === 'bigint' || Number.isSafeInteger(value)) && value >= 0;
}

function readInteger(input: Uint8Array, at: number, width: number, little: boolean): bigint {
  let value = 0n;
  for (let i = 0; i < width; i++)
    value = (value << 8n) | BigInt(input[little ? at + width - 1 - i : at + i] ?? 0);
  return value;
}

function integer(value: bigint, width: number, little: boolean): number[] {
  const bytes: number[] = [];
  for (let i = 0; i < width; i++) bytes.push(Number((value >> BigInt(8 * i)) & 0xffn));
  return little ? bytes : bytes.reverse();
}

function randomBlock(from: Uint8Array, random: Random): Uint8Array {
  const at = random.below(from.length);
  return from.slice(at, at + 1 + random.below(BLOCK_BYTES_MAX));
}

function replaced(input: Uint8Array, at: number, content: ArrayLike<number>): Uint8Array {
  const copy = Uint8Array.from(input);
  for (let i = 0; i < content.length && at + i < copy.length; i++) copy[at + i] = content[i] ?? 0;
  return copy;
}

function resized(input: Uint8Array, length: number): Uint8Array {
  const copy = new Uint8Array(length);
  copy.set(input.subarray(0, length));
  return copy;
}

function spliced(input: Uint8Array, at: number, removed: number, content: Uint8Array): Uint8Array {
  return concatBytes(input.subarray(0, at), content, input.subarray(at + removed));
}
