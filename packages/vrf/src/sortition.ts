import { compareBytes, fromUtf8, hashDomain } from '@nemea/core';
import { toScalar } from './curve.ts';
import { VrfError } from './errors.ts';

const OUTPUT_BYTES = 32;
const OUTPUT_SPACE = 1n << 256n;
const ID_BYTES = 32;

/** A VRF output and the weight of its owner in the draw. */
export type Draw = { readonly beta: Uint8Array; readonly weight: number };

/**
 * What a node feeds its VRF: who draws follows from the key, for what from here. Always 32 bytes, because a TPM
 * accepts at most 91.
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

/** True when beta * weightTotal < expected * weight * 2^256: on average `expected` members are drawn. */
export function isDrawn(input: Draw & { readonly weightTotal: number; readonly expected: number }): boolean {
  const { weight, weightTotal, expected } = input;
  assertCount(expected, 'expected size');
  assertCount(weightTotal, 'total weight');
  if (assertCount(weight, 'weight') > weightTotal) {
    throw new VrfError('VRF_DRAW_INVALID', `weight: got ${weight}, want at most the total ${weightTotal}`);
  }
  return parseOutput(input.beta) * BigInt(weightTotal) < BigInt(expected) * BigInt(weight) * OUTPUT_SPACE;
}

/**
 * Orders draws by beta / weight, the lowest first, by cross multiplication; a draw without weight comes last.
 * Equal quotients are ordered by the bytes of beta, so that the order is total over distinct outputs.
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

function parseOutput(beta: Uint8Array): bigint {
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
