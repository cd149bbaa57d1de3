import { toHex } from '@nemea/core';
import { BodyError, formatGuid, LittleEndianReader, textOrNull, utf16UntilNul } from './reader.ts';

/** One node of an EFI device path (UEFI 2.10, 10.3). */
export interface DevicePathNode {
  readonly type: number;
  readonly subType: number;
  readonly data: Uint8Array;
}

const END = 0x7f;
const END_ENTIRE = 0xff;
const NODE_HEADER_BYTES = 4;

/**
 * Splits a device path into its nodes, up to the end node; what follows it must be another path or zeros. Throws
 * `BodyError` for a node that overruns the bytes.
 */
export function parseDevicePath(bytes: Uint8Array): DevicePathNode[] {
  const reader = new LittleEndianReader(bytes);
  const nodes: DevicePathNode[] = [];
  while (reader.remaining > 0) {
    const [type, subType, length] = [reader.u8(), reader.u8(), reader.u16()];
    if (length < NODE_HEADER_BYTES) throw new BodyError(`device path node of ${length} bytes`);
    const data = reader.bytes(length - NODE_HEADER_BYTES);
    if (type === END && subType === END_ENTIRE) break;
    nodes.push({ type, subType, data });
  }
  return nodes;
}

/** The text of UEFI 2.10, 10.6; a node that is unknown or malformed is `Path(type,subtype,hex)`. */
export function formatDevicePath(nodes: readonly DevicePathNode[]): string {
  let text = '';
  let isFirst = true;
  for (const node of nodes) {
    if (node.type === END) text += ',';
    else text += (isFirst ? '' : '/') + formatNode(node);
    isFirst = node.type === END;
  }
  return text;
}

type Format = (reader: LittleEndianReader) => string;

function formatNode({ type, subType, data }: DevicePathNode): string {
  const format = FORMATS[type]?.[subType];
  try {
    if (format !== undefined) return format(new LittleEndianReader(data));
  } catch (error) {
    if (!(error instanceof BodyError)) throw error;
  }
  return `Path(${type},${subType}${data.length === 0 ? '' : `,${toHex(data)}`})`;
}

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
const list = (name: string, ...values: readonly (string | number)[]): string =>
  `${name}(${values.join(',')})`;
const guidAnd =
  (name: string): Format =>
  (r) => {
    const guid = r.guid();
    return r.remaining === 0 ? list(name, guid) : list(name, guid, toHex(r.rest()));
  };
const u8s =
  (name: string, count: number): Format =>
  (r) =>
    list(name, ...Array.from({ length: count }, () => hex(r.u8())));
const ascii = (bytes: Uint8Array): string => (textOrNull(bytes) ?? toHex(bytes)).replace(/\0.*$/s, '');

