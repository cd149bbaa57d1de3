import 'reflect-metadata';
import { bytesEqual, sha256 } from '@nemea/core';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  SubjectAlternativeNameExtension,
  X509Certificate,
} from '@peculiar/x509';
import { AttestationError } from './errors.ts';
import type { AssuranceLevel } from './level.ts';
import { manufacturerLevel } from './manufacturers.ts';
import { nativeCrypto } from './native-crypto.ts';

const CHAIN_LENGTH_MAX = 8;
const CERTIFICATE_BYTES_MAX = 8192;
const RSA_MODULUS_BITS_MIN = 2048;
const EK_CERTIFICATE_USAGE = '2.23.133.8.1';
const SAN_MANUFACTURER = '2.23.133.2.1';
const SAN_MODEL = '2.23.133.2.2';
const SAN_VERSION = '2.23.133.2.3';
const BASIC_CONSTRAINTS = '2.5.29.19';
const KEY_USAGE = '2.5.29.15';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const SUBJECT_ALT_NAME = '2.5.29.17';
/** The extensions whose meaning is enforced here. Any other one that is critical refuses the chain (RFC 5280, 4.2). */
const ENFORCED_EXTENSIONS = new Set([BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE, SUBJECT_ALT_NAME]);
const SIGNATURE_ALGORITHMS = new Set(['RSASSA-PKCS1-v1_5', 'RSA-PSS', 'ECDSA']);
const SIGNATURE_HASHES = new Set(['SHA-256', 'SHA-384', 'SHA-512']);
const EC_CURVES = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

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
  const { path, root } = completePath(input.chain.map(parseCertificate), input.roots);
  path.forEach((certificate, position) => {
    checkValidity(certificate, input.nowMs);
    checkExtensions(certificate);
    if (position > 0) checkIssuer(certificate, position - 1);
  });
  path.slice(1).forEach((issuer, i) => {
    checkSignature(path[i] as X509Certificate, issuer);
  });

  const leaf = path[0] as X509Certificate;
  checkEkUsage(leaf);
  const identity = readTpmIdentity(leaf);
  const publicKeySpki = new Uint8Array(leaf.publicKey.rawData);
  return {
    ...identity,
    publicKeySpki,
    ekId: sha256(publicKeySpki),
    level: Math.min(manufacturerLevel(identity.manufacturer), root.levelMax) as AssuranceLevel,
  };
}

function parseCertificate(der: Uint8Array): X509Certificate {
  if (der.length > CERTIFICATE_BYTES_MAX) {
    throw chainError(`certificate: got ${der.length} bytes, want at most ${CERTIFICATE_BYTES_MAX}`);
  }
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(new Uint8Array(der));
  } catch (cause) {
    throw chainError('certificate is not DER', cause);
  }
  // The library ignores what follows the certificate, and re-encodes what is not DER.
  if (!bytesEqual(new Uint8Array(certificate.rawData), der)) {
    throw chainError('certificate is not exactly one DER structure');
  }
  return certificate;
}

function completePath(
  chain: readonly X509Certificate[],
  roots: readonly TrustedRoot[],
): { readonly path: readonly X509Certificate[]; readonly root: TrustedRoot } {
  if (chain.length === 0 || chain.length > CHAIN_LENGTH_MAX) {
    throw chainError(`got ${chain.length} certificates, want 1 to ${CHAIN_LENGTH_MAX}`);
  }
  const [leaf] = chain as readonly [X509Certificate];
  if (sameName(leaf.issuerName, leaf.subjectName) && !isEmptyName(leaf.subjectName)) {
    throw chainError('the EK certificate is self-issued');
  }
  const last = chain.at(-1) as X509Certificate;
  for (const root of roots) {
    if (bytesEqual(new Uint8Array(last.rawData), root.certificate)) {
      if (chain.length === 1) throw chainError('the EK certificate is itself a root');
      return { path: chain, root };
    }
  }
  for (const root of roots) {
    const certificate = parseCertificate(root.certificate);
    if (sameName(certificate.subjectName, last.issuerName) && signatureHolds(last, certificate)) {
      return { path: [...chain, certificate], root };
    }
  }
  throw chainError(`no trusted root issued ${JSON.stringify(last.subject)}`);
}

function checkValidity(certificate: X509Certificate, nowMs: number): void {
  if (nowMs < certificate.notBefore.getTime() || nowMs > certificate.notAfter.getTime()) {
    throw chainError(`${describe(certificate)} is not valid at ${nowMs} ms`);
  }
}

function checkExtensions(certificate: X509Certificate): void {
  const seen = new Set<string>();
  for (const { type, critical } of certificate.extensions) {
    if (seen.has(type)) throw chainError(`${describe(certificate)} repeats extension ${type}`);
    seen.add(type);
    if (critical && !ENFORCED_EXTENSIONS.has(type)) {
      throw chainError(`${describe(certificate)} has an unknown critical extension ${type}`);
    }
  }
}

