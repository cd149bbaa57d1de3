import { bytesEqual } from '@nemea/core';
import { AttestationError, type AttestationErrorCode } from '../errors.ts';
import { type Certificate, EXTENSION } from './certificate.ts';
import { KEY_USAGE } from './extensions.ts';
import { refuseSigned } from './signed.ts';

/** From the leaf to a root that is trusted: each certificate, then its issuer. */
export type Path = readonly Certificate[];

const PATH_LENGTH_MAX = 8;
const PATHS_MAX = 16;
const ANY_POLICY = '2.5.29.32.0';
/** The extensions whose meaning is enforced here. Any other one that is critical refuses (RFC 5280, 4.2). */
const ENFORCED: ReadonlySet<string> = new Set([
  EXTENSION.subjectDirectoryAttributes,
  EXTENSION.keyUsage,
  EXTENSION.alternativeName,
  EXTENSION.basicConstraints,
  EXTENSION.certificatePolicies,
  EXTENSION.extendedKeyUsage,
]);

export interface PathRequest {
  readonly leaf: Certificate;
  /** In any order; those that lead nowhere are passed over. */
  readonly others: readonly Certificate[];
  readonly roots: readonly Certificate[];
  readonly nowMs: number;
  /** One of these must stand in every certificate below the root; `undefined` demands none. */
  readonly policies: readonly string[] | undefined;
}

/**
 * A path to a trusted root that RFC 5280, 6.1 lets stand: names, signatures, dates, authorities, lengths, critical
 * extensions, policies. Throws `EK_CHAIN_UNTRUSTED` when no path leads to a root, else why the first path fails. [EK-6]
 */
export function findPath(request: PathRequest): Path {
  let refusal: AttestationError | undefined;
  let tried = 0;
  for (const path of pathsFrom([request.leaf], request)) {
    if (++tried > PATHS_MAX) break;
    try {
      checkPath(path, request);
      return path;
    } catch (error) {
      if (!(error instanceof AttestationError)) throw error;
      refusal ??= error;
    }
  }
  throw refusal ?? untrusted(request);
}

/** Every path whose names and signatures hold, shortest to a root first at each step. */
function* pathsFrom(path: readonly Certificate[], request: PathRequest): Generator<Path> {
  const last = path.at(-1) as Certificate;
  if (path.length > PATH_LENGTH_MAX) return;
  for (const root of request.roots) if (isIssuedBy(last, root)) yield [...path, root];
  for (const issuer of request.others) {
    const isUsed = path.some(({ der }) => bytesEqual(der, issuer.der));
    if (!isUsed && isIssuedBy(last, issuer)) yield* pathsFrom([...path, issuer], request);
  }
}

function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  return (
    certificate.issuer.canonical === issuer.subject.canonical &&
    refuseSigned(certificate.signed, issuer.publicKeySpki) === null
  );
}

/** Names the certificate at which the way ends, and the best reason why. */
function untrusted({ leaf, others, roots }: PathRequest): AttestationError {
  const issuers = [...roots, ...others].filter((it) => it.subject.canonical === leaf.issuer.canonical);
  const reasons = issuers.map(
    (issuer) => refuseSigned(leaf.signed, issuer.publicKeySpki) ?? 'its issuer leads to no root',
  );
  const why = reasons[0] ?? 'nobody of that name is given';
  return fail('EK_CHAIN_UNTRUSTED', `no trusted root stands behind ${leaf.label}: ${why}`);
}

function checkPath(path: Path, { nowMs, policies }: PathRequest): void {
  path.forEach((certificate, i) => {
    checkValidity(certificate, nowMs);
    checkExtensions(certificate);
    if (i > 0) checkAuthority(certificate, path.slice(1, i));
  });
  for (const certificate of path.slice(0, -1)) checkPolicies(certificate, policies);
}

function checkValidity({ label, notBeforeMs, notAfterMs }: Certificate, nowMs: number): void {
  if (nowMs >= notBeforeMs && nowMs <= notAfterMs) return;
  throw fail('EK_CERTIFICATE_EXPIRED', `${label} is not valid at ${nowMs} ms`);
}

function checkExtensions({ label, extensions }: Certificate): void {
  for (const { type, critical } of extensions) {
    // Name constraints bind, critical or not (RFC 5280, 4.2.1.10), and they are not enforced here.
    if ((critical && !ENFORCED.has(type)) || type === EXTENSION.nameConstraints)
      throw fail('EK_CHAIN_INVALID', `${label} has an extension ${type} that is not understood`);
  }
}

/** RFC 5280, 6.1.4 (k) to (n). */
function checkAuthority({ label, isAuthority, pathLength, keyUsage }: Certificate, below: Path): void {
  if (!isAuthority) throw fail('EK_CHAIN_INVALID', `${label} is not a certificate authority`);
  const count = below.filter(({ issuer, subject }) => issuer.canonical !== subject.canonical).length;
  if (pathLength !== undefined && count > pathLength) {
    throw fail('EK_CHAIN_INVALID', `${label}: got ${count} authorities below, want at most ${pathLength}`);
  }
  if (keyUsage !== null && (keyUsage & KEY_USAGE.keyCertSign) === 0)
    throw fail('EK_CHAIN_INVALID', `${label} may not sign certificates`);
}

function checkPolicies({ label, policies }: Certificate, wanted: readonly string[] | undefined): void {
  if (wanted === undefined || policies.some((oid) => oid === ANY_POLICY || wanted.includes(oid))) return;
  throw fail(
    'EK_POLICY_WRONG',
    `${label}: got policies ${policies.join(', ') || 'none'}, want ${wanted.join(', ')}`,
  );
}

function fail(code: AttestationErrorCode, message: string): AttestationError {
  return new AttestationError(code, message);
}