/** By type and subtype (UEFI 2.10, 10.3.2 to 10.3.6). */
const FORMATS: Readonly<Record<number, Readonly<Record<number, Format>>>> = {
  1: {
    1: (r) => {
      const [fn, device] = [r.u8(), r.u8()];
      return list('Pci', hex(device), hex(fn));
    },
    2: u8s('PcCard', 1),
    3: (r) => list('MemoryMapped', hex(r.u32()), hex(r.u64()), hex(r.u64())),
    4: guidAnd('VenHw'),
    5: (r) => list('Ctrl', hex(r.u32())),
    6: (r) => list('BMC', hex(r.u8()), hex(r.u64())),
  },
  2: {
    1: (r) => formatAcpi(r.u32(), r.u32()),
    2: (r) => {
      const [hid, uid, cid] = [r.u32(), r.u32(), r.u32()];
      return list('AcpiEx', eisaId(hid), eisaId(cid), hex(uid), ...strings(r.rest()));
    },
    3: (r) => list('AcpiAdr', ...Array.from({ length: Math.max(1, r.remaining >> 2) }, () => hex(r.u32()))),
  },
  3: {
    1: (r) =>
      list('Ata', r.u8() === 0 ? 'Primary' : 'Secondary', r.u8() === 0 ? 'Master' : 'Slave', hex(r.u16())),
    2: (r) => list('Scsi', hex(r.u16()), hex(r.u16())),
    3: (r) => list('Fibre', hex(skip(r, 4).u64()), hex(r.u64())),
    4: (r) => list('I1394', hex(skip(r, 4).u64())),
    5: u8s('USB', 2),
    6: (r) => list('I2O', hex(r.u32())),
    9: (r) => list('Infiniband', hex(r.u32()), toHex(r.bytes(16)), hex(r.u64()), hex(r.u64()), hex(r.u64())),
    10: guidAnd('VenMsg'),
    11: (r) => {
      const address = r.bytes(32);
      const type = r.u8();
      return list('MAC', toHex(type <= 1 ? address.subarray(0, 6) : address), hex(type));
    },
    12: formatIpv4,
    13: formatIpv6,
    14: (r) => {
      const baud = skip(r, 4).u64();
      const [dataBits, parity, stopBits] = [r.u8(), r.u8(), r.u8()];
      return list(
        'Uart',
        String(baud),
        dataBits,
        'DNEOMS'[parity] ?? hex(parity),
        ['D', '1', '1.5', '2'][stopBits] ?? '',
      );
    },
    15: (r) => list('UsbClass', hex(r.u16()), hex(r.u16()), hex(r.u8()), hex(r.u8()), hex(r.u8())),
    16: (r) => {
      const [number, vendor, product] = [r.u16(), r.u16(), r.u16()];
      return list('UsbWwid', hex(vendor), hex(product), hex(number), JSON.stringify(utf16UntilNul(r.rest())));
    },
    17: u8s('Unit', 1),
    18: (r) => list('Sata', hex(r.u16()), hex(r.u16()), hex(r.u16())),
    19: (r) => {
      const [protocol, options] = [r.u16(), r.u16()];
      const [lun, portal] = [toHex(r.bytes(8)), r.u16()];
      return list('iSCSI', ascii(r.rest()), hex(portal), `0x${lun}`, hex(options), hex(protocol));
    },
    20: (r) => list('Vlan', r.u16()),
    21: (r) => list('FibreEx', `0x${toHex(skip(r, 4).bytes(8))}`, `0x${toHex(r.bytes(8))}`),
    22: (r) => list('SasEx', `0x${toHex(r.bytes(8))}`, `0x${toHex(r.bytes(8))}`, hex(r.u16()), hex(r.u16())),
    23: (r) =>
      list(
        'NVMe',
        hex(r.u32()),
        toHex(r.bytes(8).toReversed())
          .replace(/(..)(?=.)/g, '$1-')
          .toUpperCase(),
      ),
    24: (r) => list('Uri', ascii(r.rest())),
    25: u8s('UFS', 2),
    26: u8s('SD', 1),
    27: (r) => list('Bluetooth', toHex(r.bytes(6))),
    28: (r) => list('Wi-Fi', ascii(r.bytes(32))),
    29: u8s('eMMC', 1),
    30: (r) => list('BluetoothLE', toHex(r.bytes(6)), hex(r.u8())),
    31: (r) => list('Dns', ...addresses(r.u8() === 0 ? 4 : 16, r)),
    32: (r) => list('NVDIMM', r.guid()),
    33: (r) => list('RestService', hex(r.u8()), hex(r.u8())),
  },
  4: {
    1: formatHardDrive,
    2: (r) => list('CDROM', hex(r.u32()), hex(r.u64()), hex(r.u64())),
    3: guidAnd('VenMedia'),
    4: (r) => utf16UntilNul(r.rest()),
    5: (r) => list('Media', r.guid()),
    6: (r) => list('FvFile', r.guid()),
    7: (r) => list('Fv', r.guid()),
    8: (r) => list('Offset', hex(skip(r, 4).u64()), hex(r.u64())),
    9: (r) => list('RamDisk', hex(r.u64()), hex(r.u64()), r.guid(), hex(r.u16())),
  },
  5: {
    1: (r) => {
      const [type, flags] = [r.u16(), r.u16()];
      return list('BBS', BBS_TYPES[type] ?? hex(type), ascii(r.rest()), hex(flags));
    },
  },
};

