import {
  compressedPoint,
  type EccPublicArea,
  eccPoint,
  matchesTemplate,
  nameOf,
  parsePublicArea,
  TEMPLATES,
  TpmError,
  vrfTemplate,
} from '@nemea/tpm/structures';
import { p256 } from '@noble/curves/nist.js';
import { BoundedCache, cacheKey } from './bounded-cache.ts';
import { AttestationError, type AttestationErrorCode } from './errors.ts';
import { assertEndorsement, checkCertify } from './key-certification.ts';

const COORDINATE_BYTES = 32;
// The template with both coordinates in full: one key has one encoding, and so one name.
const AK_PUBLIC_BYTES = TEMPLATES.ak.length + 2 * COORDINATE_BYTES;

/** Attestation keys that passed: the same few hundred sign all day. */
const checkedAks = new BoundedCache<EccPublicArea>(1024);

/**
 * An attestation key must be made by the TPM and never leave it, and must be restricted: then everything it signs that
 * starts with TPM_GENERATED is a true statement of the TPM. Throws `AK_PUBLIC_INVALID`.
 *
 * The hierarchy is not in the public area: `assertEndorsement` reads it from what the key signed.
 */
export function checkAkPublic(akPublic: Uint8Array): EccPublicArea {
  if (akPublic.length !== AK_PUBLIC_BYTES) {
    throw new AttestationError('AK_PUBLIC_INVALID', `got ${akPublic.length} bytes, want ${AK_PUBLIC_BYTES}`);
  }
  const id = cacheKey(akPublic);
  const checked = checkedAks.get(id);
  if (checked !== undefined) return checked;
  const area = checkTemplate(
    akPublic,
    TEMPLATES.ak,
    'AK_PUBLIC_INVALID',
    'a restricted ECDSA P-256 signing key',
  );
  if (area.x.length !== COORDINATE_BYTES || area.y.length !== COORDINATE_BYTES) {
    throw new AttestationError(
      'AK_PUBLIC_INVALID',
      `coordinates: got ${area.x.length} and ${area.y.length} bytes`,
    );
  }
  checkedAks.set(id, area);
  return area;
}

/**
 * The VRF key must be made by the TPM, unrestricted ECDAA; without policy, or used under just this one. Throws
 * `VRF_PUBLIC_INVALID`.
 */
export function checkVrfPublic(vrfPublic: Uint8Array, authPolicy?: Uint8Array): EccPublicArea {
  const area = checkTemplate(
    vrfPublic,
    authPolicy === undefined ? TEMPLATES.vrf : vrfTemplate(authPolicy),
    'VRF_PUBLIC_INVALID',
    authPolicy === undefined
      ? 'an unrestricted ECDAA P-256 key'
      : 'an ECDAA P-256 key under the demanded policy',
  );
  if (!isOnCurve(eccPoint(area))) {
    throw new AttestationError('VRF_PUBLIC_INVALID', 'the point is not on P-256');
  }
  return area;
}

/** A VRF key, and its TPM's statement about it. */
export interface VrfCertification {
  /** TPMS_ATTEST of TPM2_Certify(VRF key, AK), exactly as signed. */
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
  readonly akPublic: Uint8Array;
  readonly vrfPublic: Uint8Array;
  readonly qualifyingData: Uint8Array;
  /** The policy that the key must be bound by: of PCR values, or of an authority. Default: it must have none. */
  readonly authPolicy?: Uint8Array;
}

/**
 * Verifies that the VRF key lives in the same TPM as the attestation key. Returns the compressed VRF public key.
 * Throws `CERTIFY_INVALID`, `AK_PUBLIC_INVALID`, `AK_HIERARCHY_WRONG` or `VRF_PUBLIC_INVALID`.
 */
export function checkVrfCertification(certification: VrfCertification): Uint8Array {
  checkAkPublic(certification.akPublic);
  const vrf = checkVrfPublic(certification.vrfPublic, certification.authPolicy);
  checkCertify(certification, nameOf(certification.vrfPublic));
  assertEndorsement(certification.akPublic, certification.attest);
  return compressedPoint(vrf);
}

/** The compressed point (33 bytes) of an ECC public area. Throws `PUBLIC_AREA_INVALID`. */
export function compressPoint(publicArea: Uint8Array): Uint8Array {
  return parsed(() => {
    const area = parsePublicArea(publicArea);
    if (area.type === 'ecc') return compressedPoint(area);
    throw new AttestationError('PUBLIC_AREA_INVALID', `object type: got ${area.type}, want ecc`);
  }, 'PUBLIC_AREA_INVALID');
}

function checkTemplate(
  publicArea: Uint8Array,
  template: Uint8Array,
  code: AttestationErrorCode,
  want: string,
): EccPublicArea {
  const area = parsed(() => parsePublicArea(publicArea), code);
  if (area.type !== 'ecc' || !parsed(() => matchesTemplate(publicArea, template), code)) {
    throw new AttestationError(
      code,
      `got ${area.type} with attributes 0x${area.attributes.toString(16)}, want ${want} made by the TPM`,
    );
  }
  parsed(() => eccPoint(area), code);
  return area;
}

function isOnCurve(point: Uint8Array): boolean {
  try {
    p256.Point.fromBytes(point).assertValidity();
    return true;
  } catch {
    return false; // the library reports a point off the curve only by throwing
  }
}

function parsed<T>(parse: () => T, code: AttestationErrorCode): T {
  try {
    return parse();
  } catch (cause) {
    if (cause instanceof TpmError) throw new AttestationError(code, cause.message, { cause });
    throw cause;
  }
}
