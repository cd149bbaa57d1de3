import { fromHex } from '@nemea/core';
import { p256 } from '@noble/curves/nist.js';
import { B_ADDRESS, PROJECTIVE_BYTES } from './addition.ts';
import { BASE, type CurvePoint, toScalar } from './curve.ts';
import { ELEMENT_BYTES } from './field.ts';
import { type Machine, openMachine } from './machine.ts';
import { signedDigits } from './recoding.ts';

/** Arithmetic on public points of P-256 in WebAssembly: exact, in variable time, many times as fast as in JavaScript. */
export interface CompiledCurve {
  /** The point of a compressed form of 33 bytes; null when it is none. */
  decompress(bytes: Uint8Array): CurvePoint | null;
  /**
   * The base point times k, plus each of at most two points times its scalar; in projective coordinates. Null for the few
   * combinations that come by the identity on the way.
   */
  combine(k: bigint, terms: readonly [Term] | readonly [Term, Term]): CurvePoint | null;
}

/** A point in affine form, not the identity. Scalars are at least 0 and below the order. */
export type Term = { readonly point: CurvePoint; readonly scalar: bigint };

const { p: P } = p256.Point.CURVE();
/** P is 3 modulo 4, so this power of a square is a root of it. */
const ROOT_EXPONENT = ((P + 1n) >> 2n).toString(2);

const TERM_WIDTH = 5;
const BASE_WIDTH = 7;
/** Two halves of the scalar of the base point take half as many doublings. */
const HALF_BITS = 128;
const HALF = 1n << BigInt(HALF_BITS);

const KNOWN_SCALAR = BigInt(`0x${'c3'.repeat(32)}`);
/** The base point that many times, less three times; written out, because @noble/curves takes long to begin. */
const KNOWN_ANSWER = '0385d9135958afaab6185366c600c6e072f2c100b24b595f7675f3598f79daccc5';

/** Null where a page forbids to compile, or the runtime errs: the arithmetic in JavaScript does the same. */
export const compiledCurve: CompiledCurve | null = openCompiledCurve();

function openCompiledCurve(): CompiledCurve | null {
  try {
    const curve = curveOf(openMachine());
    return isRight(curve) ? curve : null;
  } catch {
    return null; // a runtime without WebAssembly
  }
}

function curveOf(machine: Machine): CompiledCurve {
  const scratch = Array.from({ length: 4 }, () => machine.reserve(ELEMENT_BYTES));
  const sum = machine.reserve(PROJECTIVE_BYTES);
  const base = openTable(machine, BASE_WIDTH);
  const baseUp = openTable(machine, BASE_WIDTH);
  const tables = [openTable(machine, TERM_WIDTH), openTable(machine, TERM_WIDTH)];

  writePoint(machine, base.address, BASE);
  machine.copy(baseUp.address, base.address, PROJECTIVE_BYTES);
  for (let i = 0; i < HALF_BITS; i++) machine.double(baseUp.address, baseUp.address);
  fillTable(machine, base);
  fillTable(machine, baseUp);

  return {
    decompress: (bytes) => decompress(machine, scratch, bytes),
    combine(k, terms) {
      const rows = [toRow(base, k % HALF), toRow(baseUp, k / HALF)];
      for (const [i, { point, scalar }] of terms.entries()) {
        const table = tables[i] as Table;
        writePoint(machine, table.address, point);
        fillTable(machine, table);
        rows.push(toRow(table, scalar));
      }
      addUp(machine, sum, rows);
      return readPoint(machine, sum);
    },
  };
}

/** Odd multiples of a point below 2^(width - 1), and then their inverses. */
type Table = { readonly address: number; readonly width: number; readonly multiples: number };
type Row = Table & { readonly digits: Int8Array };

function openTable({ reserve }: Machine, width: number): Table {
  const multiples = 2 ** (width - 2);
  return { address: reserve(2 * multiples * PROJECTIVE_BYTES), width, multiples };
}

