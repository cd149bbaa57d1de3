import { concatBytes, fromUtf8, sha1, sha256 } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { type Bank, parseEventLog, type QuotedPcr, replayEventLog, verifyEventLog } from './index.ts';
import {
  action,
  bootEvents,
  bootVariable,
  grubText,
  imageLoad,
  noAction,
  separator,
  startupLocality,
  u32,
  type WrittenEvent,
  writeAgileLog,
} from './testing.ts';

const ZEROS = new Uint8Array(32);

function logOf(events: readonly WrittenEvent[], banks: readonly Bank[] = ['sha256']) {
  return parseEventLog(writeAgileLog(banks, events));
}

function quoteOf(log: ReturnType<typeof logOf>, bank: Bank = 'sha256'): QuotedPcr[] {
  return [...(replayEventLog(log).get(bank) ?? [])].map(([pcr, value]) => ({ bank, pcr, value }));
}

function verified(log: ReturnType<typeof logOf>, quoted: readonly QuotedPcr[]) {
  const result = verifyEventLog(log, quoted);
  if (!result.ok) throw new Error(`mismatch of PCR ${result.mismatches.map(({ pcr }) => pcr)}`);
  return result.boot;
}

describe('replay', () => {
  test.each([16, 17, 22, 23])(
    'starts PCR %i from zeros, for a dynamic launch clears what it extends [LOG-9]',
    (pcr) => {
      const values = replayEventLog(logOf([separator(pcr)])).get('sha256');
      expect(values?.get(pcr)).toEqual(sha256(ZEROS, sha256(u32(0))));
    },
  );

  test('starts PCR 0 from the locality of TPM2_Startup [LOG-9]', () => {
    const log = logOf([startupLocality(3), separator(0), separator(1)]);
    const start = ZEROS.slice();
    start[31] = 3;
    expect(replayEventLog(log).get('sha256')?.get(0)).toEqual(sha256(start, sha256(u32(0))));
    expect(replayEventLog(log).get('sha256')?.get(1)).toEqual(sha256(ZEROS, sha256(u32(0))));
  });

  test('starts PCR 0 from 4 when an H-CRTM measured first, wherever TPM2_Startup came from [LOG-9]', () => {
    const hcrtm: WrittenEvent = {
      pcr: 0,
      type: 'EV_EFI_HCRTM_EVENT',
      data: fromUtf8('HCRTM'),
      measured: fromUtf8('code'),
    };
    const from = (last: number): Uint8Array => {
      const start = ZEROS.slice();
      start[31] = last;
      return sha256(start, sha256(fromUtf8('code')));
    };
    expect(
      replayEventLog(logOf([hcrtm]))
        .get('sha256')
        ?.get(0),
    ).toEqual(from(4));
    expect(
      replayEventLog(logOf([startupLocality(4), hcrtm]))
        .get('sha256')
        ?.get(0),
    ).toEqual(from(4));
    expect(
      replayEventLog(logOf([startupLocality(0), hcrtm]))
        .get('sha256')
        ?.get(0),
    ).toEqual(from(4));
    const late = replayEventLog(logOf([separator(0), hcrtm]))
      .get('sha256')
      ?.get(0);
    expect(late).toEqual(sha256(sha256(ZEROS, sha256(u32(0))), sha256(fromUtf8('code'))));
  });

  test('never extends a no-action event, whatever digest it carries [LOG-6]', () => {
    const loud = { ...noAction('SP800-155 Event3', ZEROS), digests: { sha256: sha256(ZEROS) } };
    expect(replayEventLog(logOf([loud])).get('sha256')?.size).toBe(0);
    expect(logOf([loud]).findings.map(({ quirk }) => quirk)).toEqual(['no-action-digest']);
  });

  test('leaves an NV index out [LOG-7]', () => {
    expect(replayEventLog(logOf([separator(0x01c40200)])).get('sha256')?.size).toBe(0);
  });

  test('of a confidential VM starts every register from zeros', () => {
    const bytes = writeAgileLog(['sha384'], [startupLocality(3), separator(0), separator(1)]);
    const values = replayEventLog(parseEventLog(bytes, { registers: 'cc' })).get('sha384');
    expect(values?.get(0)).toEqual(values?.get(1));
  });
});

