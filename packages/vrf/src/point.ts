import { toHex } from '@nemea/core';
import { p256 } from '@noble/curves/nist.js';
import { compiledCurve } from './compiled.ts';
import { type CurvePoint, POINT_BYTES } from './curve.ts';
import { VrfError, type VrfErrorCode } from './errors.ts';

/** A point from its compressed form, the only one accepted: the identity and points off the curve have none. */
export function parsePoint(bytes: Uint8Array, code: VrfErrorCode, name: string): CurvePoint {
  const head = bytes[0];
  if (bytes.length !== POINT_BYTES || (head !== 0x02 && head !== 0x03)) {
    throw new VrfError(code, `${name}: got ${bytes.length} bytes, want ${POINT_BYTES} of a compressed point`);
  }
  const point = decompress(bytes);
  if (point === null) throw new VrfError(code, `${name}: not a point of P-256`);
  return point;
}

const KEYS_REMEMBERED_MAX = 1024;
const knownKeys = new Map<string, CurvePoint>();

/** A public key's point. The keys of a network's members come again and again, so their points are remembered. */
export function parsePublicKey(bytes: Uint8Array): CurvePoint {
  const id = toHex(bytes.subarray(0, POINT_BYTES + 1));
  const known = knownKeys.get(id);
  if (known !== undefined) return known;
  const point = parsePoint(bytes, 'VRF_PUBLIC_KEY_INVALID', 'public key');
  if (knownKeys.size >= KEYS_REMEMBERED_MAX) knownKeys.clear();
  knownKeys.set(id, point);
  return point;
}

/** The point of a compressed form of 33 bytes; null when it is none. */
export function decompress(bytes: Uint8Array): CurvePoint | null {
  return compiledCurve === null ? decompressPortable(bytes) : compiledCurve.decompress(bytes);
}

export function decompressPortable(bytes: Uint8Array): CurvePoint | null {
  try {
    return p256.Point.fromBytes(bytes);
  } catch {
    return null; // the library reports a point off the curve only by throwing
  }
}