/** Fills the table of the point that stands at its front. */
function fillTable(machine: Machine, { address, multiples }: Table): void {
  const inverses = address + multiples * PROJECTIVE_BYTES;
  machine.double(inverses, address);
  for (let at = address + PROJECTIVE_BYTES; at < inverses; at += PROJECTIVE_BYTES)
    machine.addPoints(at, at - PROJECTIVE_BYTES, inverses);
  machine.copy(inverses, address, multiples * PROJECTIVE_BYTES);
  for (let i = 0; i < multiples; i++) {
    const y = inverses + i * PROJECTIVE_BYTES + ELEMENT_BYTES;
    machine.negate(y, y);
  }
}

function toRow(table: Table, scalar: bigint): Row {
  return { ...table, digits: signedDigits(scalar, table.width) };
}

/**
 * All rows at once, so that they share the doublings (Straus 1964). The identity must not be doubled: it is not at the
 * beginning, and where it is later on, only zeros are left.
 */
function addUp(machine: Machine, sum: number, rows: readonly Row[]): void {
  machine.write(sum, 0n);
  machine.write(sum + ELEMENT_BYTES, 1n);
  machine.write(sum + 2 * ELEMENT_BYTES, 0n);
  let isEmpty = true;
  for (let power = Math.max(...rows.map(({ digits }) => digits.length)) - 1; power >= 0; power--) {
    if (!isEmpty) machine.double(sum, sum);
    for (const { digits, address, multiples } of rows) {
      const digit = digits[power] ?? 0;
      if (digit === 0) continue;
      const index = digit > 0 ? digit >> 1 : multiples + (-digit >> 1);
      machine.addPoints(sum, sum, address + index * PROJECTIVE_BYTES);
      isEmpty = false;
    }
  }
}

function writePoint({ write }: Machine, to: number, { x, y }: CurvePoint): void {
  write(to, x);
  write(to + ELEMENT_BYTES, y);
  write(to + 2 * ELEMENT_BYTES, 1n);
}

/** No point of P-256, and not the identity either, has an ordinate of 0. */
function readPoint({ read }: Machine, from: number): CurvePoint | null {
  const y = read(from + ELEMENT_BYTES);
  return y === 0n ? null : new p256.Point(read(from), y, read(from + 2 * ELEMENT_BYTES));
}

/** SEC 1, 2.3.4: y is a root of x^3 - 3x + b, if there is one. */
function decompress(machine: Machine, scratch: readonly number[], bytes: Uint8Array): CurvePoint | null {
  const { add, subtract, multiply, square, write, read } = machine;
  const [x, cube, root, power] = scratch as [number, number, number, number];
  const abscissa = toScalar(bytes.subarray(1));
  if (abscissa >= P) return null;
  write(x, abscissa);
  square(cube, x);
  multiply(cube, cube, x);
  for (let i = 0; i < 3; i++) subtract(cube, cube, x);
  add(cube, cube, B_ADDRESS);
  write(root, 1n);
  for (const bit of ROOT_EXPONENT) {
    square(root, root);
    if (bit === '1') multiply(root, root, cube);
  }
  square(power, root);
  if (read(power) !== read(cube)) return null;
  const y = read(root);
  const isOdd = ((bytes[0] as number) & 1) === 1;
  return new p256.Point(abscissa, ((y & 1n) === 1n) === isOdd ? y : P - y, 1n);
}

/** One known answer, so that a runtime that only looks right is never believed. */
function isRight(curve: CompiledCurve): boolean {
  const [base, answer] = [BASE.toBytes(true), fromHex(KNOWN_ANSWER)].map(curve.decompress);
  if (base == null || answer == null) return false;
  const sum = curve.combine(KNOWN_SCALAR, [{ point: base.negate(), scalar: 3n }]);
  return sum?.equals(answer) === true && curve.decompress(fromHex(`02${'ff'.repeat(32)}`)) === null;
}
