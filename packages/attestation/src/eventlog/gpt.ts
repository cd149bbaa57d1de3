import { fromUtf8 } from '@nemea/core';
import { BodyError, LittleEndianReader, utf16UntilNul } from './reader.ts';

/** A partition of the disk that was booted from. */
export interface GptPartition {
  readonly type: string;
  readonly guid: string;
  readonly firstLba: bigint;
  readonly lastLba: bigint;
  readonly attributes: bigint;
  readonly name: string;
}

/** UEFI_GPT_DATA: the header and the entries that are in use (TCG PFP 1.06, 10.2.5; UEFI 2.10, 5.3). */
export interface Gpt {
  readonly diskGuid: string;
  readonly firstUsableLba: bigint;
  readonly lastUsableLba: bigint;
  readonly partitions: readonly GptPartition[];
}

const SIGNATURE = new LittleEndianReader(fromUtf8('EFI PART')).u64();
const ENTRY_BYTES_MIN = 128;

/** Throws `BodyError`. */
export function parseGpt(data: Uint8Array): Gpt {
  const reader = new LittleEndianReader(data);
  if (reader.u64() !== SIGNATURE) throw new BodyError('no GPT signature');
  reader.bytes(32); // revision, header size, checksum, reserved, own and alternate block
  const [firstUsableLba, lastUsableLba] = [reader.u64(), reader.u64()];
  const diskGuid = reader.guid();
  reader.bytes(12); // first block and number of the entries on the disk
  const entryBytes = reader.u32();
  reader.bytes(4);
  if (entryBytes < ENTRY_BYTES_MIN) throw new BodyError(`GPT entry of ${entryBytes} bytes`);
  const count = reader.length64();
  if (count * entryBytes !== reader.remaining)
    throw new BodyError(`${count} GPT entries in ${reader.remaining} bytes`);
  const partitions: GptPartition[] = [];
  for (let i = 0; i < count; i++)
    partitions.push(readPartition(new LittleEndianReader(reader.bytes(entryBytes))));
  return { diskGuid, firstUsableLba, lastUsableLba, partitions };
}

function readPartition(reader: LittleEndianReader): GptPartition {
  const [type, guid] = [reader.guid(), reader.guid()];
  const [firstLba, lastLba, attributes] = [reader.u64(), reader.u64(), reader.u64()];
  return { type, guid, firstLba, lastLba, attributes, name: utf16UntilNul(reader.bytes(72)) };
}
