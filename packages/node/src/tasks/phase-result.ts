import { bytesEqual, hashDomain } from '@nemea/core';
import { type Member, type Phase, provenBeta, taskAlpha } from '@nemea/membership';
import { type PhaseResult, phaseResultCodec, signedPhaseResultCodec } from '../protocol.ts';

/** What a verifier's peer key signs. */
export function phaseResultDigest(networkId: Uint8Array, result: Uint8Array): Uint8Array {
  return hashDomain('nemea/phase-result/1', networkId, result);
}

/**
 * Reads a verifier's signed result and checks that a member signed it and that its VRF proof is for this draw. Returns
 * undefined for anything else: a result that does not count is not an error of whoever passes it on.
 */
export function authenticatePhaseResult(input: {
  networkId: Uint8Array;
  bytes: Uint8Array;
  memberOf: (account: string) => Member | undefined;
  verifySignature: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;
  expected: { executor: string; taskId: Uint8Array; attempt: number; phase: Phase };
  /** Seed of a draw that opened at a block; undefined for a block that cannot have opened this draw. */
  drawSeed: (startBlock: number) => Uint8Array | undefined;
}): PhaseResult | undefined {
  const { networkId, expected } = input;
  const signed = signedPhaseResultCodec.parse(input.bytes);
  const result = phaseResultCodec.parse(signed.result);
  const verifier = input.memberOf(result.verifier);
  if (verifier === undefined || result.verifier === expected.executor) return undefined;
  if (
    !input.verifySignature(verifier.peerKey, phaseResultDigest(networkId, signed.result), signed.signature)
  ) {
    return undefined;
  }
  const speaksOfThis =
    result.executor === expected.executor &&
    bytesEqual(result.taskId, expected.taskId) &&
    result.attempt === expected.attempt &&
    result.phase === expected.phase;
  if (!speaksOfThis) return undefined;
  const epochSeed = input.drawSeed(result.startBlock);
  if (epochSeed === undefined) return undefined;
  const alpha = taskAlpha({ networkId, epochSeed }, 'verify', expected.taskId, expected.attempt);
  return provenBeta(verifier, alpha, result.proof) === undefined ? undefined : result;
}
