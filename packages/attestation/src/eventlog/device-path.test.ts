import { concatBytes, fromHex, fromUtf8 } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDevicePath, parseDevicePath } from './device-path.ts';
import { BodyError } from './reader.ts';
import { filePath, guid, OWNER, PATH_END, pathNode, u16, u32, u64, utf16le } from './testing.ts';

function textOf(...nodes: readonly Uint8Array[]): string {
  return formatDevicePath(parseDevicePath(concatBytes(...nodes, PATH_END)));
}

const ROOT = pathNode(2, 1, concatBytes(u32(0x0a0341d0), u32(0)));
const PCI = pathNode(1, 1, Uint8Array.of(2, 0x1f));

describe('a device path', () => {
  test('reads as UEFI writes it, from the root to the file', () => {
    const disk = concatBytes(u32(1), u64(2048), u64(0x100000), guid(OWNER), Uint8Array.of(2, 2));
    const sata = pathNode(3, 18, concatBytes(u16(0), u16(0xffff), u16(0)));
    expect(textOf(ROOT, PCI, sata, pathNode(4, 1, disk), filePath('\\EFI\\BOOT\\BOOTX64.EFI'))).toBe(
      `PciRoot(0x0)/Pci(0x1f,0x2)/Sata(0x0,0xffff,0x0)/HD(1,GPT,${OWNER},0x800,0x100000)/\\EFI\\BOOT\\BOOTX64.EFI`,
    );
  });

  test('from the network has address and URI', () => {
    const mac = new Uint8Array(33);
    mac.set(fromHex('525400000002'));
    mac[32] = 1;
    const addresses = concatBytes(
      fromHex('0a4d0002'),
      fromHex('0a4d0001'),
      u16(0),
      u16(80),
      u16(6),
      Uint8Array.of(0),
    );
    const ipv4 = concatBytes(addresses, new Uint8Array(8));
    const uri = fromUtf8('http://10.77.0.1/hpc.efi');
    expect(textOf(ROOT, PCI, pathNode(3, 11, mac), pathNode(3, 12, ipv4), pathNode(3, 24, uri))).toBe(
      'PciRoot(0x0)/Pci(0x1f,0x2)/MAC(525400000002,0x1)/IPv4(10.77.0.1,TCP,DHCP,10.77.0.2)/Uri(http://10.77.0.1/hpc.efi)',
    );
  });

  test.each<[number, number, Uint8Array, string]>([
    [1, 3, concatBytes(u32(11), u64(0x1000), u64(0x1fff)), 'MemoryMapped(0xb,0x1000,0x1fff)'],
    [1, 4, guid(OWNER), `VenHw(${OWNER})`],
    [1, 4, concatBytes(guid(OWNER), Uint8Array.of(1, 2)), `VenHw(${OWNER},0102)`],
    [1, 5, u32(3), 'Ctrl(0x3)'],
    [2, 1, concatBytes(u32(0x0a0841d0), u32(1)), 'PcieRoot(0x1)'],
    [2, 1, concatBytes(u32(0x050141d0), u32(0)), 'Serial(0x0)'],
    [2, 1, concatBytes(u32(0x0b0041d0), u32(0)), 'Acpi(PNP0B00,0x0)'],
    [2, 2, concatBytes(u32(0x0a0841d0), u32(0), u32(0), fromUtf8('\0\0\0')), 'AcpiEx(PNP0A08,0,0x0)'],
    [2, 3, u32(0x80010100), 'AcpiAdr(0x80010100)'],
    [3, 1, concatBytes(Uint8Array.of(1, 0), u16(2)), 'Ata(Secondary,Master,0x2)'],
    [3, 2, concatBytes(u16(1), u16(0)), 'Scsi(0x1,0x0)'],
    [3, 5, Uint8Array.of(4, 0), 'USB(0x4,0x0)'],
    [3, 17, Uint8Array.of(2), 'Unit(0x2)'],
    [3, 20, u16(7), 'Vlan(7)'],
    [3, 23, concatBytes(u32(1), fromHex('0123456789abcdef')), 'NVMe(0x1,EF-CD-AB-89-67-45-23-01)'],
    [3, 26, Uint8Array.of(0), 'SD(0x0)'],
    [3, 28, new Uint8Array(32), 'Wi-Fi()'],
    [3, 29, Uint8Array.of(1), 'eMMC(0x1)'],
    [3, 31, concatBytes(Uint8Array.of(0), fromHex('0a000001'), new Uint8Array(12)), 'Dns(10.0.0.1)'],
    [4, 2, concatBytes(u32(0), u64(16), u64(32)), 'CDROM(0x0,0x10,0x20)'],
    [4, 6, guid(OWNER), `FvFile(${OWNER})`],
    [4, 7, guid(OWNER), `Fv(${OWNER})`],
    [4, 8, concatBytes(u32(0), u64(0x10), u64(0x20)), 'Offset(0x10,0x20)'],
    [5, 1, concatBytes(u16(2), u16(0), fromUtf8('disk\0')), 'BBS(HD,disk,0x0)'],
    [3, 99, Uint8Array.of(1, 2), 'Path(3,99,0102)'],
    [9, 1, new Uint8Array(0), 'Path(9,1)'],
    [3, 18, Uint8Array.of(1), 'Path(3,18,01)'],
  ])(
    'node %i/%i is told by name, or by its bytes when it is unknown or too short',
    (type, subType, data, text) => {
      expect(textOf(pathNode(type, subType, data))).toBe(text);
    },
  );

  test('with several instances has a comma between them', () => {
    expect(textOf(ROOT, pathNode(0x7f, 1, new Uint8Array(0)), PCI)).toBe('PciRoot(0x0),Pci(0x1f,0x2)');
  });

  test('of a partition without GPT shows the signature of the disk', () => {
    const signature = concatBytes(u32(0xdeadbeef), new Uint8Array(12));
    const disk = concatBytes(u32(2), u64(1), u64(2), signature, Uint8Array.of(1, 1));
    expect(textOf(pathNode(4, 1, disk))).toBe('HD(2,MBR,0xdeadbeef,0x1,0x2)');
  });

  test('of any bytes gives a text or is refused, and takes each byte once', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          const nodes = parseDevicePath(bytes);
          expect(nodes.length).toBeLessThanOrEqual(bytes.length / 4);
          formatDevicePath(nodes);
        } catch (error) {
          expect(error).toBeInstanceOf(BodyError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('whose node claims less than its own header is refused', () => {
    expect(() => parseDevicePath(Uint8Array.of(4, 4, 3, 0, 0))).toThrow(BodyError);
    expect(() => parseDevicePath(concatBytes(u16(0x0404), u16(200), utf16le('x')))).toThrow(BodyError);
  });
});
