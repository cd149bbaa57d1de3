import { fromHex, sha256, toHex } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { compareDraws, drawAlpha, isDrawn, VrfError } from './index.ts';

const beta = (hex: string) => fromHex(hex.padEnd(64, '0'));
const LOWEST = beta('');
const HALF = beta('80');
const HIGHEST = fromHex('ff'.repeat(32));

describe('isDrawn', () => {
  test('compares exactly at the boundary: beta * W < k * w * 2^256', () => {
    const odds = { weight: 1, weightTotal: 2, expected: 1 };
    expect(isDrawn({ ...odds, beta: fromHex(`7f${'ff'.repeat(31)}`) })).toBe(true);
    expect(isDrawn({ ...odds, beta: HALF })).toBe(false);
  });

  test('draws everybody when as many are expected as there is weight', () => {
    expect(isDrawn({ beta: HIGHEST, weight: 1, weightTotal: 5, expected: 5 })).toBe(true);
  });

  test('never draws a member without weight, nor anybody when nobody is expected', () => {
    expect(isDrawn({ beta: LOWEST, weight: 0, weightTotal: 5, expected: 5 })).toBe(false);
    expect(isDrawn({ beta: LOWEST, weight: 5, weightTotal: 5, expected: 0 })).toBe(false);
  });

  test('draws about the expected number over many outputs', () => {
    let drawn = 0;
    for (let i = 0; i < 1000; i++) {
      const output = sha256(Uint8Array.of(i >> 8, i & 255));
      if (isDrawn({ beta: output, weight: 1, weightTotal: 1000, expected: 100 })) drawn++;
    }
    expect(drawn).toBeGreaterThan(70);
    expect(drawn).toBeLessThan(130);
  });

  test('refuses numbers that are no weights', () => {
    const bad = [
      { weight: -1, weightTotal: 5, expected: 1 },
      { weight: 0.5, weightTotal: 5, expected: 1 },
      { weight: 6, weightTotal: 5, expected: 1 },
      { weight: 1, weightTotal: Number.NaN, expected: 1 },
      { weight: 1, weightTotal: 5, expected: 2 ** 60 },
    ];
    for (const odds of bad) expect(() => isDrawn({ beta: HALF, ...odds })).toThrow(VrfError);
    expect(() => isDrawn({ beta: new Uint8Array(31), weight: 1, weightTotal: 1, expected: 1 })).toThrow(
      VrfError,
    );
  });
});

describe('compareDraws [DRAW-5]', () => {
  test('puts the lower quotient of output and weight first', () => {
    expect(compareDraws({ beta: beta('10'), weight: 1 }, { beta: beta('20'), weight: 1 })).toBeLessThan(0);
    expect(compareDraws({ beta: beta('10'), weight: 1 }, { beta: beta('20'), weight: 3 })).toBeGreaterThan(0);
  });

  test('breaks a tie of quotients by the bytes of the output', () => {
    expect(compareDraws({ beta: beta('10'), weight: 1 }, { beta: beta('20'), weight: 2 })).toBeLessThan(0);
  });

  test('puts a draw without weight last', () => {
    expect(compareDraws({ beta: LOWEST, weight: 0 }, { beta: HIGHEST, weight: 1 })).toBeGreaterThan(0);
    expect(compareDraws({ beta: HIGHEST, weight: 1 }, { beta: LOWEST, weight: 0 })).toBeLessThan(0);
  });
});

describe('drawAlpha [DRAW-1]', () => {
  const input = {
    networkId: new Uint8Array(32).fill(1),
    epochSeed: new Uint8Array(32).fill(2),
    role: 'attestor',
    target: Uint8Array.of(3),
  };

  test('is frozen by a vector of its own', () => {
    expect(toHex(drawAlpha(input))).toBe('f75fd8218f0344b58c7e1477490689bcc61dc54bccd2efcb751472f7ec5c94f4');
  });

  test('differs in every field', () => {
    const others = [
      { ...input, networkId: new Uint8Array(32) },
      { ...input, epochSeed: new Uint8Array(32) },
      { ...input, role: 'judge' },
      { ...input, target: Uint8Array.of(4) },
    ];
    const alphas = [input, ...others].map((fields) => toHex(drawAlpha(fields)));
    expect(new Set(alphas).size).toBe(5);
  });

  test('refuses a network id that is not 32 bytes', () => {
    expect(() => drawAlpha({ ...input, networkId: new Uint8Array(31) })).toThrow(VrfError);
  });
});