/** RFC 5280, 6.1.4 (k) to (n). */
function checkIssuer(certificate: X509Certificate, intermediatesBelow: number): void {
  const constraints = certificate.getExtension(BasicConstraintsExtension);
  if (!constraints?.ca) throw chainError(`${describe(certificate)} is not a certificate authority`);
  if (constraints.pathLength !== undefined && intermediatesBelow > constraints.pathLength) {
    throw chainError(
      `${describe(certificate)}: got ${intermediatesBelow} authorities below, want at most ${constraints.pathLength}`,
    );
  }
  const usage = certificate.getExtension(KeyUsagesExtension);
  if (usage !== null && (usage.usages & KeyUsageFlags.keyCertSign) === 0) {
    throw chainError(`${describe(certificate)} may not sign certificates`);
  }
}

function checkSignature(certificate: X509Certificate, issuer: X509Certificate): void {
  if (!sameName(certificate.issuerName, issuer.subjectName)) {
    throw chainError(`${describe(certificate)} names another issuer than ${describe(issuer)}`);
  }
  if (!signatureHolds(certificate, issuer)) {
    throw chainError(`${describe(certificate)} is not signed by ${describe(issuer)}`);
  }
}

function signatureHolds(certificate: X509Certificate, issuer: X509Certificate): boolean {
  if (nativeCrypto === undefined) {
    throw new AttestationError('EK_CRYPTO_UNAVAILABLE', 'certificate chains are verified in Node only');
  }
  const { name, hash } = certificate.signatureAlgorithm;
  if (!SIGNATURE_ALGORITHMS.has(name) || !SIGNATURE_HASHES.has(hash?.name)) {
    throw chainError(`${describe(certificate)}: signature algorithm ${name} ${hash?.name} is not accepted`);
  }
  try {
    const key = new nativeCrypto.X509Certificate(new Uint8Array(issuer.rawData)).publicKey;
    const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
    if (
      modulusLength !== undefined ? modulusLength < RSA_MODULUS_BITS_MIN : !EC_CURVES.has(namedCurve ?? '')
    ) {
      throw chainError(`${describe(issuer)}: key of ${modulusLength ?? namedCurve} is too weak or unknown`);
    }
    return new nativeCrypto.X509Certificate(new Uint8Array(certificate.rawData)).verify(key);
  } catch (cause) {
    if (cause instanceof AttestationError) throw cause;
    throw chainError(`${describe(certificate)}: signature by ${describe(issuer)} cannot be checked`, cause);
  }
}

/** TCG EK Credential Profile 2.6, section 3.2. */
function checkEkUsage(leaf: X509Certificate): void {
  if (leaf.getExtension(BasicConstraintsExtension)?.ca) {
    throw certificateError('the EK certificate is a certificate authority');
  }
  const extended = leaf.getExtension(ExtendedKeyUsageExtension);
  if (!extended?.usages.includes(EK_CERTIFICATE_USAGE)) {
    throw certificateError(`extended key usage lacks ${EK_CERTIFICATE_USAGE} (EK certificate)`);
  }
  const usage = leaf.getExtension(KeyUsagesExtension);
  const wanted = KeyUsageFlags.keyEncipherment | KeyUsageFlags.keyAgreement;
  if (usage === null || (usage.usages & wanted) === 0) {
    throw certificateError('key usage has neither key encipherment nor key agreement');
  }
  if ((usage.usages & (KeyUsageFlags.keyCertSign | KeyUsageFlags.digitalSignature)) !== 0) {
    throw certificateError('key usage lets an endorsement key sign');
  }
}

/** TCG EK Credential Profile 2.6, section 3.2.9: the TPM is named in the subject alternative name. */
function readTpmIdentity(leaf: X509Certificate): Pick<EkCertificate, 'manufacturer' | 'model' | 'version'> {
  const extension = leaf.getExtension(SubjectAlternativeNameExtension);
  if (extension === null) throw certificateError('no subject alternative name');
  if (!extension.critical && isEmptyName(leaf.subjectName)) {
    throw certificateError('the subject is empty and the subject alternative name is not critical');
  }
  const directoryNames = extension.names.items.filter((name) => name.type === 'dn');
  if (directoryNames.length !== 1) {
    throw certificateError(`got ${directoryNames.length} directory names, want 1`);
  }
  const attributes = new Name(directoryNames[0]?.value ?? '').toJSON();

  function attribute(oid: string): string {
    const values = attributes.flatMap((set) => set[oid] ?? []);
    const [value] = values;
    if (values.length !== 1 || value === undefined || value === '') {
      throw certificateError(`got ${values.length} values of ${oid}, want 1`);
    }
    return value;
  }

  return {
    manufacturer: attribute(SAN_MANUFACTURER),
    model: attribute(SAN_MODEL),
    version: attribute(SAN_VERSION),
  };
}

function sameName(a: Name, b: Name): boolean {
  return bytesEqual(new Uint8Array(a.toArrayBuffer()), new Uint8Array(b.toArrayBuffer()));
}

function isEmptyName(name: Name): boolean {
  return name.toArrayBuffer().byteLength === 2;
}

function describe(certificate: X509Certificate): string {
  return `certificate ${JSON.stringify(certificate.subject.slice(0, 80))}`;
}

function chainError(message: string, cause?: unknown): AttestationError {
  return new AttestationError('EK_CHAIN_INVALID', message, { cause });
}

function certificateError(message: string): AttestationError {
  return new AttestationError('EK_CERTIFICATE_INVALID', message);
}
