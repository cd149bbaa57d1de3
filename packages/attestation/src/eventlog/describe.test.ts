import { concatBytes, fromUtf8, sha256 } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import {
  type BootDescription,
  describeBoot,
  parseEventLog,
  replayEventLog,
  verifyEventLog,
} from './index.ts';
import {
  action,
  authority,
  bootEvents,
  certificateOf,
  grubText,
  guid,
  imageLoad,
  OWNER,
  secureBootVariable,
  separator,
  u32,
  utf16le,
  variableData,
  type WrittenEvent,
  writeAgileLog,
} from './testing.ts';

const OFF = secureBootVariable('SecureBoot', Uint8Array.of(0));
const ON = secureBootVariable('SecureBoot', Uint8Array.of(1));

/** What a log says of a machine whose TPM holds what `events` extend. */
function describeOf(events: readonly WrittenEvent[], only?: readonly number[]): BootDescription {
  const log = parseEventLog(writeAgileLog(['sha256'], events));
  const quoted = [...(replayEventLog(log).get('sha256') ?? [])]
    .map(([pcr, value]) => ({ bank: 'sha256' as const, pcr, value }))
    .filter(({ pcr }) => only?.includes(pcr) ?? true);
  const result = verifyEventLog(log, quoted);
  if (!result.ok) throw new Error('the log does not replay to itself');
  return describeBoot(result.boot);
}

describe('a boot with Secure Boot, shim and GRUB [LOG-14]', () => {
  const boot = describeOf(bootEvents(60));

  test('tells the state of Secure Boot, its keys, and the key that was used', () => {
    const { enabled, pk, kek, db, dbx, authorities, problems } = boot.secureBoot;
    expect(enabled).toBe(true);
    expect([pk, kek, db, dbx].map((lists) => lists?.map(({ type }) => type))).toEqual([
      ['x509'],
      ['x509'],
      ['x509'],
      ['sha256'],
    ]);
    expect(dbx?.[0]?.signatures).toHaveLength(200);
    expect(authorities).toMatchObject([
      { variable: 'db', owner: OWNER, isBeforeSeparator: false, verified: true },
    ]);
    expect(authorities[0]?.certificate).toEqual(db?.[0]?.signatures[0]?.data);
    expect(problems).toEqual([]);
  });

  test('tells the chain of images with their digests; the paths are only claims', () => {
    expect(boot.bootLoaders.map(({ devicePath }) => devicePath)).toEqual([
      '\\EFI\\linux\\shimx64.efi',
      '\\EFI\\linux\\grubx64.efi',
      '',
    ]);
    expect(boot.bootLoaders[0]).toMatchObject({
      verified: false,
      digests: { sha256: sha256(fromUtf8('shim')) },
    });
    expect(boot.drivers).toEqual([]);
  });

  test('tells boot order, options, disk, command line, kernel and initrd', () => {
    expect(boot.bootOrder).toEqual([1, 0]);
    expect(boot.bootOptions).toMatchObject([
      { name: 'Boot0001', verified: true, option: { description: 'linux' } },
    ]);
    expect(boot.gpt[0]?.gpt.partitions.map(({ name }) => name)).toEqual(['EFI', 'root']);
    expect(boot.kernelCommandLines).toMatchObject([
      { text: '/boot/vmlinuz-6.1 root=LABEL=root ro quiet', verified: true },
    ]);
    expect(boot.files).toMatchObject([
      { name: '/boot/vmlinuz-6.1', role: 'kernel', digests: { sha256: sha256(fromUtf8('kernel')) } },
      { name: '/boot/initrd.img-6.1', role: 'initrd' },
    ]);
    expect(boot.grubCommands.length).toBeGreaterThan(10);
    expect(boot.firmwareBlobs).toMatchObject([
      { base: 0x820000n, digests: { sha256: sha256(fromUtf8('PEI')) } },
    ]);
    expect(boot.crtmVersion).toMatchObject({ text: 'Firmware 1.2', verified: true });
    expect(boot.separators.map(({ pcr, meaning }) => [pcr, meaning])).toEqual(
      [7, 0, 1, 2, 3, 4, 5, 6].map((pcr) => [pcr, 'normal']),
    );
    expect(boot.actions.map(({ text }) => text)).toContain('Exit Boot Services Invocation');
  });

  test('tells nothing of registers that were not quoted', () => {
    const partial = describeOf(bootEvents(60), [4]);
    expect(partial.secureBoot.enabled).toBeNull();
    expect(partial.bootOrder).toBeNull();
    expect(partial.bootLoaders).toHaveLength(3);
  });
});

