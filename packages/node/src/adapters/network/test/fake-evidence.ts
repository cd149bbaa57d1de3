import {
  bytesEqual,
  type CborValue,
  concatBytes,
  decodeCbor,
  encodeCbor,
  fromUtf8,
  hmacSha256,
} from '@nemea/core';
import type { EvidenceBinding, EvidenceVerdict } from '../../../ports/transport.ts';

/** Stands in for a TPM quote: whoever knows the key can vouch for a challenge between two peers. */
export function makeEvidence(
  key: string,
  binding: { challenge: Uint8Array; prover: string; verifier: string },
) {
  const { challenge, prover, verifier } = binding;
  return encodeCbor({ challenge, prover, verifier, mac: macOf(key, challenge, prover, verifier) });
}

export function collectWith(key: string): (binding: EvidenceBinding) => Promise<Uint8Array> {
  return async ({ challenge, self, remote }) =>
    makeEvidence(key, { challenge, prover: self, verifier: remote });
}

export function verifyWith(
  key: string,
): (evidence: Uint8Array, binding: EvidenceBinding) => Promise<EvidenceVerdict> {
  return async (evidence, { challenge, self, remote }) => {
    const fields = decodeCbor(evidence) as { readonly [name: string]: CborValue };
    const mac = macOf(key, fields.challenge as Uint8Array, `${fields.prover}`, `${fields.verifier}`);
    if (!bytesEqual(mac, fields.mac as Uint8Array)) return refuse('EVIDENCE_FORGED');
    if (fields.prover !== remote || fields.verifier !== self) return refuse('EVIDENCE_OF_ANOTHER');
    if (!bytesEqual(fields.challenge as Uint8Array, challenge)) return refuse('CHALLENGE_MISMATCH');
    return { ok: true };
  };
}

function refuse(code: string): EvidenceVerdict {
  return { ok: false, code, detail: 'made for a test' };
}

function macOf(key: string, challenge: Uint8Array, prover: string, verifier: string): Uint8Array {
  return hmacSha256(fromUtf8(key), concatBytes(challenge, fromUtf8(`${prover} ${verifier}`)));
}
