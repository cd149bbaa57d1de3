import { normalizeZ } from '@noble/curves/abstract/curve.js';
import { p256 } from '@noble/curves/nist.js';
import { BASE, type CurvePoint } from './curve.ts';
import { type NativeCurve, nativeCurve } from './native.ts';

/** What a proof says about the bases G and H: the response s to the challenge c for the key Y and its image Gamma. */
export interface Claim {
  readonly y: CurvePoint;
  readonly h: CurvePoint;
  readonly gamma: CurvePoint;
  readonly s: bigint;
  readonly c: bigint;
}

/**
 * U = s*G - c*Y and V = s*H - c*Gamma in compressed form (RFC 9381, 5.3, steps 5 and 6); null when one of them is the
 * identity, which no honest prover commits to. Both ways of computing them are exact, so all machines agree [ADR 0040].
 */
export function commitments(claim: Claim): { u: Uint8Array; v: Uint8Array } | null {
  const points =
    (nativeCurve === null ? null : nativeCommitments(nativeCurve, claim)) ?? portableCommitments(claim);
  if (points.some((point) => point.is0())) return null;
  const [u, v] = normalizeZ(p256.Point, points).map((point) => point.toBytes(true));
  return { u: u as Uint8Array, v: v as Uint8Array };
}

/** Null for the few scalars that OpenSSL does not take. */
export function nativeCommitments(native: NativeCurve, { y, h, gamma, s, c }: Claim): CurvePoint[] | null {
  const byS = native.multiply(s, [h]);
  const byC = native.multiply(c, [y, gamma]);
  if (byS === null || byC === null) return null;
  const [sH] = byS.multiples as [CurvePoint];
  const [cY, cGamma] = byC.multiples as [CurvePoint, CurvePoint];
  return [byS.base.subtract(cY), sH.subtract(cGamma)];
}

/** Shamir's trick is fine here: every scalar is public. */
export function portableCommitments({ y, h, gamma, s, c }: Claim): CurvePoint[] {
  return [BASE.mulAddUnsafe(s, y.negate(), c), h.mulAddUnsafe(s, gamma.negate(), c)];
}
