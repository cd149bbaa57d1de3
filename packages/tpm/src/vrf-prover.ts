import { ECDH } from 'node:crypto';
import { type ByteReader, ByteWriter, concatBytes, fromHex, sha256 } from '@nemea/core';
import { HANDLE } from './command.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import type { TpmKey } from './object.ts';
import { ALG } from './structures/algorithms.ts';
import { invalid, leftPad, parseWhole, readSized, writeSized } from './structures/buffer.ts';
import { parsePublicArea } from './structures/public-area.ts';
import { compressedPoint } from './structures/public-key.ts';
import { parseSignature } from './structures/signature.ts';

/** `proof` = suite byte 02 || Gamma || U || V || k || s. Only `beta` is unique for an input: never hash the proof. */
export interface VrfProof {
  readonly beta: Uint8Array;
  readonly proof: Uint8Array;
}

interface Point {
  readonly x: Uint8Array;
  readonly y: Uint8Array;
}

/** A point before it is known: the TPM hashes `s2` into its x coordinate (TPM2_Commit). */
interface HashedPoint {
  readonly s2: Uint8Array;
  readonly point: Point;
}

const SUITE_TPM = Uint8Array.of(0x02);
// suite_string of ECVRF-P256-SHA256-TAI (RFC 9381, 5.5) and the domain separators of 5.4.1.1, 5.4.3 and 5.2.
const SUITE_P256_TAI = 0x01;
const ENCODE_TO_CURVE = Uint8Array.of(SUITE_P256_TAI, 0x01);
const CHALLENGE = Uint8Array.of(SUITE_P256_TAI, 0x02);
const PROOF_TO_HASH = Uint8Array.of(SUITE_P256_TAI, 0x03);
const DOMAIN_BACK = Uint8Array.of(0x00);
const ALPHA_BYTES_MAX = 91;
const COORDINATE_BYTES = 32;
const COUNTER_MAX = 255;
const SIGNATURES_MAX = 16;
const BASE_POINT: Point = {
  x: fromHex('6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296'),
  y: fromHex('4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5'),
};

/**
 * Proves the RFC 9381 output of an ECDAA P-256 key that never leaves the TPM: TPM2_Commit gives Gamma = x*H and two
 * commitments, TPM2_Sign proves with them that Gamma and the public key share x. Call it inside one `Tpm.exclusive`:
 * commit counters are single use. `alpha` is at most 91 bytes, because TPM2_Commit takes 128 with what surrounds it.
 */
export async function proveVrf(io: TpmIo, key: TpmKey, alpha: Uint8Array): Promise<VrfProof> {
  if (alpha.length > ALPHA_BYTES_MAX) {
    throw new TpmError(
      'TPM_ARGUMENT_INVALID',
      `vrf alpha: got ${alpha.length} bytes, want at most ${ALPHA_BYTES_MAX}`,
    );
  }
  const publicKey = publicKeyOf(key);
  const hashed = hashToCurve(publicKey, alpha);
  for (let attempt = 0; attempt < SIGNATURES_MAX; attempt++) {
    const { gamma, u, v, counter } = await commit(io, key, hashed);
    const digest = sha256(CHALLENGE, publicKey, compress(hashed.point), gamma, u, v, DOMAIN_BACK);
    const { k, s } = await sign(io, key, digest, counter);
    // The TPM strips leading zeros of k and hashes what is left; the format has room for 32 bytes only, so try again.
    if (k.length !== COORDINATE_BYTES || k[0] === 0) continue;
    const beta = sha256(PROOF_TO_HASH, gamma, DOMAIN_BACK);
    return { beta, proof: concatBytes(SUITE_TPM, gamma, u, v, k, s) };
  }
  throw new TpmError(
    'TPM_RETRIES_EXHAUSTED',
    `vrf: no signature with a 32-byte k in ${SIGNATURES_MAX} attempts`,
  );
}

function publicKeyOf(key: TpmKey): Uint8Array {
  const area = parsePublicArea(key.publicArea);
  if (area.type !== 'ecc' || area.scheme?.scheme !== 'ecdaa') {
    throw new TpmError('TPM_ARGUMENT_INVALID', 'vrf key: want an ecdaa key on p-256');
  }
  return compressedPoint(area);
}

