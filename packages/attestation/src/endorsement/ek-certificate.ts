import { bytesEqual, CodedError, sha256 } from '@nemea/core';
import { AttestationError, type AttestationErrorCode } from '../errors.ts';
import type { AssuranceLevel } from '../level.ts';
import { parseSigningKey } from '../quote/signing-key.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import { KEY_USAGE, type TpmSpecification } from './extensions.ts';
import { makerName, manufacturerLevel } from './makers.ts';
import { findPath } from './path.ts';
import type { EkQuirk } from './quirks.ts';
import { checkRevocation, type RevocationPolicy } from './revocation.ts';

const CHAIN_LENGTH_MAX = 8;
const ROOTS_MAX = 256;
const MODULUS_BYTES_MIN = 256;
const EK_CERTIFICATE_USAGE = '2.23.133.8.1';
const TPM_MANUFACTURER = '2.23.133.2.1';
const TPM_MODEL = '2.23.133.2.2';
const TPM_VERSION = '2.23.133.2.3';

/** A maker's root, and the best level its certificates can give: a devnet authority may name any maker it likes. */
export interface TrustedRoot {
  readonly certificate: Uint8Array;
  readonly levelMax: AssuranceLevel;
}

/** A chain, what it is held against, and the time. */
export interface EkChain {
  /** DER: the EK certificate first, then authorities in any order. The root itself may be left out. */
  readonly chain: readonly Uint8Array[];
  readonly roots: readonly TrustedRoot[];
  readonly nowMs: number;
  /** Without it revocation is not checked, and the result says so. */
  readonly revocation?: RevocationPolicy;
  /** Object identifiers: certificate policies of which every certificate below the root must name one, or any. */
  readonly policies?: readonly string[];
}

/** What a verified EK certificate says. */
export interface EkCertificate {
  /** TCG vendor identifier: `id:` and eight capital hex digits. */
  readonly manufacturer: string;
  /** Who that is, where the TCG Vendor ID Registry and we know. */
  readonly maker: string | null;
  readonly model: string;
  /** The firmware version as the maker writes it, mostly `id:` and hex. */
  readonly version: string;
  readonly specification: TpmSpecification | null;
  readonly policies: readonly string[];
  readonly publicKeySpki: Uint8Array;
  /** SHA-256 of the SPKI: the identity of the TPM. */
  readonly ekId: Uint8Array;
  readonly level: AssuranceLevel;
  /** Which certificates were looked up in current CRLs. */
  readonly revocation: 'chain' | 'leaf' | 'unchecked';
  /** What the maker does otherwise than the standards say. */
  readonly quirks: readonly EkQuirk[];
}

/**
 * Verifies an EK certificate up to a trusted root: RFC 5280 path, TCG EK Credential Profile, and CRLs where they are
 * given. Throws `EK_CERTIFICATE_MALFORMED`, `EK_CERTIFICATE_SELF_SIGNED`, `EK_CERTIFICATE_EXPIRED`, `EK_CHAIN_UNTRUSTED`,
 * `EK_CHAIN_INVALID`, `EK_POLICY_WRONG`, `EK_CRL_INVALID`, `EK_REVOKED`, `EK_REVOCATION_UNKNOWN`, `EK_PURPOSE_WRONG`,
 * `EK_KEY_WEAK` or `EK_IDENTITY_INVALID`. [EK-5]
 */
export function verifyEkCertificate(input: EkChain): EkCertificate {
  const { leaf, others, roots } = readChain(input);
  refuseSelfSigned(leaf, roots);
  const path = findPath({ leaf, others, roots, nowMs: input.nowMs, policies: input.policies });
  if (input.revocation !== undefined) checkRevocation(path, input.revocation, input.nowMs);
  checkPurpose(leaf);
  checkKey(leaf);

  const identity = readTpmIdentity(leaf);
  return {
    ...identity,
    maker: makerName(identity.manufacturer),
    specification: leaf.specification,
    policies: leaf.policies,
    publicKeySpki: leaf.publicKeySpki,
    ekId: sha256(leaf.publicKeySpki),
    level: Math.min(manufacturerLevel(identity.manufacturer), levelOf(path.at(-1), input)) as AssuranceLevel,
    revocation: input.revocation === undefined ? 'unchecked' : (input.revocation.covers ?? 'chain'),
    quirks: [...new Set(path.flatMap(({ quirks }) => quirks))],
  };
}

interface ReadChain {
  readonly leaf: Certificate;
  readonly others: readonly Certificate[];
  readonly roots: readonly Certificate[];
}

