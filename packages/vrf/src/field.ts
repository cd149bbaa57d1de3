import {
  add,
  and,
  type Code,
  constant,
  get,
  load,
  multiply,
  PARAMETERS,
  set,
  shiftLeft,
  shiftRight,
  store,
  subtract,
  type WasmFunction,
} from './assembler.ts';

/**
 * Arithmetic modulo p = 2^256 - 2^224 + 2^192 + 2^96 - 1 in WebAssembly, in the form of Montgomery: x stands for
 * x / R with R = 2^280. An element is ten limbs of 28 bits, the lowest first. The last limb has a sign and takes what
 * is beyond: an element may lie anywhere within 2^10 * p of zero, so that sums need no reduction. A product of two
 * such elements lies between -p / 16 and 17 / 16 * p.
 */
export const LIMBS = 10;
export const LIMB_BITS = 28;
export const ELEMENT_BYTES = 4 * LIMBS;
/** Of R. */
export const RADIX_BITS = LIMBS * LIMB_BITS;

const MASK = 2 ** LIMB_BITS - 1;
/** p + 1 as signed powers of two. Because p is -1 modulo 2^28, a limb is the multiple of p that takes it to zero. */
const POWERS = [
  { bits: 96, operation: add },
  { bits: 192, operation: add },
  { bits: 224, operation: subtract },
  { bits: 256, operation: add },
];

const [DESTINATION, LEFT, RIGHT] = [0, 1, 2];
const lefts = locals(PARAMETERS, LIMBS);
const rights = locals(PARAMETERS + LIMBS, LIMBS);
const columns = locals(PARAMETERS + 2 * LIMBS, 2 * LIMBS);
const multiple = PARAMETERS + 4 * LIMBS;

/** Of addresses: destination, left, right, which a square has no use for. Any of them may be the same. */
export const fieldFunctions: readonly WasmFunction[] = [
  { name: 'add', locals: LIMBS, body: sumOf(add) },
  { name: 'subtract', locals: LIMBS, body: sumOf(subtract) },
  { name: 'multiply', locals: 4 * LIMBS + 1, body: product() },
  { name: 'square', locals: 4 * LIMBS + 1, body: square() },
];

function sumOf(operation: Code): Code {
  const limbs = locals(PARAMETERS, LIMBS);
  const sums = limbs.map((limb, i) => [
    ...[...get(LEFT), ...load(4 * i)],
    ...[...get(RIGHT), ...load(4 * i)],
    ...[...operation, ...set(limb)],
  ]);
  return [...sums.flat(), ...storeCarried(limbs)];
}

function product(): Code {
  return [
    ...loadAll(LEFT, lefts),
    ...loadAll(RIGHT, rights),
    ...columnSums((i, j) => [lefts[i], rights[j]]),
    ...reduce(),
  ];
}

/** Every mixed product stands twice in its column: half of them are left out, and the others have one doubled factor. */
function square(): Code {
  const doubled = lefts.flatMap((limb, i) => [
    ...get(limb),
    ...get(limb),
    ...add,
    ...set(rights[i] as number),
  ]);
  const factors = (i: number, j: number) => (i < j ? [] : [lefts[j], (i === j ? lefts : rights)[i]]);
  return [...loadAll(LEFT, lefts), ...doubled, ...columnSums(factors), ...reduce()];
}

function loadAll(operand: number, limbs: readonly number[]): Code {
  return limbs.flatMap((limb, i) => [...get(operand), ...load(4 * i), ...set(limb)]);
}

/** Sums in each column the products that belong there; `factors` tells the two of a pair of places, or none. */
function columnSums(factors: (i: number, j: number) => readonly (number | undefined)[]): Code {
  return columns.slice(0, -1).flatMap((column, k) => {
    const products = lefts.flatMap((_, i) => {
      const j = k - i;
      const [left, right] = j >= 0 && j < LIMBS ? factors(i, j) : [];
      return left === undefined || right === undefined ? [] : [[...get(left), ...get(right), ...multiply]];
    });
    return [...sum(products), ...set(column)];
  });
}

/** Adds multiples of p that take the columns to zero from the lowest up; those beyond R are the result. */
function reduce(): Code {
  const rounds = lefts.map((_, i) => {
    const column = columns[i] as number;
    const parts = POWERS.flatMap(({ bits, operation }) => {
      const to = columns[i + Math.floor(bits / LIMB_BITS)] as number;
      const shifted = [...get(multiple), ...constant(bits % LIMB_BITS), ...shiftLeft];
      return [...get(to), ...shifted, ...operation, ...set(to)];
    });
    const rest = carry(column, columns[i + 1] as number);
    return [...get(column), ...constant(MASK), ...and, ...set(multiple), ...rest, ...parts];
  });
  return [...rounds.flat(), ...storeCarried(columns.slice(LIMBS))];
}

function sum([first = [], ...others]: readonly Code[]): Code {
  return [...first, ...others.flatMap((term) => [...term, ...add])];
}

/** Brings every limb but the last into 28 bits, and writes them. */
function storeCarried(limbs: readonly number[]): Code {
  const stores = limbs.map((limb, i) => {
    const next = limbs[i + 1];
    if (next === undefined) return [...get(DESTINATION), ...get(limb), ...store(4 * i)];
    const low = [...get(limb), ...constant(MASK), ...and];
    return [...carry(limb, next), ...get(DESTINATION), ...low, ...store(4 * i)];
  });
  return stores.flat();
}

function carry(from: number, to: number): Code {
  return [...get(to), ...get(from), ...constant(LIMB_BITS), ...shiftRight, ...add, ...set(to)];
}

function locals(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}
