import { toHex } from '@nemea/core';
import type { WeierstrassPoint } from '@noble/curves/abstract/weierstrass.js';
import { p256 } from '@noble/curves/nist.js';

export type CurvePoint = WeierstrassPoint<bigint>;

/** The order of P-256. Its cofactor is 1, so a point on the curve that is not the identity generates the group. */
export const ORDER = p256.Point.Fn.ORDER;
export const BASE = p256.Point.BASE;
export const POINT_BYTES = 33;
export const SCALAR_BYTES = 32;

/** RFC 9381 section 5.5: the suite byte of ECVRF-P256-SHA256-TAI, inside every hash of this construction. */
export const SUITE = Uint8Array.of(0x01);
export const HASH_TO_CURVE_FRONT = Uint8Array.of(0x01);
export const CHALLENGE_FRONT = Uint8Array.of(0x02);
export const PROOF_TO_HASH_FRONT = Uint8Array.of(0x03);
export const BACK = Uint8Array.of(0x00);

export function toScalar(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${toHex(bytes)}`);
}

export function fromScalar(value: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let rest = value;
  for (let i = length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}
