import { compareBytes, fromUtf8, hashDomain } from '@nemea/core';
import { toScalar } from './curve.ts';
import { VrfError } from './errors.ts';

const OUTPUT_BYTES = 32;
const OUTPUT_BITS = 256;
const ID_BYTES = 32;

/** A VRF output and the weight of its owner in the draw. */
export type Draw = { readonly beta: Uint8Array; readonly weight: number };

/**
 * What a node feeds its VRF: who draws follows from the key, for what from here. Always 32 bytes, because a TPM
 * accepts at most 91 [DRAW-1].
 */
export function drawAlpha(input: {
  networkId: Uint8Array;
  epochSeed: Uint8Array;
  role: string;
  target: Uint8Array;
}): Uint8Array {
  const { networkId, epochSeed, role, target } = input;
  assertBytes(networkId, ID_BYTES, 'network id');
  return hashDomain('nemea/draw/1', networkId, epochSeed, fromUtf8(role), target);
}

/** A member's share of a draw: how much it weighs among all, and how many are expected to be drawn. */
export interface Odds {
  readonly weight: number;
  readonly weightTotal: number;
  readonly expected: number;
}

/**
 * The least output that is not drawn: expected * weight * 2^bits / weightTotal, rounded up. An integer x lies below it just
 * when x * weightTotal < expected * weight * 2^bits, so nothing is lost by the rounding [DRAW-2].
 */
export function drawBound({ weight, weightTotal, expected }: Odds, bits = OUTPUT_BITS): bigint {
  assertCount(expected, 'expected size');
  assertCount(weightTotal, 'total weight');
  if (assertCount(weight, 'weight') > weightTotal) {
    throw new VrfError('VRF_DRAW_INVALID', `weight: got ${weight}, want at most the total ${weightTotal}`);
  }
  if (weightTotal === 0) return 0n;
  const total = BigInt(weightTotal);
  return (((BigInt(expected) * BigInt(weight)) << BigInt(bits)) + total - 1n) / total;
}

/** True when beta * weightTotal < expected * weight * 2^256: on average `expected` members are drawn [DRAW-2]. */
export function isDrawn({ beta, ...odds }: Odds & { readonly beta: Uint8Array }): boolean {
  return parseOutput(beta) < drawBound(odds);
}

/**
 * Orders draws by beta / weight, the lowest first, by cross multiplication; a draw without weight comes last.
 * Equal quotients are ordered by the bytes of beta, so that the order is total over distinct outputs [DRAW-5].
 */
export function compareDraws(a: Draw, b: Draw): number {
  const weightA = BigInt(assertCount(a.weight, 'weight'));
  const weightB = BigInt(assertCount(b.weight, 'weight'));
  if (weightA === 0n || weightB === 0n) {
    if (weightA !== weightB) return weightA === 0n ? 1 : -1;
    return compareBytes(a.beta, b.beta);
  }
  const left = parseOutput(a.beta) * weightB;
  const right = parseOutput(b.beta) * weightA;
  if (left !== right) return left < right ? -1 : 1;
  return compareBytes(a.beta, b.beta);
}

/** A VRF output as the integer that draws compare. Throws `VRF_DRAW_INVALID` unless it has 32 bytes. */
export function parseOutput(beta: Uint8Array): bigint {
  assertBytes(beta, OUTPUT_BYTES, 'beta');
  return toScalar(beta);
}

function assertBytes(bytes: Uint8Array, want: number, name: string): void {
  if (bytes.length !== want) {
    throw new VrfError('VRF_DRAW_INVALID', `${name}: got ${bytes.length} bytes, want ${want}`);
  }
}

function assertCount(value: number, name: string): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new VrfError('VRF_DRAW_INVALID', `${name}: got ${value}, want a non-negative integer`);
  }
  return value;
}
