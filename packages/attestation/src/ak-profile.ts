import {
  ALG,
  CURVE,
  type EccPublicArea,
  nameOf,
  OBJECT_ATTRIBUTE,
  type PublicArea,
  parsePublicArea,
  type RsaPublicArea,
  TpmError,
} from '@nemea/tpm/structures';
import { BoundedCache, cacheKey } from './bounded-cache.ts';
import { AttestationError } from './errors.ts';

/** Attestation keys that a policy may admit, by their signature. */
export const AK_PROFILES = ['ecdsa-p256', 'ecdsa-p384', 'rsassa-2048', 'rsapss-2048'] as const;
/** The name of a kind of attestation key that the judge knows [ATT-23]. */
export type AkProfile = (typeof AK_PROFILES)[number];

const MUST_HAVE =
  OBJECT_ATTRIBUTE.fixedTpm |
  OBJECT_ATTRIBUTE.fixedParent |
  OBJECT_ATTRIBUTE.sensitiveDataOrigin |
  OBJECT_ATTRIBUTE.restricted |
  OBJECT_ATTRIBUTE.sign;
// stClear, and how the key's own use is authorised, say nothing about what it signs.
const MAY_HAVE =
  0x4 | OBJECT_ATTRIBUTE.userWithAuth | OBJECT_ATTRIBUTE.adminWithPolicy | OBJECT_ATTRIBUTE.noDa;

export type SigningArea = EccPublicArea | RsaPublicArea;

/** An attestation key whose public area was found good. */
export interface CheckedAk {
  /** TPM 2.0 Part 1, 16. */
  readonly name: Uint8Array;
  readonly area: SigningArea;
  readonly profile: AkProfile;
}

const WANTED = `want one of ${AK_PROFILES.join(', ')} with its own hash`;

/** RSA-2048 with a policy has some 350. */
const AK_PUBLIC_BYTES_MAX = 1024;
const checked = new BoundedCache<CheckedAk>(1024);

/**
 * Any TPM's attestation key: made by the TPM, never leaves it, and signs nothing but statements of the TPM and data that
 * does not look like one. Throws `AK_PUBLIC_INVALID`. Our own nodes' keys obey a narrower rule, `checkAkPublic` [ATT-23].
 */
export function checkAkProfile(akPublic: Uint8Array): CheckedAk {
  if (akPublic.length > AK_PUBLIC_BYTES_MAX) {
    throw invalid(`got ${akPublic.length} bytes, want at most ${AK_PUBLIC_BYTES_MAX}`);
  }
  const id = cacheKey(akPublic);
  const known = checked.get(id);
  if (known !== undefined) return known;
  const area = parseArea(akPublic);
  const attributes = area.attributes >>> 0;
  if ((attributes & MUST_HAVE) !== MUST_HAVE || (attributes & ~(MUST_HAVE | MAY_HAVE)) !== 0) {
    throw invalid(
      `attributes: got 0x${attributes.toString(16)}, want a restricted signing key made by the TPM`,
    );
  }
  if (area.type !== 'ecc' && area.type !== 'rsa') throw invalid(`got ${area.type}, want a signing key`);
  if (area.nameAlg !== ALG.sha256 && area.nameAlg !== ALG.sha384)
    throw invalid('want a name by SHA-256 or SHA-384');
  const result = { name: nameOf(akPublic), area, profile: profileOf(area) };
  checked.set(id, result);
  return result;
}

/** The hash that the key signs by, and that the digest of quoted PCRs is made with; undefined when it names none. */
export function hashOfScheme({ scheme }: SigningArea): number | undefined {
  return scheme !== undefined && 'hashAlg' in scheme ? scheme.hashAlg : undefined;
}

function profileOf(area: SigningArea): AkProfile {
  const { scheme } = area;
  if (area.symmetric !== undefined) throw invalid('a signing key has no symmetric cipher');
  if (area.type === 'ecc' && scheme?.scheme === 'ecdsa') {
    const wanted = area.curve === CURVE.p256 ? 32 : 48;
    // One key has one encoding, and so one name.
    if (area.x.length !== wanted || area.y.length !== wanted)
      throw invalid('the point is not padded to its curve');
    if (area.curve === CURVE.p256 && scheme.hashAlg === ALG.sha256) return 'ecdsa-p256';
    if (area.curve === CURVE.p384 && scheme.hashAlg === ALG.sha384) return 'ecdsa-p384';
  }
  if (area.type === 'rsa' && (scheme?.scheme === 'rsassa' || scheme?.scheme === 'rsapss')) {
    if (area.keyBits !== 2048 || scheme.hashAlg !== ALG.sha256)
      throw invalid(`got RSA-${area.keyBits}, ${WANTED}`);
    if (area.modulus.length !== 256 || ((area.modulus[0] ?? 0) & 0x80) === 0)
      throw invalid('the modulus is short');
    if (area.exponent !== 0 && area.exponent !== 65_537) throw invalid(`exponent: got ${area.exponent}`);
    return `${scheme.scheme}-2048`;
  }
  throw invalid(WANTED);
}

function parseArea(akPublic: Uint8Array): PublicArea {
  try {
    return parsePublicArea(akPublic);
  } catch (cause) {
    if (cause instanceof TpmError) throw invalid(cause.message, cause);
    throw cause;
  }
}

function invalid(message: string, cause?: unknown): AttestationError {
  return new AttestationError('AK_PUBLIC_INVALID', message, { cause });
}
