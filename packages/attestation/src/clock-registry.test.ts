import { type CborValue, decodeCbor, encodeCbor, fromHex, toHex } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ClockRegistry,
  clockDecrease,
  encodeClockRegistry,
  parseClockRegistry,
  recordClock,
  recordedClock,
} from './clock-registry.ts';
import { AttestationError } from './errors.ts';

const ak = fromHex(`000b${'11'.repeat(32)}`);
const other = fromHex(`000c${'22'.repeat(48)}`);
const clock = { clock: 1000n, resetCount: 5, restartCount: 1 };
const registry = recordClock(recordClock(new Map(), ak, clock), other, { ...clock, clock: 2n ** 63n });

test('a registry keeps the highest clock of every key, and survives its encoding [ATT-7]', () => {
  const later = recordClock(registry, ak, { ...clock, clock: 1001n });
  expect(recordedClock(later, ak)?.clock).toBe(1001n);
  expect(recordedClock(registry, ak)).toEqual(clock);
  expect(parseClockRegistry(encodeClockRegistry(later))).toEqual(later);
  const reversed: ClockRegistry = new Map([...later].reverse());
  expect(toHex(encodeClockRegistry(reversed))).toBe(toHex(encodeClockRegistry(later)));
});

describe('a registry refuses a clock that went back', () => {
  const rows = [
    [
      'a reset count below the record',
      { ...clock, resetCount: 4, clock: 9000n },
      'CLOCK_RESET_COUNT_DECREASED',
    ],
    ['a restart count below the record', { ...clock, restartCount: 0 }, 'CLOCK_RESTART_COUNT_DECREASED'],
    ['an earlier clock', { ...clock, clock: 999n }, 'CLOCK_BACKWARDS'],
  ] as const;
  test.each(rows)('%s', (_, now, reason) => {
    expect(clockDecrease(clock, now)).toBe(reason);
    expect(() => recordClock(registry, ak, now)).toThrow(
      expect.objectContaining({ code: 'CLOCK_DECREASED' }),
    );
  });

  test('but not an earlier clock after a reset', () => {
    expect(clockDecrease(clock, { clock: 0n, resetCount: 6, restartCount: 0 })).toBeNull();
  });
});

test('what was recorded never gets lower, whatever is offered', () => {
  const record = fc.record({
    clock: fc.bigInt({ min: 0n, max: 5n }),
    resetCount: fc.nat(3),
    restartCount: fc.nat(3),
  });
  fc.assert(
    fc.property(fc.array(record, { maxLength: 30 }), (offered) => {
      let state: ClockRegistry = new Map();
      for (const now of offered) {
        const before = recordedClock(state, ak);
        try {
          state = recordClock(state, ak, now);
        } catch (error) {
          expect(error).toBeInstanceOf(AttestationError);
        }
        const after = recordedClock(state, ak);
        if (before !== undefined && after !== undefined) expect(clockDecrease(before, after)).toBeNull();
      }
    }),
  );
});

describe('a registry document is refused', () => {
  const fields = decodeCbor(encodeClockRegistry(registry)) as Record<string, CborValue>;
  const clocks = fields.clocks as readonly CborValue[];
  const rows: readonly (readonly [string, Record<string, CborValue>])[] = [
    ['of another version', { version: 2 }],
    ['with a key too many', { note: '' }],
    ['out of order', { clocks: [...clocks].reverse() }],
    ['with a key twice', { clocks: [clocks[0] as CborValue, clocks[0] as CborValue] }],
    ['with a name that is none', { clocks: [{ ...clock, akName: '000b11' }] }],
    ['with a count that is negative', { clocks: [{ ...clock, akName: toHex(ak), resetCount: -1 }] }],
  ];
  test.each(rows)('%s', (_, change) => {
    expect(() => parseClockRegistry(encodeCbor({ ...fields, ...change }))).toThrow(
      expect.objectContaining({ code: 'CLOCK_REGISTRY_INVALID' }),
    );
  });
});
