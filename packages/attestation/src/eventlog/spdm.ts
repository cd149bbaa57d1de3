import { formatDevicePath, parseDevicePath } from './device-path.ts';
import { BodyError, LittleEndianReader, textOrNull } from './reader.ts';

/** DEVICE_SECURITY_EVENT_DATA and DEVICE_SECURITY_EVENT_DATA2: what a device says of itself by SPDM (TCG PFP 1.06, 10.2.7). */
export interface DeviceSecurity {
  readonly version: number;
  /** How the device proved itself; null in version 1. */
  readonly authState:
    | 'success'
    | 'no-auth'
    | 'no-binding'
    | 'no-signature'
    | 'invalid'
    | 'no-spdm'
    | 'unknown'
    | null;
  readonly deviceType: 'none' | 'pci' | 'usb' | 'unknown';
  readonly devicePath: string | null;
  readonly content:
    | { readonly kind: 'measurements'; readonly hashAlgorithm: number; readonly blocks: Uint8Array }
    | { readonly kind: 'certificate-chain'; readonly hashAlgorithm: number; readonly chain: Uint8Array }
    | { readonly kind: 'opaque'; readonly data: Uint8Array };
  readonly pci: PciDevice | null;
}

/** A device on the PCI bus that SPDM measured. */
export interface PciDevice {
  readonly vendorId: number;
  readonly deviceId: number;
  readonly revisionId: number;
  readonly classCode: number;
  readonly subsystemVendorId: number;
  readonly subsystemId: number;
}

const SIGNATURE_BYTES = 16;
const AUTH_STATES = ['success', 'no-auth', 'no-binding', 'no-signature', 'invalid'] as const;
const DEVICE_TYPES = ['none', 'pci', 'usb'] as const;

/** Throws `BodyError`. */
export function parseDeviceSecurity(data: Uint8Array): DeviceSecurity {
  const reader = new LittleEndianReader(data);
  const signature = textOrNull(reader.bytes(SIGNATURE_BYTES));
  if (signature === 'SPDM Device Sec\0') return parseVersion1(reader);
  if (signature === 'SPDM Device Sec2') return parseVersion2(reader);
  throw new BodyError('no SPDM signature');
}

function parseVersion1(reader: LittleEndianReader): DeviceSecurity {
  const version = reader.u16();
  reader.u16(); // length of everything; the event's own size bounds it already
  const hashAlgorithm = reader.u32();
  const deviceType = DEVICE_TYPES[reader.u32()] ?? 'unknown';
  const blocks = readMeasurementBlock(reader);
  const pci = readContext(reader, deviceType);
  const content = { kind: 'measurements', hashAlgorithm, blocks } as const;
  return { version, authState: null, deviceType, devicePath: null, content, pci };
}

/** SPDM_MEASUREMENT_BLOCK: index, specification, size, measurement (DMTF DSP0274, 10.11). */
function readMeasurementBlock(reader: LittleEndianReader): Uint8Array {
  const header = reader.bytes(4);
  const size = (header[2] as number) | ((header[3] as number) << 8);
  return reader.bytes(size);
}

function parseVersion2(reader: LittleEndianReader): DeviceSecurity {
  const version = reader.u16();
  const state = reader.u8();
  reader.u8();
  reader.u32(); // length of what follows
  const deviceType = DEVICE_TYPES[reader.u32()] ?? 'unknown';
  const [subType, subBytes] = [reader.u32(), reader.u32()];
  reader.u64(); // identifier that binds two events together
  const path = reader.bytes(reader.length64());
  const content = readSubHeader(subType, reader.bytes(subBytes));
  const pci = readContext(reader, deviceType);
  const authState = state === 0xff ? 'no-spdm' : (AUTH_STATES[state] ?? 'unknown');
  const devicePath = path.length === 0 ? null : formatDevicePath(parseDevicePath(path));
  return { version, authState, deviceType, devicePath, content, pci };
}

function readSubHeader(type: number, data: Uint8Array): DeviceSecurity['content'] {
  if (type > 1) return { kind: 'opaque', data };
  const reader = new LittleEndianReader(data);
  reader.bytes(4); // SPDM version, number of blocks or slot, reserved
  const hashAlgorithm = reader.u32();
  const rest = reader.rest();
  return type === 0
    ? { kind: 'measurements', hashAlgorithm, blocks: rest }
    : { kind: 'certificate-chain', hashAlgorithm, chain: rest };
}

function readContext(reader: LittleEndianReader, deviceType: DeviceSecurity['deviceType']): PciDevice | null {
  if (deviceType !== 'pci') return null;
  reader.u16(); // version
  reader.u16(); // length
  const [vendorId, deviceId, revisionId] = [reader.u16(), reader.u16(), reader.u8()];
  const code = reader.bytes(3);
  const classCode = (code[0] as number) | ((code[1] as number) << 8) | ((code[2] as number) << 16);
  return {
    vendorId,
    deviceId,
    revisionId,
    classCode,
    subsystemVendorId: reader.u16(),
    subsystemId: reader.u16(),
  };
}
