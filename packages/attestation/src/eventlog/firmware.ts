import type { EventBody } from './body.ts';
import { formatDevicePath, parseDevicePath } from './device-path.ts';
import { BodyError, LittleEndianReader, textOrNull, trimNuls } from './reader.ts';

/** UEFI_PLATFORM_FIRMWARE_BLOB (TCG PFP 1.06, 10.2.1). Throws `BodyError`, as all here do. */
export function decodeBlob(data: Uint8Array): EventBody {
  return readBlob(new LittleEndianReader(data), null);
}

/** UEFI_PLATFORM_FIRMWARE_BLOB2: the same behind a description. */
export function decodeBlob2(data: Uint8Array): EventBody {
  const reader = new LittleEndianReader(data);
  return readBlob(reader, description(reader));
}

function readBlob(reader: LittleEndianReader, text: string | null): EventBody {
  const [base, length] = [reader.u64(), reader.u64()];
  reader.end();
  return { kind: 'firmware-blob', base, length, description: text };
}

/** UEFI_HANDOFF_TABLE_POINTERS; the count is a u64, in old logs of 32-bit firmware everything is u32. */
export function decodeTables(data: Uint8Array): EventBody {
  const reader = new LittleEndianReader(data);
  const isWide = (data.length - 8) % 24 === 0;
  return { kind: 'tables', description: null, tables: readTables(reader, isWide) };
}

/** UEFI_HANDOFF_TABLE_POINTERS2. */
export function decodeTables2(data: Uint8Array): EventBody {
  const reader = new LittleEndianReader(data);
  const text = description(reader);
  return { kind: 'tables', description: text, tables: readTables(reader, true) };
}

function readTables(reader: LittleEndianReader, isWide: boolean) {
  const count = isWide ? reader.length64() : reader.u32();
  if (count * (isWide ? 24 : 20) !== reader.remaining)
    throw new BodyError(`${count} tables in ${reader.remaining} bytes`);
  return Array.from({ length: count }, () => ({
    guid: reader.guid(),
    address: isWide ? reader.u64() : BigInt(reader.u32()),
  }));
}

function description(reader: LittleEndianReader): string {
  const bytes = reader.bytes(reader.u8());
  return trimNuls(textOrNull(bytes) ?? String.fromCharCode(...bytes));
}

/** UEFI_IMAGE_LOAD_EVENT (TCG PFP 1.06, 10.2.3), in old logs of 32-bit firmware with u32 lengths. */
export function decodeImageLoad(data: Uint8Array): EventBody {
  const wide =
    readImageLoad(new LittleEndianReader(data), 8) ?? readImageLoad(new LittleEndianReader(data), 4);
  if (wide === null) throw new BodyError(`image load: lengths do not fit ${data.length} bytes`);
  const { bytes, ...addresses } = wide;
  const path = parseDevicePath(bytes);
  return { kind: 'image-load', image: { ...addresses, path, devicePath: formatDevicePath(path) } };
}

function readImageLoad(reader: LittleEndianReader, uintnBytes: 4 | 8) {
  if (reader.remaining < 8 + 3 * uintnBytes) return null;
  const address = reader.u64();
  const uintn = (): bigint => (uintnBytes === 8 ? reader.u64() : BigInt(reader.u32()));
  const [length, linkTimeAddress, pathBytes] = [uintn(), uintn(), uintn()];
  if (pathBytes > reader.remaining) return null;
  return { address, length, linkTimeAddress, bytes: reader.bytes(Number(pathBytes)) };
}
