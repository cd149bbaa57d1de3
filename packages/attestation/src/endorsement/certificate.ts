import { bytesEqual, toHex } from '@nemea/core';
import {
  bitsOf,
  childrenOf,
  type Der,
  DerError,
  derError,
  encodeDer,
  expectTag,
  oidOf,
  parseDer,
  TAG,
} from '../der.ts';
import { AttestationError } from '../errors.ts';
import {
  type Extension,
  parseBasicConstraints,
  parseDirectoryNames,
  parseExtensions,
  parseKeyUsage,
  parseOids,
  parseTpmSpecification,
  type TpmSpecification,
} from './extensions.ts';
import { type DistinguishedName, nameText, parseName } from './name.ts';
import type { EkQuirk } from './quirks.ts';
import { parseSigned, type Signed } from './signed.ts';
import { parseTime } from './time.ts';

/** What an X.509 certificate (RFC 5280) says, before anything is checked. */
export interface Certificate {
  readonly der: Uint8Array;
  /** The subject, for messages. */
  readonly label: string;
  readonly signed: Signed;
  /** Hex of the serial number's DER content: what CRLs name it by. */
  readonly serial: string;
  readonly subject: DistinguishedName;
  readonly issuer: DistinguishedName;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** With rsaEncryption where the maker wrote id-RSAES-OAEP. */
  readonly publicKeySpki: Uint8Array;
  readonly extensions: readonly Extension[];
  readonly isAuthority: boolean;
  readonly pathLength: number | undefined;
  /** Bits of `KEY_USAGE`; null without the extension. */
  readonly keyUsage: number | null;
  readonly extendedKeyUsages: readonly string[];
  readonly policies: readonly string[];
  readonly alternativeName: AlternativeName | null;
  readonly specification: TpmSpecification | null;
  readonly quirks: readonly EkQuirk[];
}

export interface AlternativeName {
  readonly critical: boolean;
  readonly directoryNames: readonly DistinguishedName[];
}

export const EXTENSION = {
  subjectDirectoryAttributes: '2.5.29.9',
  keyUsage: '2.5.29.15',
  alternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  extendedKeyUsage: '2.5.29.37',
} as const;

const CERTIFICATE_BYTES_MAX = 8192;
const SERIAL_BYTES_MAX = 32;
const VERSION_3 = 2;
const RSAES_OAEP = '1.2.840.113549.1.1.7';
const RSA_ENCRYPTION = Uint8Array.of(0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0);

/** Reads one certificate that fills `der`. Throws `EK_CERTIFICATE_MALFORMED`. */
export function parseCertificate(der: Uint8Array): Certificate {
  try {
    return read(der, parseDer(der, CERTIFICATE_BYTES_MAX));
  } catch (cause) {
    if (!(cause instanceof DerError)) throw cause;
    throw new AttestationError('EK_CERTIFICATE_MALFORMED', `not a certificate: ${cause.message}`, { cause });
  }
}

function read(der: Uint8Array, root: Der): Certificate {
  const { signed, fields } = parseSigned(root);
  const [version, serial, inner, issuerName, validity, subjectName, spki, ...rest] = childrenOf(fields);
  // RFC 5280, 4.1.2.3: the algorithm inside is the one outside.
  const [, outer] = childrenOf(root);
  if (!bytesEqual(expectTag(inner, TAG.sequence).whole, expectTag(outer, TAG.sequence).whole))
    throw derError('two signature algorithms');
  const [notBefore, notAfter, ...others] = childrenOf(expectTag(validity, TAG.sequence));
  if (others.length > 0) throw derError('not a validity');
  const subject = parseName(subjectName);
  const issuer = parseName(issuerName);
  const key = readKey(expectTag(spki, TAG.sequence));
  const { extensions, hasDefaults } = readExtensions(expectTag(version, TAG.context0), rest);
  const quirks: EkQuirk[] = [];
  if (hasDefaults) quirks.push('default-encoded');
  if (!subject.isSorted || !issuer.isSorted) quirks.push('name-unsorted');
  if (key.isOaep) quirks.push('oaep-key');
  return {
    der,
    label: `certificate ${nameText(subject)}`,
    signed,
    serial: serialOf(serial),
    subject,
    issuer,
    notBeforeMs: parseTime(notBefore),
    notAfterMs: parseTime(notAfter),
    publicKeySpki: key.spki,
    extensions,
    ...readKnown(extensions),
    quirks,
  };
}

/** The extensions that mean something here. */
function readKnown(extensions: readonly Extension[]) {
  function known<T, U>(type: string, parse: (value: Uint8Array) => T, absent: U): T | U {
    const extension = extensions.find((candidate) => candidate.type === type);
    return extension === undefined ? absent : parse(extension.value);
  }
  const names = extensions.find(({ type }) => type === EXTENSION.alternativeName);
  return {
    ...known(EXTENSION.basicConstraints, parseBasicConstraints, {
      isAuthority: false,
      pathLength: undefined,
    }),
    keyUsage: known(EXTENSION.keyUsage, parseKeyUsage, null),
    extendedKeyUsages: known(EXTENSION.extendedKeyUsage, parseOids, []),
    policies: known(EXTENSION.certificatePolicies, parseOids, []),
    alternativeName:
      names === undefined
        ? null
        : { critical: names.critical, directoryNames: parseDirectoryNames(names.value) },
    specification: known(EXTENSION.subjectDirectoryAttributes, parseTpmSpecification, undefined) ?? null,
  };
}

/** Behind the key: [1] and [2] unique identifiers, which nobody uses, and [3] extensions. */
function readExtensions(version: Der, rest: readonly Der[]): ReturnType<typeof parseExtensions> {
  const [number] = childrenOf(version);
  const { content } = expectTag(number, TAG.integer);
  const [last, ...others] = rest;
  if (content.length !== 1 || content[0] !== VERSION_3 || others.length > 0)
    throw derError('not of version 3');
  if (last === undefined) return { extensions: [], hasDefaults: false };
  const [list, ...more] = childrenOf(expectTag(last, TAG.context3));
  if (more.length > 0) throw derError('more than one list of extensions');
  return parseExtensions(list);
}

function readKey(spki: Der): { readonly spki: Uint8Array; readonly isOaep: boolean } {
  const [algorithm, bits] = childrenOf(spki);
  const [oid] = childrenOf(expectTag(algorithm, TAG.sequence));
  if (oidOf(oid) !== RSAES_OAEP) return { spki: spki.whole, isOaep: false };
  bitsOf(bits);
  return {
    spki: encodeDer(TAG.sequence, RSA_ENCRYPTION, expectTag(bits, TAG.bitString).whole),
    isOaep: true,
  };
}

/** Compared as bytes. Makers use negative and empty-looking numbers, so none is refused but by its length. */
export function serialOf(value: Der | undefined): string {
  const { content } = expectTag(value, TAG.integer);
  if (content.length === 0 || content.length > SERIAL_BYTES_MAX) throw derError('not a serial number');
  return toHex(content);
}
