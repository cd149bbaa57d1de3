import { childrenOf, type Der, derError, expectTag, oidOf, parseDer, positiveOf, TAG } from '../der.ts';
import { type DistinguishedName, parseName } from './name.ts';

/** Bits of KeyUsage (RFC 5280, 4.2.1.3), the first one lowest. */
export const KEY_USAGE = {
  digitalSignature: 0x1,
  keyEncipherment: 0x4,
  keyAgreement: 0x10,
  keyCertSign: 0x20,
  crlSign: 0x40,
} as const;

export interface Extension {
  readonly type: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

const EXTENSIONS_MAX = 64;
const NAMES_MAX = 64;
const DIRECTORY_NAME = 0xa4;
const PATH_LENGTH_MAX = 255;

/** Extensions (RFC 5280, 4.1.2.9), each once. Throws `DerError`. */
export function parseExtensions(list: Der | undefined): {
  readonly extensions: readonly Extension[];
  /** Whether a default is written out, as DER forbids and Intel does. */
  readonly hasDefaults: boolean;
} {
  const extensions: Extension[] = [];
  let hasDefaults = false;
  for (const extension of childrenOf(expectTag(list, TAG.sequence), EXTENSIONS_MAX)) {
    const [type, second, third, ...others] = childrenOf(expectTag(extension, TAG.sequence));
    const critical = second?.tag === TAG.boolean ? booleanOf(second) : undefined;
    if (critical === false) hasDefaults = true;
    const value = critical === undefined ? second : third;
    if (others.length > 0 || (critical === undefined && third !== undefined))
      throw derError('not an extension');
    const read = {
      type: oidOf(type),
      critical: critical ?? false,
      value: expectTag(value, TAG.octetString).content,
    };
    if (extensions.some((known) => known.type === read.type))
      throw derError(`repeats extension ${read.type}`);
    extensions.push(read);
  }
  return { extensions, hasDefaults };
}

export function parseKeyUsage(value: Uint8Array): number {
  const { content } = expectTag(parseDer(value), TAG.bitString);
  const [unused = 8, first, second = 0] = content;
  if (unused > 7 || content.length > 3 || first === undefined) throw derError('not a key usage');
  let usage = 0;
  for (let bit = 0; bit < 16; bit++) {
    const byte = bit < 8 ? first : second;
    if (byte & (0x80 >> (bit & 7))) usage |= 1 << bit;
  }
  return usage;
}

export function parseBasicConstraints(value: Uint8Array): {
  readonly isAuthority: boolean;
  readonly pathLength: number | undefined;
} {
  const [first, second, ...others] = childrenOf(expectTag(parseDer(value), TAG.sequence));
  const hasFlag = first?.tag === TAG.boolean;
  const length = hasFlag ? second : first;
  if (others.length > 0 || (!hasFlag && second !== undefined)) throw derError('not basic constraints');
  const pathLength = length === undefined ? undefined : Number(positiveOf(length));
  if (pathLength !== undefined && pathLength > PATH_LENGTH_MAX) throw derError('a path length beyond reason');
  return { isAuthority: hasFlag && booleanOf(first), pathLength };
}

/** ExtKeyUsageSyntax, or the identifiers of CertificatePolicies without their qualifiers. */
export function parseOids(value: Uint8Array): readonly string[] {
  const list = childrenOf(expectTag(parseDer(value), TAG.sequence), NAMES_MAX);
  return list.map((item) =>
    oidOf(item.tag === TAG.oid ? item : childrenOf(expectTag(item, TAG.sequence))[0]),
  );
}

/** The directory names among GeneralNames (RFC 5280, 4.2.1.6). */
export function parseDirectoryNames(value: Uint8Array): readonly DistinguishedName[] {
  const names = childrenOf(expectTag(parseDer(value), TAG.sequence), NAMES_MAX);
  return names
    .filter(({ tag }) => tag === DIRECTORY_NAME)
    .map((name) => {
      const [inner, ...others] = childrenOf(name);
      if (others.length > 0) throw derError('not a directory name');
      return parseName(inner);
    });
}

/** TPMSpecification (TCG EK Credential Profile 2.6, 3.1.3). */
export interface TpmSpecification {
  readonly family: string;
  readonly level: number;
  readonly revision: number;
}

const TPM_SPECIFICATION = '2.23.133.2.16';

/** The TPM specification among SubjectDirectoryAttributes; `undefined` without one. */
export function parseTpmSpecification(value: Uint8Array): TpmSpecification | undefined {
  for (const attribute of childrenOf(expectTag(parseDer(value), TAG.sequence), NAMES_MAX)) {
    const [type, values] = childrenOf(expectTag(attribute, TAG.sequence));
    if (oidOf(type) !== TPM_SPECIFICATION) continue;
    const [specification] = childrenOf(expectTag(values, TAG.set));
    const [family, level, revision] = childrenOf(expectTag(specification, TAG.sequence));
    const text = expectTag(family, TAG.utf8String).content;
    return {
      family: String.fromCharCode(...text.subarray(0, 16)),
      level: Number(positiveOf(level)),
      revision: Number(positiveOf(revision)),
    };
  }
  return undefined;
}

function booleanOf({ content }: Der): boolean {
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw derError('not a boolean');
  return content[0] === 0xff;
}
