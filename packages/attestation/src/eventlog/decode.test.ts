import { concatBytes, fromUtf8 } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import {
  decodeEvent,
  EVENT_TYPE,
  EVENTLOG_LIMITS,
  type EventBody,
  type EventTypeName,
  inspectEventLog,
  parseEventLog,
} from './index.ts';
import {
  authority,
  bootEvents,
  bootVariable,
  certificateOf,
  filePath,
  gptData,
  grubFile,
  grubText,
  guid,
  loadOption,
  noAction,
  OWNER,
  SHA256_LIST,
  secureBootVariable,
  separator,
  signatureList,
  specIdData,
  u16,
  u32,
  u64,
  utf16le,
  variableData,
  type WrittenEvent,
  writeAgileLog,
  X509_LIST,
} from './testing.ts';

function decoded(type: EventTypeName, data: Uint8Array, pcr = 0) {
  return decodeEvent({ pcr, type: EVENT_TYPE[type], data });
}

function bodyOf({ pcr, type, data }: WrittenEvent): EventBody {
  const { body, problem } = decodeEvent({ pcr, type: EVENT_TYPE[type as EventTypeName], data });
  expect(problem).toBeNull();
  return body;
}

const text8 = (text: string): Uint8Array => concatBytes(Uint8Array.of(text.length), fromUtf8(text));

describe('no-action events', () => {
  test('say which specification the log follows', () => {
    expect(bodyOf({ pcr: 0, type: 'EV_NO_ACTION', data: specIdData(['sha1', 'sha256']) })).toMatchObject({
      kind: 'spec-id',
      specId: { version: '2.0.106', uintnBytes: 8, algorithms: [{ bank: 'sha1' }, { bank: 'sha256' }] },
    });
  });

  test('say the startup locality and the components of an H-CRTM', () => {
    expect(bodyOf(noAction('StartupLocality', Uint8Array.of(3)))).toEqual({
      kind: 'startup-locality',
      locality: 3,
    });
    const component = concatBytes(text8('microcode'), Uint8Array.of(0x80), u16(4), u32(7));
    expect(bodyOf(noAction('H-CRTM CompMeas', component))).toEqual({
      kind: 'hcrtm-component',
      description: 'microcode',
      format: 0x80,
      measurement: u32(7),
    });
  });

  test('name the platform, in all three revisions of SP800-155', () => {
    const head = concatBytes(u32(11129), guid(OWNER));
    const names = concatBytes(...['Example\0', 'Board', '1', 'Firm'].map(text8), u32(11129), text8('2.7\0'));
    const locators = concatBytes(u32(1), u32(5), fromUtf8('a:b/c'), u32(0), u32(0));
    expect(bodyOf(noAction('SP800-155 Event', head))).toMatchObject({ kind: 'platform-id', revision: 1 });
    expect(bodyOf(noAction('SP800-155 Event2', concatBytes(head, names)))).toMatchObject({
      revision: 2,
      vendorId: 11129,
      referenceManifestGuid: OWNER,
      platform: { platformManufacturer: 'Example', platformModel: 'Board', firmwareVersion: '2.7' },
    });
    expect(bodyOf(noAction('SP800-155 Event3', concatBytes(head, names, locators)))).toMatchObject({
      revision: 3,
      rim: { type: 'uri', data: fromUtf8('a:b/c') },
      platformCertificate: { type: 'raw' },
    });
  });

  test('describe what went into an NV index', () => {
    const dynamic = concatBytes(u16(1), new Uint8Array(6), u64(9), u16(3), fromUtf8('abc'), u16(4), u32(1));
    expect(bodyOf(noAction('NvIndexDynamic ', dynamic, 0x01c40201))).toMatchObject({
      kind: 'nv-index-dynamic',
      uid: 9n,
      description: 'abc',
      data: u32(1),
    });
    const instance = concatBytes(u16(1), new Uint8Array(6), deviceSecurity2());
    expect(bodyOf(noAction('NvIndexInstance', instance, 0x01c40200))).toMatchObject({
      kind: 'nv-index-instance',
      device: { authState: 'success', content: { kind: 'certificate-chain' } },
    });
  });

  test('that are short or unknown say only that', () => {
    expect(decoded('EV_NO_ACTION', u32(0)).body).toEqual({ kind: 'no-action', signature: null });
    expect(decoded('EV_NO_ACTION', concatBytes(fromUtf8('SomethingElse\0\0\0'), u32(0))).body).toEqual({
      kind: 'no-action',
      signature: 'SomethingElse',
    });
    expect(decoded('EV_NO_ACTION', fromUtf8('SP800-155 Event3')).problem).toMatch(/wanted 4 bytes/);
  });
});

