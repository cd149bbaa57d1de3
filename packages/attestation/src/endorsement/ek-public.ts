import { bytesEqual, sha256, toHex } from '@nemea/core';
import {
  type EccPublicArea,
  OBJECT_ATTRIBUTE,
  parsePublicArea,
  type RsaPublicArea,
  TpmError,
  toSpki,
} from '@nemea/tpm/structures';
import { AttestationError } from '../errors.ts';
import type { AssuranceLevel } from '../level.ts';

/** An endorsement key that somebody answers for: its maker, by a certificate, or the verifier, by a pin. */
export interface EndorsedEk {
  readonly publicKeySpki: Uint8Array;
  readonly ekId: Uint8Array;
  readonly level: AssuranceLevel;
}

/** Keys that were seen when their machines were known to be good: for TPMs without a certificate. */
export interface EkPins {
  readonly ekIds: readonly Uint8Array[];
  /** What the verifier takes such machines for. */
  readonly level: AssuranceLevel;
}

const MUST_HAVE =
  OBJECT_ATTRIBUTE.fixedTpm |
  OBJECT_ATTRIBUTE.fixedParent |
  OBJECT_ATTRIBUTE.sensitiveDataOrigin |
  OBJECT_ATTRIBUTE.restricted |
  OBJECT_ATTRIBUTE.decrypt;
const MUST_NOT_HAVE =
  OBJECT_ATTRIBUTE.sign | OBJECT_ATTRIBUTE.encryptedDuplication | OBJECT_ATTRIBUTE.stClear;

/** SHA-256 of an endorsement key's SPKI: the identity of its TPM. Throws `EK_PUBLIC_INVALID`. */
export function ekIdOf(ekPublic: Uint8Array): Uint8Array {
  return sha256(spkiOf(checkEkPublic(ekPublic)));
}

/**
 * A storage key that was made by its TPM and cannot leave it, as every template of the TCG EK Credential Profile has
 * it; makers may vary the rest. Throws `EK_PUBLIC_INVALID`.
 */
export function checkEkPublic(ekPublic: Uint8Array): EccPublicArea | RsaPublicArea {
  const area = parsed(() => parsePublicArea(ekPublic));
  const attributes = area.attributes >>> 0;
  if ((attributes & MUST_HAVE) !== MUST_HAVE || (attributes & MUST_NOT_HAVE) !== 0) {
    throw invalid(
      `attributes: got 0x${attributes.toString(16)}, want a restricted decryption key made by the TPM`,
    );
  }
  if (area.type !== 'ecc' && area.type !== 'rsa') throw invalid(`got ${area.type}, want an rsa or ecc key`);
  return area;
}

/** Accepts a key that is pinned. Throws `EK_NOT_PINNED` or `EK_PUBLIC_INVALID`. */
export function pinnedEk(ekPublic: Uint8Array, { ekIds, level }: EkPins): EndorsedEk {
  const publicKeySpki = spkiOf(checkEkPublic(ekPublic));
  const ekId = sha256(publicKeySpki);
  if (ekIds.some((pinned) => bytesEqual(pinned, ekId))) return { publicKeySpki, ekId, level };
  throw new AttestationError('EK_NOT_PINNED', `endorsement key ${toHex(ekId)} is not pinned`);
}

/** Whether the endorsement key's TPMT_PUBLIC is the key that its certificate names. False when it does not parse. */
export function ekMatchesCertificate(ekPublic: Uint8Array, publicKeySpki: Uint8Array): boolean {
  try {
    return bytesEqual(toSpki(parsePublicArea(ekPublic)), publicKeySpki);
  } catch (error) {
    if (error instanceof TpmError) return false;
    throw error;
  }
}

function spkiOf(area: EccPublicArea | RsaPublicArea): Uint8Array {
  return parsed(() => toSpki(area));
}

function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (cause instanceof TpmError) throw invalid(cause.message, cause);
    throw cause;
  }
}

function invalid(message: string, cause?: unknown): AttestationError {
  return new AttestationError('EK_PUBLIC_INVALID', `endorsement key: ${message}`, { cause });
}
