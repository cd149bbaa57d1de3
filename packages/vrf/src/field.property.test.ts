import { p256 } from '@noble/curves/nist.js';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { assemble } from './assembler.ts';
import { ELEMENT_BYTES, fieldFunctions, LIMB_BITS, LIMBS, RADIX_BITS } from './field.ts';

const { p: P } = p256.Point.CURVE();
const INVERSE_OF_R = p256.Point.Fp.inv((1n << BigInt(RADIX_BITS)) % P);
const BOUND = P << 10n;

const { exports } = new WebAssembly.Instance(new WebAssembly.Module(assemble(fieldFunctions)));
type Operation = (to: number, left: number, right: number) => void;
const { memory, ...run } = exports as { memory: WebAssembly.Memory } & Record<string, Operation>;
const limbs = new Int32Array(memory.buffer);
const [FIRST, SECOND, RESULT] = [0, ELEMENT_BYTES, 2 * ELEMENT_BYTES];

/** Numbers whose limbs are full, empty or neither, of either sign. */
const limb = fc.oneof(fc.constantFrom(0n, 1n, 2n ** 28n - 1n), fc.bigInt({ min: 0n, max: 2n ** 28n - 1n }));
const element = fc
  .tuple(
    fc.array(limb, { minLength: LIMBS - 1, maxLength: LIMBS - 1 }),
    fc.integer({ min: -16384, max: 16383 }),
  )
  .map(([low, top]) => low.reduce((sum, it, i) => sum + (it << BigInt(LIMB_BITS * i)), BigInt(top) << 252n))
  .filter((value) => value > -BOUND && value < BOUND);

function write(to: number, value: bigint): void {
  for (let i = 0; i < LIMBS; i++) {
    const rest = value >> BigInt(LIMB_BITS * i);
    limbs[to / 4 + i] = Number(i === LIMBS - 1 ? rest : BigInt.asUintN(LIMB_BITS, rest));
  }
}

function read(from: number): bigint {
  let value = 0n;
  for (let i = LIMBS - 1; i >= 0; i--)
    value = (value << BigInt(LIMB_BITS)) + BigInt(limbs[from / 4 + i] as number);
  return value;
}

function result(name: string, a: bigint, b: bigint, to = RESULT): bigint {
  write(FIRST, a);
  write(SECOND, b);
  run[name]?.(to, FIRST, SECOND);
  return read(to);
}

const modP = (value: bigint): bigint => ((value % P) + P) % P;

test('products and squares are those of big integers, and small, wherever the elements lie', () => {
  fc.assert(
    fc.property(element, element, (a, b) => {
      const [product, square] = [result('multiply', a, b), result('square', a, b)];
      expect(modP(product)).toBe(modP(a * b * INVERSE_OF_R));
      expect(modP(square)).toBe(modP(a * a * INVERSE_OF_R));
      for (const it of [product, square]) expect(-P < 16n * it && 16n * it < 17n * P).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test('sums and differences are exact', () => {
  fc.assert(
    fc.property(element, element, (a, b) => {
      expect(result('add', a, b)).toBe(a + b);
      expect(result('subtract', a, b)).toBe(a - b);
    }),
    { numRuns: 1_000 },
  );
});

test('a result may take the place of an operand, and an operand be used twice', () => {
  fc.assert(
    fc.property(element, element, (a, b) => {
      for (const name of ['add', 'subtract', 'multiply', 'square']) {
        const want = result(name, a, b);
        for (const to of [FIRST, SECOND]) expect(result(name, a, b, to), name).toBe(want);
      }
      write(FIRST, a);
      run.multiply?.(FIRST, FIRST, FIRST);
      expect(read(FIRST)).toBe(result('square', a, a));
    }),
  );
});
