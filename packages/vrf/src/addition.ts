import { addAddress, address, type Code, call, get, type WasmFunction } from './assembler.ts';
import { ELEMENT_BYTES, fieldFunctions } from './field.ts';

/**
 * Points of P-256 in projective coordinates, three elements one after the other: (X : Y : Z) is (X / Z, Y / Z), and
 * (0 : Y : 0) the identity. Sums in the formulas stay far below what an element may be.
 */
export const PROJECTIVE_BYTES = 3 * ELEMENT_BYTES;

/** Complete: holds for equal points, opposite ones and the identity (Renes, Costello and Batina 2016, algorithm 4). */
const ADD = `
  t0 = X1 * X2; t1 = Y1 * Y2; t2 = Z1 * Z2
  t3 = X1 + Y1; t4 = X2 + Y2; t3 = t3 * t4; t4 = t0 + t1; t3 = t3 - t4
  t4 = Y1 + Z1; x = Y2 + Z2; t4 = t4 * x; x = t1 + t2; t4 = t4 - x
  x = X1 + Z1; y = X2 + Z2; x = x * y; y = t0 + t2; y = x - y
  z = b * t2; x = y - z; z = x + x; x = x + z; z = t1 - x; x = t1 + x
  y = b * y; t1 = t2 + t2; t2 = t1 + t2; y = y - t2; y = y - t0; t1 = y + y; y = t1 + y
  t1 = t0 + t0; t0 = t1 + t0; t0 = t0 - t2; t1 = t4 * y; t2 = t0 * y
  y = x * z; Y3 = y + t2; x = t3 * x; X3 = x - t1; z = t4 * z; t1 = t3 * t0; Z3 = z + t1`;

/** Holds for all points but the identity, of which it makes (0 : 0 : 0) (Bernstein and Lange 2007, dbl-2007-bl-2). */
const DOUBLE = `
  t0 = X1 - Z1; t1 = X1 + Z1; t0 = t0 * t1; w = t0 + t0; w = w + t0
  s = Y1 * Z1; s = s + s; t0 = Y1 * s; t1 = X1 * t0; t1 = t1 + t1; t0 = t0 * t0; t0 = t0 + t0
  h = w * w; h = h - t1; h = h - t1; t1 = t1 - h; t1 = t1 * w; Y3 = t1 - t0
  X3 = h * s; t0 = s * s; Z3 = t0 * s`;

/** Where the constant b of the curve is expected; the variables of the formulas follow it. */
export const B_ADDRESS = 0;
const VARIABLES = ['b', 't0', 't1', 't2', 't3', 't4', 'x', 'y', 'z', 'w', 's', 'h'];
export const FREE_ADDRESS = VARIABLES.length * ELEMENT_BYTES;

/** In the order of the functions of the field. */
const OPERATIONS = ['+', '-', '*'];
const SQUARE = 3;

/** The functions of the field, and `addPoints` and `double` by addresses: the result may take the place of an operand. */
export const curveFunctions: readonly WasmFunction[] = [
  ...fieldFunctions,
  { name: 'addPoints', locals: 0, body: compile(ADD) },
  { name: 'double', locals: 0, body: compile(DOUBLE) },
];

function compile(formula: string): Code {
  return formula.split(/[;\n]/).flatMap((step) => {
    const [to, , left, operation, right] = step.trim().split(' ');
    if (operation === undefined) return [];
    const operands = [to, left, right].flatMap((name) => place(name as string));
    const isSquare = operation === '*' && left === right;
    return [...operands, ...call(isSquare ? SQUARE : OPERATIONS.indexOf(operation))];
  });
}

/** A variable, or a coordinate of the point at an address: X1 to Z2 of the operands, X3 to Z3 of the result. */
function place(name: string): Code {
  const variable = VARIABLES.indexOf(name);
  if (variable !== -1) return address(variable * ELEMENT_BYTES);
  const point = Number(name.charAt(1)) % 3;
  return [...get(point), ...address('XYZ'.indexOf(name.charAt(0)) * ELEMENT_BYTES), ...addAddress];
}
