import { bytesEqual } from '@nemea/core';
import { bankBytes, bankHash, canonicalHashName, hashByName } from './hash.ts';
import type { ImaEntry, ImaList } from './list.ts';

/** Why an entry is bad whatever the policy says. */
export type ImaDefect =
  /** Its template hash is not that of its data: one of them was changed. */
  | 'TEMPLATE_HASH_MISMATCH'
  /** The digest of an ima-buf entry is not that of its buffer. */
  | 'BUFFER_DIGEST_MISMATCH'
  /** It was extended into a PCR that nothing here vouches for. */
  | 'PCR_NOT_QUOTED';

/** An entry that contradicts itself [IMA-11]. */
export interface ImaBadEntry {
  readonly number: number;
  readonly reason: ImaDefect;
  /** Path of the file or name of the buffer; empty for an unknown template. */
  readonly path: string;
}

/** Entries that contradict themselves, from position `from` of the list up to `to`. [IMA-11] */
export function findBadEntries(list: ImaList, from = 0, to = list.entries.length): ImaBadEntry[] {
  const hash = bankHash(list.templateHashAlgorithm);
  const expected = new Uint8Array(bankBytes(list.templateHashAlgorithm));
  const bad: ImaBadEntry[] = [];
  for (let i = from; i < to; i++) {
    const entry = list.entries[i] as ImaEntry;
    if (entry.violation) continue; // the kernel recorded no hash for it
    hash(entry.templateData, expected, 0);
    if (!sameBytes(expected, entry.templateHash)) bad.push(badEntry(entry, 'TEMPLATE_HASH_MISMATCH'));
    else if (bufferContradicts(entry)) bad.push(badEntry(entry, 'BUFFER_DIGEST_MISMATCH'));
  }
  return bad;
}

export function badEntry(entry: ImaEntry, reason: ImaDefect): ImaBadEntry {
  return { number: entry.number, reason, path: pathOf(entry) };
}

/** Path of the file, name of the buffer, or nothing. It is the machine's to choose: print it with care. */
export function pathOf({ fields }: ImaEntry): string {
  switch (fields.kind) {
    case 'file':
      return fields.path;
    case 'buffer':
      return fields.name;
    case 'unknown':
      return '';
  }
}

/** The kernel hashes the buffer that it records, also where that is itself a hash (process_buffer_measurement). */
function bufferContradicts({ fields }: ImaEntry): boolean {
  if (fields.kind !== 'buffer') return false;
  const digest = hashByName(canonicalHashName(fields.digest.algorithm), fields.buffer);
  return digest !== null && !bytesEqual(digest, fields.digest.value);
}

/** Public values, so leaving at the first difference leaks nothing. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