describe('verification', () => {
  const log = logOf(bootEvents(60), ['sha1', 'sha256']);

  test('gives back the events of quoted PCRs only, no no-action event among them [LOG-10]', () => {
    const quoted = quoteOf(log).filter(({ pcr }) => pcr === 4 || pcr === 7);
    const boot = verified(log, quoted);
    expect(new Set(boot.events.map(({ pcr }) => pcr))).toEqual(new Set([4, 7]));
    expect(boot.events.length).toBe(log.events.filter(({ pcr }) => pcr === 4 || pcr === 7).length);
    expect(boot.pcrs).toEqual(quoted);
    const all = verified(log, quoteOf(log));
    expect(all.events.some(({ typeName }) => typeName === 'EV_NO_ACTION')).toBe(false);
  });

  test('gives back the digests of quoted banks only: the others prove nothing [LOG-10]', () => {
    for (const event of verified(log, quoteOf(log)).events)
      expect(Object.keys(event.digests)).toEqual(['sha256']);
    const both = verified(log, [...quoteOf(log), ...quoteOf(log, 'sha1')]);
    for (const event of both.events) expect(Object.keys(event.digests)).toEqual(['sha256', 'sha1']);
  });

  test('names the PCR and the bank that differ, and gives back nothing', () => {
    const quoted = quoteOf(log).map((pcr) => (pcr.pcr === 4 ? { ...pcr, value: ZEROS } : pcr));
    const got = quoteOf(log).find(({ pcr }) => pcr === 4)?.value;
    expect(verifyEventLog(log, quoted)).toEqual({
      ok: false,
      mismatches: [{ bank: 'sha256', pcr: 4, want: ZEROS, got }],
    });
  });

  test('knows no value in a bank that the log has not, or only in part [LOG-8]', () => {
    const foreign = { bank: 'sha384', pcr: 4, value: new Uint8Array(48) } as const;
    expect(verifyEventLog(log, [foreign])).toMatchObject({
      ok: false,
      mismatches: [{ bank: 'sha384', got: null }],
    });
    const partial = {
      ...log,
      events: log.events.map((event) =>
        event.pcr === 4 ? { ...event, digests: { sha1: sha1(event.data) } } : event,
      ),
    };
    const quoted = quoteOf(log).filter(({ pcr }) => pcr === 4);
    expect(verifyEventLog(partial, quoted)).toMatchObject({ ok: false, mismatches: [{ pcr: 4, got: null }] });
  });

  test('of a register that was never extended wants its first value', () => {
    const zero = { bank: 'sha256', pcr: 14, value: ZEROS } as const;
    const ones = { bank: 'sha256', pcr: 17, value: ZEROS.slice().fill(0xff) } as const;
    expect(verified(log, [zero, ones]).events).toEqual([]);
    expect(verifyEventLog(log, [{ ...ones, value: ZEROS }]).ok).toBe(false);
    expect(verifyEventLog(log, [{ ...zero, value: ones.value }]).ok).toBe(false);
  });

  test('of nothing verifies nothing', () => {
    expect(verified(log, []).events).toEqual([]);
  });
});