/** RFC 9381, 5.4.1.1 (try and increment): the first counter whose hash is the x of a point; y is the even one. */
function hashToCurve(publicKey: Uint8Array, alpha: Uint8Array): HashedPoint {
  for (let counter = 0; counter <= COUNTER_MAX; counter++) {
    const s2 = concatBytes(ENCODE_TO_CURVE, publicKey, alpha, Uint8Array.of(counter), DOMAIN_BACK);
    const point = decompressEven(sha256(s2));
    if (point !== undefined) return { s2, point };
  }
  throw new TpmError('TPM_RETRIES_EXHAUSTED', `vrf: no curve point in ${COUNTER_MAX + 1} counters`);
}

function decompressEven(x: Uint8Array): Point | undefined {
  let uncompressed: Uint8Array;
  try {
    const converted = ECDH.convertKey(
      concatBytes(Uint8Array.of(2), x),
      'prime256v1',
      undefined,
      undefined,
      'uncompressed',
    );
    uncompressed = typeof converted === 'string' ? fromHex(converted) : converted;
  } catch {
    // Half of all hashes are no x coordinate: the algorithm's normal path, not a fault.
    return undefined;
  }
  return { x, y: Uint8Array.from(uncompressed.subarray(1 + COORDINATE_BYTES)) };
}

interface Commitment {
  readonly gamma: Uint8Array;
  readonly u: Uint8Array;
  readonly v: Uint8Array;
  readonly counter: number;
}

/** TPM2_Commit with P1 = G and P2 = H: returns K = x*H, L = r*H and E = r*G, compressed. */
async function commit(io: TpmIo, key: TpmKey, hashed: HashedPoint): Promise<Commitment> {
  const base = writeSized(writeSized(new ByteWriter(), BASE_POINT.x), BASE_POINT.y).toBytes();
  const parameters = writeSized(new ByteWriter(), base);
  writeSized(writeSized(parameters, hashed.s2), hashed.point.y);
  const response = await io.send({
    name: 'commit',
    handles: [key.handle],
    authorizations: ['password'],
    parameters: parameters.toBytes(),
  });
  return parseWhole('commitment', response.parameters, (reader) => {
    const gamma = readPoint(reader, 'K');
    const v = readPoint(reader, 'L');
    const u = readPoint(reader, 'E');
    return { gamma, u, v, counter: reader.u16() };
  });
}

async function sign(
  io: TpmIo,
  key: TpmKey,
  digest: Uint8Array,
  counter: number,
): Promise<{ k: Uint8Array; s: Uint8Array }> {
  const parameters = writeSized(new ByteWriter(), digest).u16(ALG.ecdaa).u16(ALG.sha256).u16(counter);
  // An empty hash-check ticket: the key is not restricted.
  parameters.u16(0x8024).u32(HANDLE.null).u16(0);
  const response = await io.send({
    name: 'sign',
    handles: [key.handle],
    authorizations: ['password'],
    parameters: parameters.toBytes(),
  });
  const signature = parseSignature(response.parameters);
  if (signature.scheme !== 'ecdaa')
    throw invalid(`vrf signature scheme: got ${signature.scheme}, want ecdaa`);
  return { k: signature.k, s: leftPad(signature.s, COORDINATE_BYTES) };
}

/** TPM2B_ECC_POINT, compressed. */
function readPoint(reader: ByteReader, name: string): Uint8Array {
  const bytes = readSized(reader, `point ${name}`, 2 * (2 + COORDINATE_BYTES));
  return parseWhole(`point ${name}`, bytes, (inner) =>
    compress({ x: readCoordinate(inner, `${name}.x`), y: readCoordinate(inner, `${name}.y`) }),
  );
}

function readCoordinate(reader: ByteReader, name: string): Uint8Array {
  const value = readSized(reader, name, COORDINATE_BYTES);
  if (value.length === 0) throw invalid(`coordinate ${name}: empty`);
  const padded = new Uint8Array(COORDINATE_BYTES);
  padded.set(value, COORDINATE_BYTES - value.length);
  return padded;
}

function compress(point: Point): Uint8Array {
  const parity = (point.y.at(-1) as number) & 1;
  return concatBytes(Uint8Array.of(2 + parity), point.x);
}
