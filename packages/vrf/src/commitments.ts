import { normalizeZ } from '@noble/curves/abstract/curve.js';
import { p256 } from '@noble/curves/nist.js';
import { type CompiledCurve, compiledCurve } from './compiled.ts';
import { BASE, type CurvePoint } from './curve.ts';

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
 * identity, which no honest prover commits to. Both ways of computing them are exact, so all machines agree [ADR 0041].
 */
export function commitments(claim: Claim): { u: Uint8Array; v: Uint8Array } | null {
  const points =
    (compiledCurve === null ? null : compiledCommitments(compiledCurve, claim)) ?? portableCommitments(claim);
  if (points.some((point) => point.is0())) return null;
  const [u, v] = normalizeZ(p256.Point, points).map((point) => point.toBytes(true));
  return { u: u as Uint8Array, v: v as Uint8Array };
}

/** Null for the few claims that lead through the identity. */
export function compiledCommitments(curve: CompiledCurve, { y, h, gamma, s, c }: Claim): CurvePoint[] | null {
  const u = curve.combine(s, [{ point: y.negate(), scalar: c }]);
  const v = curve.combine(0n, [
    { point: h, scalar: s },
    { point: gamma.negate(), scalar: c },
  ]);
  return u === null || v === null ? null : [u, v];
}

/** Shamir's trick is fine here: every scalar is public. */
export function portableCommitments({ y, h, gamma, s, c }: Claim): CurvePoint[] {
  return [BASE.mulAddUnsafe(s, y.negate(), c), h.mulAddUnsafe(s, gamma.negate(), c)];
}