describe('what of the data is verified [LOG-12]', () => {
  const partOf = (event: WrittenEvent) => {
    const log = logOf([event]);
    return verified(log, quoteOf(log)).events[0];
  };

  test('all of it where the profile says so', () => {
    const event = partOf(action(4, 'boot'));
    expect(event).toMatchObject({ dataVerified: true, measured: fromUtf8('boot') });
  });

  test('the value alone of a boot variable', () => {
    const event = partOf(bootVariable('BootOrder', u32(1)));
    expect(event).toMatchObject({ dataVerified: true, measured: u32(1) });
  });

  test('the text behind the prefix of GRUB', () => {
    expect(partOf(grubText('kernel_cmdline: ', 'ro quiet'))?.measured).toEqual(fromUtf8('ro quiet'));
    expect(partOf(grubText('grub_cmd ', 'ro quiet'))?.measured).toEqual(fromUtf8('ro quiet'));
  });

  test('nothing of an image load: the digest is that of the image', () => {
    expect(partOf(imageLoad(new Uint8Array(0), fromUtf8('image')))).toMatchObject({
      dataVerified: false,
      measured: null,
    });
  });

  test('nothing when the data was exchanged', () => {
    const log = logOf([action(4, 'Calling EFI Application')]);
    const quoted = quoteOf(log);
    const events = log.events.map((event) =>
      event.pcr === 4 ? { ...event, data: fromUtf8('something else') } : event,
    );
    expect(verified({ ...log, events }, quoted).events[0]).toMatchObject({
      dataVerified: false,
      measured: null,
    });
  });

  test('by the stronger bank when both are quoted: a collision in SHA-1 verifies nothing', () => {
    const log = logOf([action(4, 'good')], ['sha1', 'sha256']);
    const quoted = [...quoteOf(log, 'sha1'), ...quoteOf(log)];
    const colliding = { sha1: sha1(fromUtf8('bad')), sha256: sha256(fromUtf8('good')) };
    const events = log.events.map((event) =>
      event.pcr === 4 ? { ...event, data: fromUtf8('bad'), digests: colliding } : event,
    );
    const forged = { ...log, events };
    const requoted = [...quoteOf(forged, 'sha1'), ...quoted.filter(({ bank }) => bank === 'sha256')];
    expect(verified(forged, requoted).events[0]?.dataVerified).toBe(false);
  });
});

describe('a log that ends before ExitBootServices [LOG-11]', () => {
  const whole = bootEvents(40);
  const isExit = ({ data }: WrittenEvent): boolean => new TextDecoder().decode(data).startsWith('Exit Boot');
  const failed = [
    ...whole.filter((event) => !isExit(event)),
    action(5, 'Exit Boot Services Invocation'),
    action(5, 'Exit Boot Services Returned with Failure'),
    action(5, 'Exit Boot Services Invocation'),
    action(5, 'Exit Boot Services Returned with Success'),
  ];

  test.each([
    ['one try', whole],
    ['two tries', failed],
  ])('still explains PCR 5 after %s, and says so', (_, events) => {
    const short = logOf(events.filter((event) => !isExit(event)));
    const boot = verified(short, quoteOf(logOf(events)));
    expect(boot.findings.map(({ quirk }) => quirk)).toEqual(['exit-boot-services-missing']);
  });

  test('explains no other register, no other value, and no second exit', () => {
    const short = logOf(whole.filter((event) => !isExit(event)));
    const quoted = quoteOf(logOf([...whole, action(5, 'x')]));
    expect(verifyEventLog(short, quoted)).toMatchObject({ ok: false, mismatches: [{ pcr: 5 }] });
    const again = quoteOf(logOf([...whole, ...whole.filter(isExit)]));
    expect(verifyEventLog(logOf(whole), again)).toMatchObject({ ok: false, mismatches: [{ pcr: 5 }] });
    const elsewhere = quoteOf(
      logOf([...whole, ...whole.filter(isExit).map((event) => ({ ...event, pcr: 4 }))]),
    );
    expect(verifyEventLog(logOf(whole), elsewhere)).toMatchObject({ ok: false, mismatches: [{ pcr: 4 }] });
  });
});

test('an event of the log may be long, and is verified all the same', () => {
  const long = { ...action(4, ''), data: concatBytes(...Array.from({ length: 1000 }, (_, i) => u32(i))) };
  const log = logOf([long]);
  expect(verified(log, quoteOf(log)).events[0]?.dataVerified).toBe(true);
});