function readChain({ chain, roots }: EkChain): ReadChain {
  if (roots.length > ROOTS_MAX)
    throw fail('EK_CHAIN_INVALID', `got ${roots.length} roots, want at most ${ROOTS_MAX}`);
  const [leaf, ...others] = chain.slice(0, CHAIN_LENGTH_MAX).map(parseCertificate);
  if (leaf === undefined || chain.length > CHAIN_LENGTH_MAX) {
    throw fail('EK_CHAIN_INVALID', `got ${chain.length} certificates, want 1 to ${CHAIN_LENGTH_MAX}`);
  }
  return { leaf, others, roots: roots.map(({ certificate }) => parseCertificate(certificate)) };
}

function refuseSelfSigned(leaf: Certificate, roots: readonly Certificate[]): void {
  const { subject, issuer, label } = leaf;
  if (subject.attributes.length > 0 && issuer.canonical === subject.canonical)
    throw fail('EK_CERTIFICATE_SELF_SIGNED', `${label} names itself as its issuer`);
  if (roots.some(({ der }) => bytesEqual(der, leaf.der)))
    throw fail('EK_CERTIFICATE_SELF_SIGNED', `${label} is itself a root`);
}

/** Two entries for one root, as a careless list may have them: the lower level counts. */
function levelOf(root: Certificate | undefined, { roots }: EkChain): number {
  const levels = roots
    .filter(({ certificate }) => root !== undefined && bytesEqual(certificate, root.der))
    .map(({ levelMax }) => levelMax);
  return Math.min(...levels);
}

/** TCG EK Credential Profile 2.6, section 3.2 [EK-8]. */
function checkPurpose({ isAuthority, extendedKeyUsages, keyUsage }: Certificate): void {
  if (isAuthority) throw fail('EK_PURPOSE_WRONG', 'the EK certificate is a certificate authority');
  if (!extendedKeyUsages.includes(EK_CERTIFICATE_USAGE)) {
    throw fail('EK_PURPOSE_WRONG', `extended key usage lacks ${EK_CERTIFICATE_USAGE} (EK certificate)`);
  }
  const usage = keyUsage ?? 0;
  if ((usage & (KEY_USAGE.keyEncipherment | KEY_USAGE.keyAgreement)) === 0)
    throw fail('EK_PURPOSE_WRONG', 'key usage has neither key encipherment nor key agreement');
  if ((usage & (KEY_USAGE.keyCertSign | KEY_USAGE.crlSign | KEY_USAGE.digitalSignature)) !== 0)
    throw fail('EK_PURPOSE_WRONG', 'key usage lets an endorsement key sign');
}

/** RSA of at least 2048 bits, or a NIST curve of at least 256 [EK-7]. */
function checkKey({ publicKeySpki }: Certificate): void {
  try {
    const key = parseSigningKey(publicKeySpki);
    if (key.type === 'ecc' || key.modulus.length >= MODULUS_BYTES_MIN) return;
    throw fail('EK_KEY_WEAK', `got RSA-${8 * key.modulus.length}, want 2048 at least`);
  } catch (cause) {
    if (!(cause instanceof CodedError) || cause.code !== 'KEY_INVALID') throw cause;
    throw new AttestationError('EK_KEY_WEAK', `the endorsement key: ${cause.message}`, { cause });
  }
}

/** TCG EK Credential Profile 2.6, section 3.2.9: the TPM is named in the subject alternative name. */
function readTpmIdentity(leaf: Certificate): Pick<EkCertificate, 'manufacturer' | 'model' | 'version'> {
  const name = leaf.alternativeName;
  if (name === null) throw fail('EK_IDENTITY_INVALID', 'no subject alternative name');
  if (!name.critical && leaf.subject.attributes.length === 0) {
    throw fail(
      'EK_IDENTITY_INVALID',
      'the subject is empty and the subject alternative name is not critical',
    );
  }
  const [tpm, ...others] = name.directoryNames;
  if (tpm === undefined || others.length > 0) {
    throw fail('EK_IDENTITY_INVALID', `got ${name.directoryNames.length} directory names, want 1`);
  }
  function only(oid: string): string {
    const values = (tpm?.attributes ?? []).filter(({ type }) => type === oid);
    const value = values[0]?.value ?? '';
    if (value !== '' && values.length === 1) return value;
    throw fail('EK_IDENTITY_INVALID', `got ${values.length} values of ${oid}, want 1`);
  }
  const manufacturer = only(TPM_MANUFACTURER);
  if (!/^id:[0-9A-Fa-f]{8}$/.test(manufacturer)) {
    throw fail(
      'EK_IDENTITY_INVALID',
      `manufacturer: got ${JSON.stringify(manufacturer.slice(0, 40))}, want id: and 8 hex digits`,
    );
  }
  return {
    manufacturer: `id:${manufacturer.slice(3).toUpperCase()}`,
    model: only(TPM_MODEL),
    version: only(TPM_VERSION),
  };
}

function fail(code: AttestationErrorCode, message: string): AttestationError {
  return new AttestationError(code, message);
}
