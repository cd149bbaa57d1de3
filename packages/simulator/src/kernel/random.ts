import { fromUtf8, hashDomain } from '@nemea/core';

/** Seeded randomness: the same seed and name give the same numbers, whoever else draws meanwhile. */
export interface SeededRandom {
  /** At least 0, below 1. */
  fraction(): number;
  /** An integer from `min` to `max`, both included. */
  integer(min: number, max: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
  bytes(length: number): Uint8Array;
  /** A stream of its own: what one part of a world draws does not shift what another draws. */
  fork(name: string): SeededRandom;
}

export function seededRandom(seed: string): SeededRandom {
  const digest = hashDomain('nemea/simulator/1', fromUtf8(seed));
  const view = new DataView(digest.buffer, digest.byteOffset);
  const next = xoshiro128([view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12) | 1]);
  const fraction = (): number => next() / 2 ** 32;
  const integer = (min: number, max: number): number => min + Math.floor(fraction() * (max - min + 1));
  return {
    fraction,
    integer,
    chance: (probability) => fraction() < probability,
    pick: <T>(items: readonly T[]): T => items[integer(0, items.length - 1)] as T,
    bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff),
    fork: (name) => seededRandom(`${seed}/${name}`),
  };
}

/** xoshiro128** 1.1 of Blackman and Vigna. */
function xoshiro128([a, b, c, d]: [number, number, number, number]): () => number {
  let [s0, s1, s2, s3] = [a, b, c, d];
  const rotate = (x: number, k: number): number => (x << k) | (x >>> (32 - k));
  return () => {
    const result = Math.imul(rotate(Math.imul(s1, 5), 7), 9) >>> 0;
    const t = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= t;
    s3 = rotate(s3, 11);
    return result;
  };
}