const BBS_TYPES: Readonly<Record<number, string>> = {
  1: 'Floppy',
  2: 'HD',
  3: 'CDROM',
  4: 'PCMCIA',
  5: 'USB',
  6: 'Network',
};

function skip(reader: LittleEndianReader, length: number): LittleEndianReader {
  reader.bytes(length);
  return reader;
}

const ACPI_NAMES: Readonly<Record<string, string>> = {
  PNP0A03: 'PciRoot',
  PNP0A08: 'PcieRoot',
  PNP0604: 'Floppy',
  PNP0301: 'Keyboard',
  PNP0501: 'Serial',
  PNP0401: 'ParallelPort',
};

function formatAcpi(hid: number, uid: number): string {
  const id = eisaId(hid);
  const name = ACPI_NAMES[id];
  return name === undefined ? list('Acpi', id, hex(uid)) : list(name, hex(uid));
}

/** A compressed EISA id: three letters of five bits, then the product number. */
function eisaId(id: number): string {
  if (id === 0) return '0';
  const vendor = id & 0xffff;
  const letter = (shift: number): string => String.fromCharCode(0x40 + ((vendor >> shift) & 0x1f));
  return `${letter(10)}${letter(5)}${letter(0)}${(id >>> 16).toString(16).padStart(4, '0').toUpperCase()}`;
}

function strings(bytes: Uint8Array): string[] {
  const text = textOrNull(bytes);
  return text === null ? [toHex(bytes)] : text.split('\0').filter((part) => part !== '');
}

function ipv4(bytes: Uint8Array): string {
  return bytes.join('.');
}

function ipv6(bytes: Uint8Array): string {
  return toHex(bytes).replace(/(....)(?=.)/g, '$1:');
}

function formatIpv4(r: LittleEndianReader): string {
  const [local, remote] = [ipv4(r.bytes(4)), ipv4(r.bytes(4))];
  skip(r, 4);
  const [protocol, isStatic] = [r.u16(), r.u8()];
  return list('IPv4', remote, protocolName(protocol), isStatic === 0 ? 'DHCP' : 'Static', local);
}

function formatIpv6(r: LittleEndianReader): string {
  const [local, remote] = [ipv6(r.bytes(16)), ipv6(r.bytes(16))];
  skip(r, 4);
  const [protocol, origin] = [r.u16(), r.u8()];
  const origins = ['Static', 'StatelessAutoConfigure', 'StatefulAutoConfigure'];
  return list('IPv6', remote, protocolName(protocol), origins[origin] ?? hex(origin), local);
}

function protocolName(protocol: number): string {
  return protocol === 6 ? 'TCP' : protocol === 17 ? 'UDP' : hex(protocol);
}

function addresses(size: number, r: LittleEndianReader): string[] {
  const out: string[] = [];
  for (; r.remaining >= 16; ) {
    const bytes = r.bytes(16);
    out.push(size === 4 ? ipv4(bytes.subarray(0, 4)) : ipv6(bytes));
  }
  return out;
}

function formatHardDrive(r: LittleEndianReader): string {
  const [number, start, size] = [r.u32(), r.u64(), r.u64()];
  const signature = r.bytes(16);
  const [, signatureType] = [r.u8(), r.u8()];
  if (signatureType === 2) return list('HD', number, 'GPT', formatGuid(signature), hex(start), hex(size));
  if (signatureType === 1) {
    const id = new LittleEndianReader(signature).u32();
    return list('HD', number, 'MBR', `0x${id.toString(16).padStart(8, '0')}`, hex(start), hex(size));
  }
  return list('HD', number, signatureType, toHex(signature), hex(start), hex(size));
}