describe('separators', () => {
  test.each<[Uint8Array, string]>([
    [u32(0), 'normal'],
    [u32(0xffffffff), 'normal'],
    [u32(1), 'error'],
    [fromUtf8('WBCL'), 'windows'],
    [u32(2), 'unknown'],
    [new Uint8Array(0), 'unknown'],
    [new Uint8Array(8), 'unknown'],
  ])('%o is %s', (data, meaning) => {
    expect(decoded('EV_SEPARATOR', data).body).toEqual({ kind: 'separator', meaning });
  });
});

describe('firmware', () => {
  const blob = concatBytes(u64(0x820000), u64(0xe0000));

  test('blobs have a place, and in the second form a description', () => {
    const base = { kind: 'firmware-blob', base: 0x820000n, length: 0xe0000n };
    expect(decoded('EV_EFI_PLATFORM_FIRMWARE_BLOB', blob).body).toEqual({ ...base, description: null });
    expect(decoded('EV_EFI_PLATFORM_FIRMWARE_BLOB2', concatBytes(text8('PEI'), blob)).body).toEqual({
      ...base,
      description: 'PEI',
    });
    expect(decoded('EV_POST_CODE', blob).body).toEqual({ ...base, description: null });
    expect(decoded('EV_POST_CODE2', concatBytes(text8('ACPI'), blob)).body).toEqual({
      ...base,
      description: 'ACPI',
    });
  });

  test('texts are read in ASCII and in UTF-16, with and without NUL', () => {
    for (const data of [
      fromUtf8('SMM CODE'),
      fromUtf8('SMM CODE\0'),
      utf16le('SMM CODE'),
      utf16le('SMM CODE\0'),
    ]) {
      expect(decoded('EV_POST_CODE', data).body).toEqual({ kind: 'text', text: 'SMM CODE' });
      expect(decoded('EV_S_CRTM_VERSION', data).body).toEqual({ kind: 'text', text: 'SMM CODE' });
    }
    expect(decoded('EV_S_CRTM_VERSION', guid(OWNER)).body).toEqual({ kind: 'guid', guid: OWNER });
    const boot = fromUtf8('Boot Guard Measured S-CRTM\0');
    expect(decoded('EV_S_CRTM_CONTENTS', boot).body).toMatchObject({ text: 'Boot Guard Measured S-CRTM' });
    expect(decoded('EV_S_CRTM_CONTENTS', blob).body).toMatchObject({ base: 0x820000n, description: null });
    expect(decoded('EV_S_CRTM_CONTENTS', concatBytes(text8('ACM'), blob)).body).toMatchObject({
      description: 'ACM',
    });
    for (const type of ['EV_S_CRTM_CONTENTS', 'EV_S_CRTM_VERSION'] as const) {
      expect(decoded(type, new Uint8Array(9).fill(1))).toEqual({ body: { kind: 'opaque' }, problem: null });
    }
  });

  test.each<EventTypeName>([
    'EV_PREBOOT_CERT',
    'EV_UNUSED',
    'EV_ACTION',
    'EV_CPU_MICROCODE',
    'EV_PLATFORM_CONFIG_FLAGS',
    'EV_TABLE_OF_DEVICES',
    'EV_COMPACT_HASH',
    'EV_IPL_PARTITION_DATA',
    'EV_NONHOST_CODE',
    'EV_NONHOST_CONFIG',
    'EV_NONHOST_INFO',
    'EV_OMIT_BOOT_DEVICE_EVENTS',
    'EV_EFI_ACTION',
    'EV_EFI_HCRTM_EVENT',
  ])('%s is a text when it is one', (type) => {
    expect(decoded(type, fromUtf8('ACPI DATA')).body).toEqual({ kind: 'text', text: 'ACPI DATA' });
    expect(decoded(type, new Uint8Array(0)).problem).toBeNull();
  });

  test('bytes without structure are opaque, which is no oddity where none is promised', () => {
    expect(decoded('EV_CPU_MICROCODE', u32(0xfeff0102))).toEqual({ body: { kind: 'opaque' }, problem: null });
    expect(decodeEvent({ pcr: 0, type: 0x1234, data: u32(0xff) })).toEqual({
      body: { kind: 'opaque' },
      problem: null,
    });
  });

  test('tables are listed by GUID and address', () => {
    const tables = concatBytes(u64(1), guid(OWNER), u64(0x7f00));
    const want = [{ guid: OWNER, address: 0x7f00n }];
    expect(decoded('EV_EFI_HANDOFF_TABLES', tables).body).toMatchObject({ kind: 'tables', tables: want });
    expect(decoded('EV_EFI_HANDOFF_TABLES2', concatBytes(text8('SMBIOS'), tables)).body).toMatchObject({
      description: 'SMBIOS',
      tables: want,
    });
    expect(
      decoded('EV_EFI_HANDOFF_TABLES', concatBytes(u32(1), guid(OWNER), u32(0x7f00))).body,
    ).toMatchObject({
      tables: want,
    });
    expect(
      decoded('EV_EFI_HANDOFF_TABLES', concatBytes(u64(1n << 40n), guid(OWNER), u64(0))).problem,
    ).not.toBeNull();
  });

  test.each<EventTypeName>([
    'EV_EFI_BOOT_SERVICES_APPLICATION',
    'EV_EFI_BOOT_SERVICES_DRIVER',
    'EV_EFI_RUNTIME_SERVICES_DRIVER',
  ])('%s has the device path of the image, in logs of 64-bit and of 32-bit firmware', (type) => {
    const path = filePath('\\a.efi');
    const wide = concatBytes(u64(1), u64(2), u64(3), u64(path.length), path);
    const narrow = concatBytes(u64(1), u32(2), u32(3), u32(path.length), path);
    for (const data of [wide, narrow]) {
      expect(decoded(type, data).body).toMatchObject({
        kind: 'image-load',
        image: { address: 1n, length: 2n, linkTimeAddress: 3n, devicePath: '\\a.efi' },
      });
    }
    expect(decoded(type, wide.subarray(0, 20)).body).toEqual({ kind: 'opaque' });
  });

  test('a GPT lists its partitions; one that claims more than there are is refused', () => {
    const data = gptData(['EFI', 'root']);
    for (const type of ['EV_EFI_GPT_EVENT', 'EV_EFI_GPT_EVENT2'] as const) {
      expect(decoded(type, data).body).toMatchObject({
        kind: 'gpt',
        gpt: { diskGuid: OWNER, partitions: [{ name: 'EFI', firstLba: 2048n }, { name: 'root' }] },
      });
    }
    expect(decoded('EV_EFI_GPT_EVENT', data.subarray(0, -1)).problem).toBe('2 GPT entries in 255 bytes');
    expect(decoded('EV_EFI_GPT_EVENT', u64(0)).problem).toBe('no GPT signature');
  });
});