describe('Secure Boot [LOG-15]', () => {
  const stateOf = (...events: WrittenEvent[]) => describeOf(events).secureBoot;

  test('is off, on, or unknown when it was not measured', () => {
    expect(stateOf(OFF, separator(7)).enabled).toBe(false);
    expect(stateOf(ON, separator(7)).enabled).toBe(true);
    expect(stateOf(separator(7))).toMatchObject({ enabled: null, problems: ['SecureBoot was not measured'] });
  });

  test('is off where the firmware knows no Secure Boot and measures the variable without a value', () => {
    const absent = secureBootVariable('SecureBoot', new Uint8Array(0));
    expect(stateOf(absent, separator(7))).toMatchObject({ enabled: false, problems: [] });
    expect(stateOf(absent, ON, separator(7)).enabled).toBeNull();
    const spelt = { ...absent, data: variableData('SecureBoot\0', new Uint8Array(0)) };
    expect(stateOf(spelt, separator(7)).enabled).toBe(false);
  });

  test('is not believed when it was measured behind the separator, where anybody can', () => {
    expect(stateOf(separator(7), ON).enabled).toBeNull();
    expect(stateOf(OFF, separator(7), ON)).toMatchObject({
      enabled: false,
      problems: ['SecureBoot was measured again behind the separator'],
    });
  });

  test('is unknown when both values were measured', () => {
    expect(stateOf(OFF, ON, separator(7))).toMatchObject({
      enabled: null,
      problems: ['SecureBoot was measured with both values'],
    });
  });

  test('stays what the digests say when the log gives an event another type', () => {
    const hidden = { ...action(7, 'harmless'), measured: OFF.data };
    expect(stateOf(hidden, separator(7), ON).enabled).toBe(false);
    expect(stateOf(hidden, ON, separator(7)).enabled).toBeNull();
    const separatorInDisguise = { ...action(7, 'harmless'), measured: u32(0) };
    expect(stateOf(hidden, separatorInDisguise, ON, separator(7)).enabled).toBe(false);
    const lie = { ...ON, measured: OFF.data };
    expect(stateOf(lie, separator(7))).toMatchObject({
      enabled: false,
      problems: ['SecureBoot: the digest is not that of the data'],
    });
  });

  test('is believed when its name is spelt with a NUL, as long as the digest covers it', () => {
    const spelt: WrittenEvent = {
      pcr: 7,
      type: 'EV_EFI_VARIABLE_DRIVER_CONFIG',
      data: variableData('SecureBoot\0', Uint8Array.of(1)),
    };
    expect(stateOf(spelt, separator(7)).enabled).toBe(true);
    expect(stateOf(spelt, OFF, separator(7)).enabled).toBe(false);
    expect(stateOf({ ...spelt, measured: u32(1) }, separator(7)).enabled).toBeNull();
  });

  test('is unknown when the digest covers the value alone: it could be that of another variable', () => {
    const valueOnly = { ...ON, measured: Uint8Array.of(1) };
    expect(stateOf(valueOnly, separator(7))).toMatchObject({
      enabled: null,
      problems: ['SecureBoot: the digest is not that of the data', 'SecureBoot was not measured'],
    });
  });

  test('is closed by an error separator as well, and says what the firmware said', () => {
    expect(stateOf(ON, separator(7, 1)).enabled).toBe(true);
    const debug = stateOf(ON, action(7, 'UEFI Debug Mode'), separator(7));
    expect(debug.actions).toEqual(['UEFI Debug Mode']);
  });

  test('without separator has a problem; keys that are not verified are not told', () => {
    expect(stateOf(ON)).toMatchObject({ enabled: true, problems: ['register 7 has no separator'] });
    const forged = { ...secureBootVariable('db', new Uint8Array(0)), measured: u32(1) };
    expect(stateOf(ON, forged, separator(7))).toMatchObject({ db: null });
    expect(stateOf(ON, secureBootVariable('db', new Uint8Array(0)), separator(7)).db).toEqual([]);
    expect(stateOf(ON, secureBootVariable('dbx', u32(1)), separator(7))).toMatchObject({ dbx: null });
  });

  test('knows modes, and keys used for drivers before the separator', () => {
    const modes = ['SetupMode', 'AuditMode', 'DeployedMode'].map((name, i) =>
      secureBootVariable(name, Uint8Array.of(i === 2 ? 1 : 0)),
    );
    const used = authority('db', concatBytes(guid(OWNER), certificateOf(100, 1)));
    expect(stateOf(ON, ...modes, used, separator(7))).toMatchObject({
      setupMode: false,
      auditMode: false,
      deployedMode: true,
      authorities: [{ isBeforeSeparator: true }],
    });
  });

  test('of a confidential VM is in register 1, with the boot variables', () => {
    const events = [ON, separator(7)].map((event) => ({ ...event, pcr: 1 }));
    const log = parseEventLog(
      writeAgileLog(['sha384'], [...events, imageLoad(new Uint8Array(0), u32(1), 2)]),
      {
        registers: 'cc',
      },
    );
    const quoted = [...(replayEventLog(log).get('sha384') ?? [])].map(([pcr, value]) => {
      return { bank: 'sha384' as const, pcr, value };
    });
    const result = verifyEventLog(log, quoted);
    if (!result.ok) throw new Error('the log does not replay to itself');
    const boot = describeBoot(result.boot);
    expect(boot.secureBoot.enabled).toBe(true);
    expect(boot.bootLoaders).toHaveLength(1);
  });
});

