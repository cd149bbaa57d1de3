import { assert, bytesEqual, sha256 } from '@nemea/core';
import { type Certificate, KeyUsageFlags, parseCertificate } from './certificate.ts';
import { AttestationError } from './errors.ts';
import type { AssuranceLevel } from './level.ts';
import { manufacturerLevel } from './manufacturers.ts';
import { nativeCrypto } from './native-crypto.ts';

const CHAIN_LENGTH_MAX = 8;
const RSA_MODULUS_BITS_MIN = 2048;
const EK_CERTIFICATE_USAGE = '2.23.133.8.1';
const TPM_MANUFACTURER = '2.23.133.2.1';
const TPM_MODEL = '2.23.133.2.2';
const TPM_VERSION = '2.23.133.2.3';
/**
 * The extensions whose meaning is enforced here: key usage, alternative name, basic constraints, extended key usage.
 * Any other one that is critical refuses the chain (RFC 5280, 4.2).
 */
const ENFORCED_EXTENSIONS = new Set(['2.5.29.15', '2.5.29.17', '2.5.29.19', '2.5.29.37']);
const SIGNATURE_ALGORITHMS = new Set(['RSASSA-PKCS1-v1_5', 'RSA-PSS', 'ECDSA']);
const SIGNATURE_HASHES = new Set(['SHA-256', 'SHA-384', 'SHA-512']);
const EC_CURVES = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
// An empty RDNSequence.
const EMPTY_NAME_BYTES = 2;

/** A maker's root, and the best level its certificates can give: a devnet authority may name any maker it likes. */
export interface TrustedRoot {
  readonly certificate: Uint8Array;
  readonly levelMax: AssuranceLevel;
}

export interface EkChain {
  /** DER, the EK certificate first, each followed by its issuer. The root itself may be left out. */
  readonly chain: readonly Uint8Array[];
  readonly roots: readonly TrustedRoot[];
  readonly nowMs: number;
}

/** What a verified EK certificate says. */
export interface EkCertificate {
  readonly manufacturer: string;
  readonly model: string;
  readonly version: string;
  readonly publicKeySpki: Uint8Array;
  /** SHA-256 of the SPKI: the identity of the TPM. */
  readonly ekId: Uint8Array;
  readonly level: AssuranceLevel;
}

/**
 * Verifies an EK certificate up to a trusted root (RFC 5280 path, TCG EK Credential Profile). Revocation is not
 * checked here. Throws `EK_CHAIN_INVALID`, `EK_CERTIFICATE_INVALID`, or `EK_CRYPTO_UNAVAILABLE` outside Node.
 */
export function verifyEkCertificate(input: EkChain): EkCertificate {
  const { leaf, authorities, root } = completePath(input);
  for (const certificate of [leaf, ...authorities]) {
    checkValidity(certificate, input.nowMs);
    checkExtensions(certificate);
  }
  let certificate = leaf;
  authorities.forEach((issuer, intermediatesBelow) => {
    checkAuthority(issuer, intermediatesBelow);
    checkSignature(certificate, issuer);
    certificate = issuer;
  });
  checkEkUsage(leaf);

  const identity = readTpmIdentity(leaf);
  return {
    ...identity,
    publicKeySpki: leaf.publicKeySpki,
    ekId: sha256(leaf.publicKeySpki),
    level: Math.min(manufacturerLevel(identity.manufacturer), root.levelMax) as AssuranceLevel,
  };
}

interface CertificatePath {
  readonly leaf: Certificate;
  /** From the leaf's issuer to the trusted root. */
  readonly authorities: readonly Certificate[];
  readonly root: TrustedRoot;
}

function completePath({ chain, roots }: EkChain): CertificatePath {
  if (chain.length === 0 || chain.length > CHAIN_LENGTH_MAX) {
    throw chainError(`got ${chain.length} certificates, want 1 to ${CHAIN_LENGTH_MAX}`);
  }
  const [leaf, ...authorities] = chain.map(parseCertificate);
  assert(leaf !== undefined, 'the chain is not empty');
  if (leaf.subject.length > EMPTY_NAME_BYTES && bytesEqual(leaf.issuer, leaf.subject)) {
    throw chainError('the EK certificate is self-issued');
  }
  const last = authorities.at(-1) ?? leaf;
  const given = roots.find(({ certificate }) => bytesEqual(certificate, last.der));
  if (given !== undefined) {
    if (last === leaf) throw chainError('the EK certificate is itself a root');
    return { leaf, authorities, root: given };
  }
  for (const root of roots) {
    const certificate = parseCertificate(root.certificate);
    if (bytesEqual(certificate.subject, last.issuer) && signatureHolds(last, certificate)) {
      return { leaf, authorities: [...authorities, certificate], root };
    }
  }
  throw chainError(`no trusted root issued ${last.label}`);
}

function checkValidity(certificate: Certificate, nowMs: number): void {
  if (!(nowMs >= certificate.notBeforeMs && nowMs <= certificate.notAfterMs)) {
    throw chainError(`${certificate.label} is not valid at ${nowMs} ms`);
  }
}