describe('variables', () => {
  test('with a flag', () => {
    const on = secureBootVariable('SecureBoot', Uint8Array.of(1));
    expect(bodyOf(on)).toMatchObject({
      variable: { name: 'SecureBoot', guid: '8be4df61-93ca-11d2-aa0d-00e098032b8c' },
      content: { kind: 'boolean', value: true },
    });
    const odd = decoded('EV_EFI_VARIABLE_DRIVER_CONFIG', variableData('SecureBoot', Uint8Array.of(7)));
    expect(odd.problem).toBe('SecureBoot: value of a boolean variable is not 0 or 1');
    expect(odd.body).toMatchObject({ kind: 'variable', content: { kind: 'opaque' } });
  });

  test('with keys and hashes', () => {
    const certificate = certificateOf(100, 1);
    const lists = concatBytes(
      signatureList(X509_LIST, [certificate]),
      signatureList(SHA256_LIST, [new Uint8Array(32), new Uint8Array(32).fill(1)]),
      signatureList('00000000-0000-0000-0000-000000000001', [u32(1)]),
    );
    expect(bodyOf(secureBootVariable('db', lists))).toMatchObject({
      content: {
        kind: 'signature-lists',
        lists: [
          { type: 'x509', signatures: [{ owner: OWNER, data: certificate }] },
          { type: 'sha256', signatures: [{}, {}] },
          { type: 'unknown', typeGuid: '00000000-0000-0000-0000-000000000001' },
        ],
      },
    });
    const empty = secureBootVariable('dbx', new Uint8Array(0));
    expect(bodyOf(empty)).toMatchObject({ content: { kind: 'signature-lists', lists: [] } });
  });

  test('with keys whose lengths do not fit keep their bytes, and that is told', () => {
    const list = signatureList(X509_LIST, [certificateOf(100, 1)]);
    const zero = list.slice();
    zero.set(u32(0), 24);
    for (const value of [list.subarray(0, -1), zero, u32(1)]) {
      const { body, problem } = decoded('EV_EFI_VARIABLE_DRIVER_CONFIG', variableData('KEK', value));
      expect(body).toMatchObject({ kind: 'variable', variable: { value }, content: { kind: 'opaque' } });
      expect(problem).toMatch(/^KEK: /);
    }
  });

  test('of the boot manager', () => {
    expect(bodyOf(bootVariable('BootOrder', concatBytes(u16(3), u16(1))))).toMatchObject({
      content: { kind: 'boot-order', order: [3, 1] },
    });
    expect(
      bodyOf(bootVariable('Boot0003', loadOption('linux', filePath('\\shim.efi'), false))),
    ).toMatchObject({
      content: {
        kind: 'load-option',
        option: { isActive: false, description: 'linux', devicePath: '\\shim.efi' },
      },
    });
  });

  test('of 32-bit firmware have lengths of four bytes', () => {
    const data = concatBytes(guid(OWNER), u32(2), u32(4), utf16le('ab'), u32(9));
    expect(decoded('EV_EFI_VARIABLE_BOOT', data)).toMatchObject({
      body: { variable: { name: 'ab', value: u32(9) } },
      problem: null,
    });
  });

  test('with lengths beyond the data are no variables', () => {
    const data = concatBytes(guid(OWNER), u64(1n << 63n), u64(1n << 63n), utf16le('ab'));
    expect(decoded('EV_EFI_VARIABLE_BOOT', data).body).toEqual({ kind: 'opaque' });
  });

  test('that authorised an image hold its certificate, in the form of any shim', () => {
    const certificate = certificateOf(100, 1);
    expect(bodyOf(authority('db', concatBytes(guid(OWNER), certificate)))).toMatchObject({
      content: { kind: 'authority', owner: OWNER, certificate },
    });
    expect(bodyOf(authority('Shim', certificate))).toMatchObject({
      content: { kind: 'authority', owner: null, certificate },
    });
    expect(bodyOf(authority('SbatLevel', fromUtf8('sbat,1,2021030218\n')))).toMatchObject({
      content: { kind: 'text', text: 'sbat,1,2021030218\n' },
    });
    expect(bodyOf(authority('MokListTrusted', Uint8Array.of(1)))).toMatchObject({
      content: { kind: 'boolean', value: true },
    });
    const padded = { ...authority('Shim', certificate) };
    const odd = decoded('EV_EFI_VARIABLE_AUTHORITY', concatBytes(padded.data, new Uint8Array(6)));
    expect(odd.problem).toBe('6 bytes behind the variable');
  });
});

