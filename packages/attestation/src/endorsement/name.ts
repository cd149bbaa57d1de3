import { compareBytes, toHex, toUtf8 } from '@nemea/core';
import { childrenOf, type Der, derError, expectTag, oidOf, TAG } from '../der.ts';

/** One attribute of a distinguished name (RFC 5280, 4.1.2.4). */
export interface NameAttribute {
  readonly type: string;
  readonly value: string;
}

export interface DistinguishedName {
  readonly attributes: readonly NameAttribute[];
  /** Equal for names that RFC 5280, 7.1 calls equal: by letters of any case, single spaces, and sets in any order. */
  readonly canonical: string;
  readonly isSorted: boolean;
}

const STRING_TAGS = { printable: 0x13, teletex: 0x14, ia5: 0x16, bmp: 0x1e } as const;
const ATTRIBUTES_MAX = 64;
const LABEL_CHARACTERS_MAX = 80;

/** Throws `DerError`. */
export function parseName(name: Der | undefined): DistinguishedName {
  const sets = childrenOf(expectTag(name, TAG.sequence), ATTRIBUTES_MAX);
  const attributes: NameAttribute[] = [];
  const canonical: string[][] = [];
  let isSorted = true;
  for (const set of sets) {
    const members = childrenOf(expectTag(set, TAG.set), ATTRIBUTES_MAX);
    if (members.length === 0) throw derError('a relative name without attributes');
    isSorted &&= members.every((member, i) => i === 0 || compareBytes(before(members, i), member.whole) <= 0);
    const read = members.map(parseAttribute);
    attributes.push(...read);
    canonical.push(read.map(({ type, value }) => `${type}=${folded(value)}`).sort());
  }
  return { attributes, canonical: JSON.stringify(canonical), isSorted };
}

/** For messages: as openssl prints it, or nearly. */
export function nameText({ attributes }: DistinguishedName): string {
  const text = attributes.map(({ type, value }) => `${SHORT[type] ?? type}=${value}`).join(', ');
  return JSON.stringify(text.slice(0, LABEL_CHARACTERS_MAX));
}

const SHORT: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
};

function before(members: readonly Der[], i: number): Uint8Array {
  return (members[i - 1] as Der).whole;
}

function parseAttribute(attribute: Der): NameAttribute {
  const [type, value, ...others] = childrenOf(expectTag(attribute, TAG.sequence));
  if (value === undefined || others.length > 0) throw derError('not an attribute of a name');
  return { type: oidOf(type), value: textOf(value) };
}

function textOf({ tag, content, whole }: Der): string {
  switch (tag) {
    case TAG.utf8String:
      return strictUtf8(content);
    case STRING_TAGS.printable:
    case STRING_TAGS.ia5:
    case STRING_TAGS.teletex:
      return Array.from(content, (byte) => String.fromCharCode(byte)).join('');
    case STRING_TAGS.bmp: {
      const units = Array.from({ length: content.length >> 1 }, (_, i) => u16(content, i));
      return units.map((unit) => String.fromCharCode(unit)).join('');
    }
    default:
      // Whatever it is, it is equal only to itself.
      return `#${toHex(whole)}`;
  }
}

function strictUtf8(content: Uint8Array): string {
  try {
    return toUtf8(content);
  } catch {
    throw derError('a string that is not UTF-8'); // its only reason to throw
  }
}

function u16(bytes: Uint8Array, index: number): number {
  return ((bytes[2 * index] as number) << 8) | (bytes[2 * index + 1] as number);
}

// Only ASCII is folded, as the libraries in use do: anything finer calls fewer names equal.
function folded(value: string): string {
  return value
    .trim()
    .replace(/[ \t\n\v\f\r]+/g, ' ')
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
