import {
  boundedInteger,
  boundedList,
  boundedText,
  type DocumentCodec,
  defineDocument,
  toHex,
  unsigned64,
} from '@nemea/core';
import { z } from 'zod';
import type { ClockRecord } from './appraisal.ts';
import { AttestationError } from './errors.ts';

/**
 * The highest clock seen from each attestation key, by the key's TPM name in hex. A clone or a rolled-back TPM shows as
 * a decrease; one that its host advances past the record does not [ATT-7].
 */
export type ClockRegistry = ReadonlyMap<string, ClockRecord>;

/** The most keys that a registry remembers. */
export const CLOCK_REGISTRY_KEYS_MAX = 65_536;
const REGISTRY_BYTES_MAX = 16 << 20;
const NAME_HEX = /^(?:000b[0-9a-f]{64}|000c[0-9a-f]{96})$/;

const registrySchema = z.strictObject({
  version: z.literal(1),
  clocks: boundedList(
    z.strictObject({
      akName: boundedText(100).refine((name) => NAME_HEX.test(name), 'want a TPM name in hex'),
      clock: unsigned64(),
      resetCount: boundedInteger(0xffffffff),
      restartCount: boundedInteger(0xffffffff),
    }),
    CLOCK_REGISTRY_KEYS_MAX,
  ).refine(isAscending, 'want each name once, in ascending order'),
});

const codec: DocumentCodec<z.infer<typeof registrySchema>> = defineDocument({
  name: 'clock registry',
  schema: registrySchema,
  bytesMax: REGISTRY_BYTES_MAX,
  invalid: (message, cause) => new AttestationError('CLOCK_REGISTRY_INVALID', message, { cause }),
});

/** Throws `CLOCK_REGISTRY_INVALID`. */
export function parseClockRegistry(bytes: Uint8Array): ClockRegistry {
  return new Map(codec.parse(bytes).clocks.map(({ akName, ...clock }) => [akName, clock]));
}

/** Canonical dag-cbor: equal registries have equal bytes. */
export function encodeClockRegistry(registry: ClockRegistry): Uint8Array {
  const clocks = [...registry]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([akName, { clock, resetCount, restartCount }]) => ({ akName, clock, resetCount, restartCount }));
  return codec.encode({ version: 1, clocks });
}

/** What to give `appraise` as `clockBefore`. */
export function recordedClock(registry: ClockRegistry, akName: Uint8Array): ClockRecord | undefined {
  return registry.get(toHex(akName));
}

/**
 * The registry with a clock that an authentic quote showed. Throws `CLOCK_DECREASED` for one behind the record, which
 * `appraise` would have refused, and `CLOCK_REGISTRY_FULL`.
 */
export function recordClock(registry: ClockRegistry, akName: Uint8Array, clock: ClockRecord): ClockRegistry {
  const name = toHex(akName);
  const before = registry.get(name);
  if (before !== undefined && clockDecrease(before, clock) !== null) {
    throw new AttestationError(
      'CLOCK_DECREASED',
      `got ${describe(clock)}, want at least ${describe(before)}`,
    );
  }
  if (before === undefined && registry.size >= CLOCK_REGISTRY_KEYS_MAX) {
    throw new AttestationError('CLOCK_REGISTRY_FULL', `got ${CLOCK_REGISTRY_KEYS_MAX} keys already`);
  }
  const { resetCount, restartCount } = clock;
  return new Map([...registry, [name, { clock: clock.clock, resetCount, restartCount }]]);
}

/** Which of a TPM's counters went back, or null: resetCount, then restartCount and clock within one reset [ATT-7]. */
export function clockDecrease(
  before: ClockRecord,
  now: ClockRecord,
): 'CLOCK_RESET_COUNT_DECREASED' | 'CLOCK_RESTART_COUNT_DECREASED' | 'CLOCK_BACKWARDS' | null {
  if (now.resetCount !== before.resetCount) {
    return now.resetCount < before.resetCount ? 'CLOCK_RESET_COUNT_DECREASED' : null;
  }
  if (now.restartCount < before.restartCount) return 'CLOCK_RESTART_COUNT_DECREASED';
  return now.clock < before.clock ? 'CLOCK_BACKWARDS' : null;
}

function describe({ resetCount, restartCount, clock }: ClockRecord): string {
  return `reset ${resetCount}, restart ${restartCount}, ${clock} ms`;
}

function isAscending(clocks: readonly { readonly akName: string }[]): boolean {
  return clocks.every((entry, i) => i === 0 || (clocks[i - 1]?.akName ?? '') < entry.akName);
}