describe('boot loaders', () => {
  test.each<[WrittenEvent, string, string]>([
    [grubText('grub_cmd: ', 'insmod ext2'), 'grub-command', 'insmod ext2'],
    [grubText('grub_cmd ', 'insmod ext2'), 'grub-command', 'insmod ext2'],
    [grubText('kernel_cmdline: ', '/vmlinuz ro'), 'grub-kernel-command-line', '/vmlinuz ro'],
    [grubText('grub_kernel_cmdline ', '/vmlinuz ro'), 'grub-kernel-command-line', '/vmlinuz ro'],
    [grubFile('(hd0,gpt2)/boot/vmlinuz', u32(0)), 'grub-file', '(hd0,gpt2)/boot/vmlinuz'],
    [grubFile('grub_linuxefi Kernel', u32(0)), 'grub-file', 'Kernel'],
    [{ pcr: 14, type: 'EV_IPL', data: fromUtf8('MokList\0') }, 'shim-variable', 'MokList'],
    [{ pcr: 11, type: 'EV_IPL', data: utf16le('.linux\0') }, 'section', '.linux'],
    [{ pcr: 12, type: 'EV_IPL', data: utf16le('root=LABEL=r ro') }, 'systemd', 'root=LABEL=r ro'],
    [
      { pcr: 8, type: 'EV_IPL', data: concatBytes(utf16le('ro quiet'), u16(0).subarray(1)) },
      'systemd',
      'ro quiet',
    ],
    [{ pcr: 4, type: 'EV_IPL', data: fromUtf8('MBR') }, 'text', 'MBR'],
  ])('%# are told apart by their texts', (event, what, text) => {
    expect(bodyOf(event)).toEqual({ kind: 'loader', what, text });
  });

  test('of Linux tag what they measured', () => {
    const tag = (id: number, text: string) => concatBytes(u32(id), u32(text.length), fromUtf8(text));
    expect(decoded('EV_EVENT_TAG', tag(0x8f3b22ed, 'LOADED_IMAGE::LoadOptions\0'), 9).body).toMatchObject({
      kind: 'tagged',
      events: [{ name: 'LoadOptions', children: [] }],
    });
    expect(decoded('EV_EVENT_TAG', tag(0x12345678, 'x'), 9).body).toMatchObject({ events: [{ name: null }] });
    expect(decoded('EV_EVENT_TAG', concatBytes(u32(1), u32(0xffffffff)), 9).body).toEqual({ kind: 'opaque' });
  });

  test('of Windows nest their events', () => {
    const inner = concatBytes(u32(0x00050001), u32(1), Uint8Array.of(1), u32(0x00020002), u32(8), u64(77));
    const data = concatBytes(u32(0x40010001), u32(inner.length), inner);
    expect(decoded('EV_EVENT_TAG', data, 12).body).toMatchObject({
      events: [
        {
          name: 'TrustBoundary',
          children: [{ name: 'OsKernelDebug' }, { name: 'BootCounter', data: u64(77) }],
        },
      ],
    });
  });
});

