import { concatBytes, fromHex } from '@nemea/core';
import { TpmError } from '../errors.ts';
import { CURVE, curveBytes } from './algorithms.ts';
import { leftPad } from './buffer.ts';
import type { AnyPublicArea, EccPublicArea, RsaPublicArea } from './public-area.ts';

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
// AlgorithmIdentifier of RFC 5480 (id-ecPublicKey with a named curve) and RFC 3279 (rsaEncryption).
const ALGORITHM_P256 = fromHex('301306072a8648ce3d020106082a8648ce3d030107');
const ALGORITHM_P384 = fromHex('301006072a8648ce3d020106052b81040022');
const ALGORITHM_P521 = fromHex('301006072a8648ce3d020106052b81040023');
const ALGORITHM_RSA = fromHex('300d06092a864886f70d0101010500');

/** Uncompressed point 04 || x || y, coordinates left-padded to the curve's size. Throws `TPM_STRUCTURE_INVALID`. */
export function eccPoint(area: EccPublicArea): Uint8Array {
  if (area.x.length === 0 || area.y.length === 0) {
    throw template();
  }
  const bytes = curveBytes(area.curve);
  return concatBytes(Uint8Array.of(4), leftPad(area.x, bytes), leftPad(area.y, bytes));
}

/** Compressed point (SEC 1, 2.3.3): 02 or 03, then x. */
export function compressedPoint(area: EccPublicArea): Uint8Array {
  const bytes = curveBytes(area.curve);
  const point = eccPoint(area);
  const parity = (point[2 * bytes] as number) & 1;
  return concatBytes(Uint8Array.of(2 + parity), point.subarray(1, 1 + bytes));
}

/** DER SubjectPublicKeyInfo, comparable byte for byte with a certificate's. Throws `TPM_STRUCTURE_UNSUPPORTED`. */
export function toSpki(area: AnyPublicArea): Uint8Array {
  if (area.type === 'ecc') {
    return der(SEQUENCE, algorithmOf(area.curve), der(BIT_STRING, Uint8Array.of(0), eccPoint(area)));
  }
  if (area.type === 'rsa') {
    return der(SEQUENCE, ALGORITHM_RSA, der(BIT_STRING, Uint8Array.of(0), rsaPublicKey(area)));
  }
  throw new TpmError('TPM_STRUCTURE_UNSUPPORTED', `no public key of a ${area.type} object`);
}

function algorithmOf(curve: number): Uint8Array {
  if (curve === CURVE.p256) return ALGORITHM_P256;
  if (curve === CURVE.p384) return ALGORITHM_P384;
  if (curve === CURVE.p521) return ALGORITHM_P521;
  throw new TpmError('TPM_STRUCTURE_UNSUPPORTED', `curve: got 0x${curve.toString(16)}`, { data: { curve } });
}

function rsaPublicKey(area: RsaPublicArea): Uint8Array {
  if (area.modulus.every((byte) => byte === 0)) throw template();
  const exponent = area.exponent === 0 ? 65537 : area.exponent;
  const exponentBytes = new Uint8Array(4);
  new DataView(exponentBytes.buffer).setUint32(0, exponent);
  return der(SEQUENCE, derInteger(area.modulus), derInteger(exponentBytes));
}

function derInteger(value: Uint8Array): Uint8Array {
  let start = 0;
  while (start < value.length - 1 && value[start] === 0) start++;
  const digits = value.subarray(start);
  const sign = (digits[0] ?? 0) & 0x80 ? Uint8Array.of(0) : new Uint8Array(0);
  return der(INTEGER, sign, digits);
}

function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(...contents);
  const size = body.length;
  if (size < 0x80) return concatBytes(Uint8Array.of(tag, size), body);
  if (size < 0x100) return concatBytes(Uint8Array.of(tag, 0x81, size), body);
  return concatBytes(Uint8Array.of(tag, 0x82, size >> 8, size & 0xff), body);
}

function template(): TpmError {
  return new TpmError('TPM_STRUCTURE_INVALID', 'public area holds no key: it is a template');
}
