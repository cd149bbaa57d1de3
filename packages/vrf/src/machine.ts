import { p256 } from '@noble/curves/nist.js';
import { B_ADDRESS, curveFunctions, FREE_ADDRESS } from './addition.ts';
import { assemble } from './assembler.ts';
import { ELEMENT_BYTES, LIMB_BITS, LIMBS, RADIX_BITS } from './field.ts';

type Operation = (to: number, left: number, right: number) => void;

/** The compiled arithmetic, and the memory of elements and points that it works on, by address. */
export interface Machine extends Record<'add' | 'subtract' | 'multiply' | 'addPoints', Operation> {
  negate(to: number, of: number): void;
  square(to: number, of: number): void;
  double(to: number, of: number): void;
  /** The address of memory that nothing else uses, filled with zeros. */
  reserve(bytes: number): number;
  /** `from` and `bytes` are multiples of four. */
  copy(to: number, from: number, bytes: number): void;
  /** An element from a number from 0 to 2^256 - 1, and the number from 0 to p - 1 that an element stands for. */
  write(to: number, value: bigint): void;
  read(from: number): bigint;
}

type Exports = Record<'add' | 'subtract' | 'multiply' | 'square' | 'addPoints' | 'double', Operation> & {
  readonly memory: WebAssembly.Memory;
};

const { b: B, p: P } = p256.Point.CURVE();
const R = 1n << BigInt(RADIX_BITS);
const LIMB_SHIFT = BigInt(LIMB_BITS);
const LIMB_MASK = (1n << LIMB_SHIFT) - 1n;

/** Throws where a runtime does not compile WebAssembly, or is not allowed to. */
export function openMachine(): Machine {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(assemble(curveFunctions)));
  const { memory, ...compiled } = exports as Exports;
  const limbs = new Int32Array(memory.buffer);
  let free = FREE_ADDRESS;
  const reserve = (bytes: number): number => {
    free += bytes;
    return free - bytes;
  };
  const element = (): number => reserve(ELEMENT_BYTES);
  const writeLimbs = (to: number, value: bigint): void => {
    for (let i = 0, rest = value; i < LIMBS; i++, rest >>= LIMB_SHIFT)
      limbs[to / 4 + i] = Number(rest & LIMB_MASK);
  };
  const [zero, one, radixSquare, plain] = [element(), element(), element(), element()];
  writeLimbs(one, 1n);
  writeLimbs(radixSquare, (R * R) % P);
  const machine: Machine = {
    ...compiled,
    negate: (to, of) => compiled.subtract(to, zero, of),
    square: (to, of) => compiled.square(to, of, of),
    double: (to, of) => compiled.double(to, of, of),
    reserve,
    copy: (to, from, bytes) => void limbs.copyWithin(to / 4, from / 4, (from + bytes) / 4),
    write(to, value) {
      writeLimbs(to, value);
      compiled.multiply(to, to, radixSquare);
    },
    read(from) {
      compiled.multiply(plain, from, one);
      let value = 0n;
      for (let i = LIMBS - 1; i >= 0; i--)
        value = (value << LIMB_SHIFT) + BigInt(limbs[plain / 4 + i] as number);
      return ((value % P) + P) % P;
    },
  };
  machine.write(B_ADDRESS, B);
  return machine;
}