/** A device that proved itself by a certificate chain. */
function deviceSecurity2(): Uint8Array {
  const chain = concatBytes(u16(0x12), Uint8Array.of(0, 0), u32(2), fromUtf8('chain'));
  const path = filePath('\\x');
  const head = concatBytes(fromUtf8('SPDM Device Sec2'), u16(2), Uint8Array.of(0, 0), u32(0), u32(1));
  const sub = concatBytes(u32(1), u32(chain.length), u64(5), u64(path.length), path, chain);
  return concatBytes(head, sub, pciContext());
}

function pciContext(): Uint8Array {
  const ids = concatBytes(u16(0x8086), u16(0x1234), Uint8Array.of(1, 0, 0, 2), u16(0x8086), u16(1));
  return concatBytes(u16(0), u16(16), ids);
}

describe('devices', () => {
  const head = concatBytes(fromUtf8('SPDM Device Sec\0'), u16(1), u16(60), u32(2), u32(1));
  const block = concatBytes(Uint8Array.of(1, 1), u16(4), u32(0xabcd));

  test.each<EventTypeName>(['EV_EFI_SPDM_FIRMWARE_BLOB', 'EV_EFI_SPDM_FIRMWARE_CONFIG'])(
    '%s names the device',
    (type) => {
      expect(decoded(type, concatBytes(head, block, pciContext())).body).toMatchObject({
        kind: 'device',
        device: {
          version: 1,
          deviceType: 'pci',
          content: { kind: 'measurements', hashAlgorithm: 2, blocks: u32(0xabcd) },
          pci: { vendorId: 0x8086, deviceId: 0x1234, classCode: 0x020000 },
        },
      });
      expect(decoded(type, deviceSecurity2()).body).toMatchObject({
        device: {
          version: 2,
          authState: 'success',
          devicePath: '\\x',
          content: { kind: 'certificate-chain' },
        },
      });
      expect(decoded(type, head).body).toEqual({ kind: 'opaque' });
    },
  );

  test('are trusted by variables', () => {
    const policy = decoded(
      'EV_EFI_SPDM_DEVICE_POLICY',
      variableData('devdb', signatureList(X509_LIST, [u32(1)])),
      7,
    );
    expect(policy.body).toMatchObject({ content: { kind: 'signature-lists' } });
    const used = variableData('devdb', concatBytes(guid(OWNER), certificateOf(100, 1)));
    expect(decoded('EV_EFI_SPDM_DEVICE_AUTHORITY', used, 7).body).toMatchObject({
      content: { kind: 'authority' },
    });
  });
});

