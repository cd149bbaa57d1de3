import { ECDH } from 'node:crypto';
import { concatBytes, fromHex, sha256 } from '@nemea/core';
import type { Authorization } from './command.ts';
import { Commit } from './commands/ecc.ts';
import { run } from './commands/run.ts';
import { Sign } from './commands/sign.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import type { TpmKey } from './object.ts';
import { type PcrPolicy, underPcrPolicy } from './pcr-policy.ts';
import { ALG } from './structures/algorithms.ts';
import { invalid, leftPad } from './structures/buffer.ts';
import { parsePublicArea } from './structures/public-area.ts';
import { compressedPoint } from './structures/public-key.ts';

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
 * commit counters are single use. `alpha` is at most 91 bytes, because TPM2_Commit takes 128 with what surrounds it. A key
 * under a policy is used as `policy` says; `TPM_POLICY_REFUSED` when the PCRs are others. The proof is not verified here.
 */
export async function proveVrf(
  io: TpmIo,
  key: TpmKey,
  alpha: Uint8Array,
  policy?: PcrPolicy,
): Promise<VrfProof> {
  if (alpha.length > ALPHA_BYTES_MAX) {
    throw new TpmError(
      'TPM_ARGUMENT_INVALID',
      `vrf alpha: got ${alpha.length} bytes, want at most ${ALPHA_BYTES_MAX}`,
    );
  }
  const publicKey = publicKeyOf(key);
  const hashed = hashToCurve(publicKey, alpha);
  const under = <T>(use: (auth: Authorization) => Promise<T>): Promise<T> =>
    policy === undefined ? use('password') : underPcrPolicy(io, policy, use);
  for (let attempt = 0; attempt < SIGNATURES_MAX; attempt++) {
    const { gamma, u, v, counter } = await under((auth) => commit(io, key, hashed, auth));
    const digest = sha256(CHALLENGE, publicKey, compress(hashed.point), gamma, u, v, DOMAIN_BACK);
    const { k, s } = await under((auth) => sign(io, key, { digest, counter }, auth));
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
async function commit(io: TpmIo, key: TpmKey, hashed: HashedPoint, auth: Authorization): Promise<Commitment> {
  const { K, L, E, counter } = await run(io, Commit, {
    handles: { signHandle: key },
    parameters: { P1: BASE_POINT, s2: hashed.s2, y2: hashed.point.y },
    auth: [auth],
  });
  return { gamma: compress(padded(K)), v: compress(padded(L)), u: compress(padded(E)), counter };
}

/** The key is not restricted, and needs no ticket for the digest. */
async function sign(
  io: TpmIo,
  key: TpmKey,
  { digest, counter }: { readonly digest: Uint8Array; readonly counter: number },
  auth: Authorization,
): Promise<{ k: Uint8Array; s: Uint8Array }> {
  const { signature } = await run(io, Sign, {
    handles: { keyHandle: key },
    parameters: { digest, inScheme: { scheme: 'ecdaa', hashAlg: ALG.sha256, count: counter } },
    auth: [auth],
  });
  if (signature.scheme !== 'ecdaa')
    throw invalid(`vrf signature scheme: got ${signature.scheme}, want ecdaa`);
  return { k: signature.k, s: leftPad(signature.s, COORDINATE_BYTES) };
}

function padded({ x, y }: Point): Point {
  return { x: coordinate(x), y: coordinate(y) };
}

function coordinate(value: Uint8Array): Uint8Array {
  if (value.length > 0 && value.length <= COORDINATE_BYTES) return leftPad(value, COORDINATE_BYTES);
  throw invalid(`coordinate: got ${value.length} bytes, want 1 to ${COORDINATE_BYTES}`);
}

function compress(point: Point): Uint8Array {
  const parity = (point.y.at(-1) as number) & 1;
  return concatBytes(Uint8Array.of(2 + parity), point.x);
}
