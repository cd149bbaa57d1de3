import { AttestationError } from '../errors.ts';
import type { Certificate } from './certificate.ts';
import { type Crl, parseCrl } from './crl.ts';
import { KEY_USAGE } from './extensions.ts';
import { refuseSigned } from './signed.ts';

/** How the verifier wants revocation checked. Files, because a verifier opens no connection. */
export interface RevocationPolicy {
  /** DER, in any order; those of other issuers are passed over. */
  readonly crls: readonly Uint8Array[];
  /** Which certificates must be covered by a current list: all below the root, or the EK certificate alone. */
  readonly covers?: 'chain' | 'leaf';
  /** How long a list counts beyond its nextUpdate. Default 0: a stale list is no list. */
  readonly staleMs?: number;
}

const CRLS_MAX = 64;

/**
 * Refuses a path of which a certificate is revoked, or of which nobody can say. Throws `EK_CRL_INVALID`, `EK_REVOKED` or
 * `EK_REVOCATION_UNKNOWN`. A serial number in a list that is out of date is revoked all the same. [EK-9]
 */
export function checkRevocation(
  path: readonly Certificate[],
  { crls, covers = 'chain', staleMs = 0 }: RevocationPolicy,
  nowMs: number,
): void {
  if (crls.length > CRLS_MAX) {
    throw new AttestationError('EK_CRL_INVALID', `got ${crls.length} lists, want at most ${CRLS_MAX}`);
  }
  const lists = crls.map(parseCrl);
  const issued = covers === 'leaf' ? 1 : path.length - 1;
  path.slice(0, issued).forEach((certificate, i) => {
    const issuer = path[i + 1] as Certificate;
    const own = lists.filter((list) => isBy(list, issuer));
    if (own.some(({ revoked }) => revoked.has(certificate.serial))) {
      throw new AttestationError(
        'EK_REVOKED',
        `${certificate.label}, serial ${certificate.serial}, is revoked`,
      );
    }
    if (!own.some((list) => isCurrent(list, nowMs, staleMs))) {
      const had = own.length === 0 ? 'no list' : `${own.length} lists, none current`;
      throw new AttestationError('EK_REVOCATION_UNKNOWN', `${certificate.label}: ${had} of ${issuer.label}`);
    }
  });
}

function isBy(list: Crl, issuer: Certificate): boolean {
  if (list.issuer.canonical !== issuer.subject.canonical) return false;
  if (issuer.keyUsage !== null && (issuer.keyUsage & KEY_USAGE.crlSign) === 0) return false;
  return refuseSigned(list.signed, issuer.publicKeySpki) === null;
}

function isCurrent({ thisUpdateMs, nextUpdateMs }: Crl, nowMs: number, staleMs: number): boolean {
  return nextUpdateMs !== undefined && nowMs >= thisUpdateMs && nowMs <= nextUpdateMs + staleMs;
}