describe('findings [LOG-16]', () => {
  const quirksOf = (...events: WrittenEvent[]): string[] => {
    const closed = [0, 1, 2, 3, 4, 5, 6, 7].map((pcr) => separator(pcr));
    return inspectEventLog(parseEventLog(writeAgileLog(['sha1', 'sha256'], [...closed, ...events]))).map(
      ({ quirk }) => quirk,
    );
  };

  test('are none in a log as the profile wants it', () => {
    expect(inspectEventLog(parseEventLog(writeAgileLog(['sha1', 'sha256'], bootEvents(60))))).toEqual([]);
  });

  test('tell bodies that do not decode, and refuse nothing [LOG-13]', () => {
    expect(quirksOf({ pcr: 5, type: 'EV_EFI_GPT_EVENT', data: u32(0) })).toEqual(['body-undecodable']);
    expect(quirksOf({ pcr: 1, type: 0x4321, data: u32(0) })).toEqual(['type-unknown']);
  });

  test('tell odd separators', () => {
    expect(quirksOf({ ...separator(8), data: new Uint8Array(8) })).toEqual(['separator-size']);
    expect(quirksOf(separator(5, 1))).toEqual(['separator-error']);
    const described = { pcr: 5, type: 'EV_SEPARATOR', data: fromUtf8('oops'), measured: u32(1) } as const;
    expect(quirksOf(described)).toEqual(['separator-error']);
    const log = parseEventLog(
      writeAgileLog(['sha256'], [{ pcr: 3, type: 'EV_ACTION', data: fromUtf8('x') }]),
    );
    expect(inspectEventLog(log)).toMatchObject([
      { quirk: 'separator-missing', message: 'PCR 3 has no separator' },
    ]);
  });

  test('tell digests that are not those of the data, once for all banks', () => {
    expect(quirksOf({ pcr: 4, type: 'EV_EFI_ACTION', data: fromUtf8('a'), measured: fromUtf8('b') })).toEqual(
      ['digest-mismatch'],
    );
    const whole = { pcr: 1, type: 'EV_EFI_VARIABLE_BOOT', data: variableData('BootOrder', u16(1)) } as const;
    expect(quirksOf(whole)).toEqual(['digest-of-other-part']);
    const value = { ...secureBootVariable('SecureBoot', Uint8Array.of(1)), measured: Uint8Array.of(1) };
    expect(quirksOf(value)).toEqual(['digest-of-other-part']);
    const nul = { pcr: 4, type: 'EV_EFI_ACTION', data: fromUtf8('a\0'), measured: fromUtf8('a') } as const;
    expect(quirksOf(nul)).toEqual(['digest-of-other-part']);
  });

  test('say nothing of digests that cover what is not in the log', () => {
    const blob = concatBytes(u64(0), u64(1));
    expect(quirksOf({ pcr: 0, type: 'EV_EFI_PLATFORM_FIRMWARE_BLOB', data: blob, measured: u32(1) })).toEqual(
      [],
    );
    expect(quirksOf(grubFile('/boot/vmlinuz', fromUtf8('kernel')))).toEqual([]);
  });
});

describe('bodies as large as they may be are read in linear time', () => {
  const large = new Uint8Array(EVENTLOG_LIMITS.eventDataBytes);

  test('of NULs with a letter behind them', () => {
    const wide = large.slice();
    wide[0] = 0x61;
    wide[wide.length - 2] = 0x61;
    expect(decoded('EV_COMPACT_HASH', wide).body.kind).toBe('opaque');
    const narrow = large.slice();
    narrow[narrow.length - 1] = 0x61;
    expect(decoded('EV_IPL', narrow, 8).body.kind).toBe('opaque');
  });

  test('of a device path with a quarter of a million nodes', () => {
    const nodes = (EVENTLOG_LIMITS.eventDataBytes - 32) / 4;
    const image = large.slice();
    image.set(u64(4 * nodes), 24);
    for (let i = 0; i < nodes; i++) image.set([1, 9, 4, 0], 32 + 4 * i);
    const { body } = decoded('EV_EFI_BOOT_SERVICES_APPLICATION', image, 4);
    expect(body.kind === 'image-load' && body.image.path.length).toBe(nodes);
  });
});
