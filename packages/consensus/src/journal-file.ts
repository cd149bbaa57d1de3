import { ByteWriter, bytesEqual, concatBytes, hashDomain, u32At } from '@nemea/core';
import { ConsensusError } from './errors.ts';

/**
 * Records in one file that is only appended to: a header that names whose it is, then frames of {length, check of the
 * length, check of the record, record}. Every check covers all before it, so records cannot change places [CONS-28].
 */
const CHECK_BYTES = 8;
const FRAME_BYTES = 4 + 2 * CHECK_BYTES;
const RECORD_BYTES_MAX = 64 * 1024 * 1024;

/** Where the next frame goes on from. */
export type JournalEnd = { readonly length: number; readonly check: Uint8Array };

/** The beginning of a journal. `owner` names the replica and the machine state that it belongs to. */
export function openJournal(owner: Uint8Array): { bytes: Uint8Array; end: JournalEnd } {
  const check = hashDomain('nemea/consensus/journal/1', owner);
  return { bytes: check, end: { length: check.length, check } };
}

/** The bytes to append for a record. They must be on disk before anything that the record says is done. */
export function appendRecord(end: JournalEnd, record: Uint8Array): { bytes: Uint8Array; end: JournalEnd } {
  const head = new ByteWriter(4).u32(record.length).toBytes();
  const headCheck = hashDomain('nemea/consensus/journal-length/1', end.check, head);
  const check = hashDomain('nemea/consensus/journal-record/1', headCheck, record);
  const bytes = concatBytes(head, headCheck.subarray(0, CHECK_BYTES), check.subarray(0, CHECK_BYTES), record);
  return { bytes, end: { length: end.length + bytes.length, check } };
}

/**
 * The records of a journal. What a crash left unfinished at the end, cut short or filled with zeros, is passed over:
 * nothing was said because of it. Everything else that does not fit throws `JOURNAL_INVALID`, and so does a journal of
 * another owner. The file is to be cut to `end.length` before it is appended to.
 */
export function readJournal(
  owner: Uint8Array,
  bytes: Uint8Array,
): { records: Uint8Array[]; end: JournalEnd } {
  const opened = openJournal(owner);
  if (!bytesEqual(bytes.subarray(0, opened.bytes.length), opened.bytes)) {
    throw new ConsensusError('JOURNAL_INVALID', 'the journal belongs to another replica or machine state');
  }
  const records: Uint8Array[] = [];
  let { end } = opened;
  for (;;) {
    const rest = bytes.subarray(end.length);
    if (rest.length < FRAME_BYTES || isBlank(rest)) return { records, end };
    const length = u32At(rest, 0);
    const headCheck = hashDomain('nemea/consensus/journal-length/1', end.check, rest.subarray(0, 4));
    const isHead = bytesEqual(headCheck.subarray(0, CHECK_BYTES), rest.subarray(4, 4 + CHECK_BYTES));
    if (!isHead || length > RECORD_BYTES_MAX) throw damaged(records.length);
    if (rest.length < FRAME_BYTES + length) return { records, end };
    const record = rest.subarray(FRAME_BYTES, FRAME_BYTES + length);
    const check = hashDomain('nemea/consensus/journal-record/1', headCheck, record);
    if (!bytesEqual(check.subarray(0, CHECK_BYTES), rest.subarray(4 + CHECK_BYTES, FRAME_BYTES))) {
      // A last frame whose pages did not all reach the disk.
      if (rest.length === FRAME_BYTES + length || isBlank(rest.subarray(FRAME_BYTES + length))) {
        return { records, end };
      }
      throw damaged(records.length);
    }
    records.push(record.slice());
    end = { length: end.length + FRAME_BYTES + length, check };
  }
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function damaged(index: number): ConsensusError {
  return new ConsensusError('JOURNAL_INVALID', `record ${index} is damaged`);
}