function checkExtensions(certificate: Certificate): void {
  const seen = new Set<string>();
  for (const { type, critical } of certificate.extensions) {
    if (seen.has(type)) throw chainError(`${certificate.label} repeats extension ${type}`);
    seen.add(type);
    if (critical && !ENFORCED_EXTENSIONS.has(type)) {
      throw chainError(`${certificate.label} has an unknown critical extension ${type}`);
    }
  }
}

/** RFC 5280, 6.1.4 (k) to (n). */
function checkAuthority(certificate: Certificate, intermediatesBelow: number): void {
  const { label, isAuthority, pathLength, keyUsage } = certificate;
  if (!isAuthority) throw chainError(`${label} is not a certificate authority`);
  if (pathLength !== undefined && intermediatesBelow > pathLength) {
    throw chainError(`${label}: got ${intermediatesBelow} authorities below, want at most ${pathLength}`);
  }
  if (keyUsage !== null && (keyUsage & KeyUsageFlags.keyCertSign) === 0) {
    throw chainError(`${label} may not sign certificates`);
  }
}

function checkSignature(certificate: Certificate, issuer: Certificate): void {
  if (!bytesEqual(certificate.issuer, issuer.subject)) {
    throw chainError(`${certificate.label} names another issuer than ${issuer.label}`);
  }
  if (!signatureHolds(certificate, issuer)) {
    throw chainError(`${certificate.label} is not signed by ${issuer.label}`);
  }
}

function signatureHolds(certificate: Certificate, issuer: Certificate): boolean {
  if (nativeCrypto === undefined) {
    throw new AttestationError('EK_CRYPTO_UNAVAILABLE', 'certificate chains are verified in Node only');
  }
  const { signatureAlgorithm, signatureHash } = certificate;
  if (!SIGNATURE_ALGORITHMS.has(signatureAlgorithm) || !SIGNATURE_HASHES.has(signatureHash)) {
    throw chainError(`${certificate.label}: ${signatureAlgorithm} with ${signatureHash} is not accepted`);
  }
  let modulusLength: number | undefined;
  let namedCurve: string | undefined;
  let holds: boolean;
  try {
    const key = new nativeCrypto.X509Certificate(issuer.der).publicKey;
    ({ modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {});
    holds = new nativeCrypto.X509Certificate(certificate.der).verify(key);
  } catch (cause) {
    throw chainError(`the signature of ${certificate.label} by ${issuer.label} cannot be checked`, cause);
  }
  const strong =
    modulusLength === undefined ? EC_CURVES.has(namedCurve ?? '') : modulusLength >= RSA_MODULUS_BITS_MIN;
  if (!strong) throw chainError(`${issuer.label}: key of ${modulusLength ?? namedCurve} is weak or unknown`);
  return holds;
}

/** TCG EK Credential Profile 2.6, section 3.2. */
function checkEkUsage(leaf: Certificate): void {
  if (leaf.isAuthority) throw certificateError('the EK certificate is a certificate authority');
  if (!leaf.extendedKeyUsages.includes(EK_CERTIFICATE_USAGE)) {
    throw certificateError(`extended key usage lacks ${EK_CERTIFICATE_USAGE} (EK certificate)`);
  }
  const usage = leaf.keyUsage ?? 0;
  if ((usage & (KeyUsageFlags.keyEncipherment | KeyUsageFlags.keyAgreement)) === 0) {
    throw certificateError('key usage has neither key encipherment nor key agreement');
  }
  if ((usage & (KeyUsageFlags.keyCertSign | KeyUsageFlags.digitalSignature)) !== 0) {
    throw certificateError('key usage lets an endorsement key sign');
  }
}

/** TCG EK Credential Profile 2.6, section 3.2.9: the TPM is named in the subject alternative name. */
function readTpmIdentity(leaf: Certificate): Pick<EkCertificate, 'manufacturer' | 'model' | 'version'> {
  const name = leaf.alternativeName;
  if (name === null) throw certificateError('no subject alternative name');
  if (!name.critical && leaf.subject.length === EMPTY_NAME_BYTES) {
    throw certificateError('the subject is empty and the subject alternative name is not critical');
  }
  const [attributes, ...others] = name.directoryNames;
  if (attributes === undefined || others.length > 0) {
    throw certificateError(`got ${name.directoryNames.length} directory names, want 1`);
  }
  return {
    manufacturer: onlyValue(attributes, TPM_MANUFACTURER),
    model: onlyValue(attributes, TPM_MODEL),
    version: onlyValue(attributes, TPM_VERSION),
  };
}

function onlyValue(attributes: ReadonlyMap<string, readonly string[]>, oid: string): string {
  const [value, ...others] = attributes.get(oid) ?? [];
  if (value === undefined || value === '' || others.length > 0) {
    throw certificateError(`got ${attributes.get(oid)?.length ?? 0} values of ${oid}, want 1`);
  }
  return value;
}

function chainError(message: string, cause?: unknown): AttestationError {
  return new AttestationError('EK_CHAIN_INVALID', message, { cause });
}

function certificateError(message: string): AttestationError {
  return new AttestationError('EK_CERTIFICATE_INVALID', message);
}