describe('other boot loaders', () => {
  test('systemd-stub measures names and contents of sections, command lines and initrds', () => {
    const name = (text: string, measured: Uint8Array): WrittenEvent => {
      return { pcr: 11, type: 'EV_IPL', data: utf16le(`${text}\0`), measured };
    };
    const line: WrittenEvent = {
      pcr: 12,
      type: 'EV_IPL',
      data: utf16le('quiet ro\0'),
      measured: utf16le('quiet ro'),
    };
    const credentials: WrittenEvent = {
      pcr: 12,
      type: 'EV_IPL',
      data: utf16le('Credentials initrd\0'),
      measured: u32(1),
    };
    const boot = describeOf([
      name('.linux', fromUtf8('.linux\0')),
      name('.linux', fromUtf8('the kernel')),
      line,
      credentials,
    ]);
    expect(boot.sections).toMatchObject([
      { name: '.linux', covers: 'name', verified: true },
      { name: '.linux', covers: 'content', digests: { sha256: sha256(fromUtf8('the kernel')) } },
    ]);
    expect(boot.kernelCommandLines).toMatchObject([{ text: 'quiet ro', verified: true }]);
    expect(boot.files).toMatchObject([{ name: 'Credentials initrd', role: 'initrd', verified: false }]);
  });

  test('the Linux EFI stub tags load options and initrd', () => {
    const tag = (id: number, text: string): WrittenEvent => {
      const data = concatBytes(u32(id), u32(text.length), fromUtf8(text));
      return { pcr: 9, type: 'EV_EVENT_TAG', data, measured: fromUtf8(`content of ${text}`) };
    };
    const boot = describeOf([tag(0x8f3b22ed, 'LOADED_IMAGE::LoadOptions'), tag(0x8f3b22ec, 'Linux initrd')]);
    expect(boot.files).toMatchObject([
      { role: 'load-options', verified: false },
      { role: 'initrd', verified: false },
    ]);
  });

  test('shim measures its variables', () => {
    const mok: WrittenEvent = { pcr: 14, type: 'EV_IPL', data: fromUtf8('MokList\0'), measured: u32(7) };
    expect(describeOf([mok]).shimVariables).toMatchObject([{ name: 'MokList', verified: false }]);
  });

  test('Windows measures its settings in aggregations', () => {
    const inner = concatBytes(u32(0x00050003), u32(1), Uint8Array.of(1));
    const data = concatBytes(u32(0x40010001), u32(inner.length), inner);
    const boot = describeOf([{ pcr: 12, type: 'EV_EVENT_TAG', data }]);
    expect(boot.windows).toMatchObject([
      { verified: true, tagged: { name: 'TestSigning', data: Uint8Array.of(1) } },
    ]);
  });

  test('an unverified command line is told as such', () => {
    const forged = { ...grubText('kernel_cmdline: ', 'ro quiet'), measured: fromUtf8('init=/bin/sh') };
    expect(describeOf([forged]).kernelCommandLines).toMatchObject([{ text: 'ro quiet', verified: false }]);
  });

  test('an unverified boot order is not told at all', () => {
    const forged: WrittenEvent = {
      pcr: 1,
      type: 'EV_EFI_VARIABLE_BOOT',
      data: variableData('BootOrder', u32(1)),
      measured: u32(2),
    };
    expect(describeOf([forged]).bootOrder).toBeNull();
  });
});
