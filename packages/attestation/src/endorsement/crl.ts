import { bytesEqual } from '@nemea/core';
import { childrenOf, type Der, DerError, derError, expectTag, parseDer, TAG } from '../der.ts';
import { AttestationError } from '../errors.ts';
import { serialOf } from './certificate.ts';
import { parseExtensions } from './extensions.ts';
import { type DistinguishedName, parseName } from './name.ts';
import { parseSigned, type Signed } from './signed.ts';
import { isTime, parseTime } from './time.ts';

/** What a certificate revocation list (RFC 5280, 5) says, before anything is checked. */
export interface Crl {
  readonly signed: Signed;
  readonly issuer: DistinguishedName;
  readonly thisUpdateMs: number;
  /** `undefined` when the list never promises another one; such a list is stale at once. */
  readonly nextUpdateMs: number | undefined;
  /** Serial numbers as `Certificate.serial` has them. */
  readonly revoked: ReadonlySet<string>;
}

/** The longest CRL that is read. */
export const CRL_BYTES_MAX = 4 * 1024 * 1024;
const REVOKED_MAX = 100_000;
// Without these a list is not whole: delta lists, lists for a part of the certificates, lists for other issuers.
const PARTIAL = new Set(['2.5.29.27', '2.5.29.28']);

/** Reads one CRL that fills `der`. Throws `EK_CRL_INVALID`, for delta, partial and indirect lists too. */
export function parseCrl(der: Uint8Array): Crl {
  try {
    return read(parseDer(der, CRL_BYTES_MAX));
  } catch (cause) {
    if (!(cause instanceof DerError)) throw cause;
    throw new AttestationError('EK_CRL_INVALID', `not a crl: ${cause.message}`, { cause });
  }
}

/** TBSCertList: version, signature, issuer, thisUpdate, nextUpdate, revoked certificates, [0] extensions. */
function read(root: Der): Crl {
  const { signed, fields } = parseSigned(root);
  const values = [...childrenOf(fields)];
  if (values[0]?.tag === TAG.integer && values.shift()?.content[0] !== 1) throw derError('not of version 2');
  const [inner, issuer, thisUpdate, ...rest] = values;
  const [, outer] = childrenOf(root);
  if (!bytesEqual(expectTag(inner, TAG.sequence).whole, expectTag(outer, TAG.sequence).whole))
    throw derError('two signature algorithms');
  const nextUpdate = isTime(rest[0]) ? rest.shift() : undefined;
  const revoked = rest[0]?.tag === TAG.sequence ? rest.shift() : undefined;
  const extensions = rest[0]?.tag === TAG.context0 ? rest.shift() : undefined;
  if (rest.length > 0) throw derError('more than a list');
  if (extensions !== undefined) refuseCritical(childrenOf(extensions)[0], PARTIAL);
  return {
    signed,
    issuer: parseName(issuer),
    thisUpdateMs: parseTime(thisUpdate),
    nextUpdateMs: nextUpdate === undefined ? undefined : parseTime(nextUpdate),
    revoked: new Set(revoked === undefined ? [] : childrenOf(revoked, REVOKED_MAX).map(readEntry)),
  };
}

function readEntry(entry: Der): string {
  const [serial, date, extensions, ...others] = childrenOf(expectTag(entry, TAG.sequence));
  if (others.length > 0) throw derError('not an entry of a list');
  parseTime(date);
  if (extensions !== undefined) refuseCritical(extensions, new Set());
  return serialOf(serial);
}

/** RFC 5280, 5.2: a list with a critical extension that is not understood decides nothing. */
function refuseCritical(list: Der | undefined, refused: ReadonlySet<string>): void {
  for (const { type, critical } of parseExtensions(list).extensions) {
    if (critical || refused.has(type)) throw derError(`extension ${type}, which is not understood`);
  }
}
