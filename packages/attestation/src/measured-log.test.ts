import { fromUtf8, sha256 } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { parseEventLog, replayEventLog } from './eventlog/index.ts';
import { shimVariable, type WrittenEvent, writeAgileLog } from './eventlog/testing.ts';
import { eventDigest, type MeasuredEvent } from './evidence.ts';
import { MeasuredLog } from './measured-log.ts';
import { replayLog, startDigest } from './replay.ts';
import { IMAGE, RELEASE, RUN } from './testing.ts';

/** PCR 14 alone, with a fault to inject. */
function register(value: Uint8Array = new Uint8Array(32)) {
  let current = value;
  let failing = false;
  return {
    fail: (on: boolean) => {
      failing = on;
    },
    async pcrExtend(_pcr: number, digest: Uint8Array) {
      if (failing) throw new Error('the TPM failed');
      await Promise.resolve();
      current = sha256(current, digest);
    },
    async pcrRead() {
      return [{ pcr: 14, value: current }];
    },
    get current() {
      return current;
    },
  };
}

const measured = ({ kind, digest, name }: MeasuredEvent) => ({ kind, digest, name });

describe('a measured log', () => {
  test('replays to the register after every event', async () => {
    const tpm = register();
    const log = await MeasuredLog.open({ tpm });
    for (const event of [RELEASE, IMAGE, RUN]) {
      await log.measure(measured(event));
      expect(replayLog(log.events)).toEqual(tpm.current);
    }
    expect(log.events).toEqual([RELEASE, IMAGE, RUN]);
  });

  test('keeps its order when many measure at once', async () => {
    const tpm = register();
    const log = await MeasuredLog.open({ tpm });
    const events = Array.from({ length: 50 }, (_, i) => ({ ...IMAGE, name: `image ${i}` }));
    await Promise.all(events.map((event) => log.measure(measured(event))));
    expect(log.events).toEqual(events);
    expect(replayLog(log.events)).toEqual(tpm.current);
  });

  test('does not list what the TPM failed to extend, and works on afterwards', async () => {
    const tpm = register();
    const log = await MeasuredLog.open({ tpm });
    tpm.fail(true);
    await expect(log.measure(measured(RELEASE))).rejects.toThrow('the TPM failed');
    tpm.fail(false);
    await log.measure(measured(IMAGE));
    expect(log.events).toEqual([IMAGE]);
  });

  test('refuses more callers than it can hold', async () => {
    const log = await MeasuredLog.open({ tpm: register() });
    const calls = Array.from({ length: 257 }, () => log.measure(measured(RUN)));
    const outcomes = await Promise.allSettled(calls);
    const failed = outcomes.filter(({ status }) => status === 'rejected');
    expect(failed).toEqual([
      { status: 'rejected', reason: expect.objectContaining({ code: 'MEASURED_LOG_BUSY' }) },
    ]);
  });
});

describe('a measured log reopened after a restart', () => {
  const before = [RELEASE, IMAGE];

  test('goes on where the register is', async () => {
    const log = await MeasuredLog.open({ tpm: register(replayLog(before)), events: before });
    expect(log.events).toEqual(before);
  });

  test('is persisted before the TPM is extended, and finishes an interrupted event', async () => {
    const persisted: MeasuredEvent[] = [];
    const tpm = register();
    const persist = async (event: MeasuredEvent) => {
      persisted.push(event);
    };
    const log = await MeasuredLog.open({ tpm, persist });
    await log.measure(measured(RELEASE));
    tpm.fail(true);
    await expect(log.measure(measured(IMAGE))).rejects.toThrow();
    tpm.fail(false);
    const reopened = await MeasuredLog.open({ tpm, events: persisted });
    expect(reopened.events).toEqual([RELEASE, IMAGE]);
    expect(tpm.current).toEqual(replayLog([RELEASE, IMAGE]));
  });

  test('is refused when the register holds anything else', async () => {
    const mismatch = { code: 'MEASURED_LOG_MISMATCH' };
    const foreign = register(sha256(replayLog(before), eventDigest(RUN)));
    await expect(MeasuredLog.open({ tpm: foreign, events: before })).rejects.toMatchObject(mismatch);
    const used = register(sha256(fromUtf8('used')));
    await expect(MeasuredLog.open({ tpm: used })).rejects.toMatchObject(mismatch);
    await expect(MeasuredLog.open({ tpm: register(), events: before })).rejects.toMatchObject(mismatch);
  });

  test('starts once, also when a crash came right behind its start', async () => {
    const tpm = register();
    await MeasuredLog.open({ tpm });
    const started = tpm.current;
    expect(started).toEqual(replayLog([]));
    await MeasuredLog.open({ tpm });
    expect(tpm.current).toEqual(started);
  });
});

describe('a measured log on a machine that boots by shim', () => {
  const mok = shimVariable('MokList', fromUtf8('keys of the owner'));
  const sb = shimVariable('MokSBState', Uint8Array.of(0));
  const eventLog = writeAgileLog(['sha256'], [mok, sb]);
  const mismatch = { code: 'MEASURED_LOG_MISMATCH' };

  test('starts behind what shim extended [ATT-30]', async () => {
    const tpm = register(bootValue(eventLog));
    const log = await MeasuredLog.open({ tpm, eventLog });
    await log.measure(measured(RELEASE));
    expect(log.events).toEqual([RELEASE]);
    expect(tpm.current).toEqual(
      sha256(sha256(bootValue(eventLog), startDigest()), eventDigest(measured(RELEASE))),
    );
    const reopened = await MeasuredLog.open({ tpm, eventLog, events: log.events });
    expect(reopened.events).toEqual([RELEASE]);
  });

  test('finishes an interrupted event there, too [ATT-30]', async () => {
    const tpm = register(replayLog([RELEASE], bootValue(eventLog)));
    await MeasuredLog.open({ tpm, eventLog, events: [RELEASE, IMAGE] });
    expect(tpm.current).toEqual(replayLog([RELEASE, IMAGE], bootValue(eventLog)));
  });

  test.each([
    ['without the event log', undefined],
    ['by an event log that leaves an event out', writeAgileLog(['sha256'], [mok])],
    [
      'by an event log with an event that was not made',
      writeAgileLog(['sha256'], [mok, sb, shimVariable('MokListX', new Uint8Array(0))]),
    ],
    ['by an event log in another order', writeAgileLog(['sha256'], [sb, mok])],
    ['by an event log of another register', writeAgileLog(['sha256'], [{ ...mok, pcr: 15 }, sb])],
    ['by an event log without a SHA-256 bank', writeAgileLog(['sha384'], [mok, sb])],
    ['by an event log that is cut', eventLog.subarray(0, -1)],
  ] as const)('is refused %s [ATT-30]', async (_, log) => {
    const tpm = register(bootValue(eventLog));
    await expect(MeasuredLog.open({ tpm, eventLog: log })).rejects.toMatchObject(mismatch);
    expect(tpm.current).toEqual(bootValue(eventLog));
  });

  test('is refused when something else extended the register before the node started [ATT-30]', async () => {
    const tpm = register(sha256(bootValue(eventLog), eventDigest(measured(RELEASE))));
    await expect(MeasuredLog.open({ tpm, eventLog })).rejects.toMatchObject(mismatch);
  });

  test('takes nothing that a node measured for a part of the boot [ATT-30]', async () => {
    const start: WrittenEvent = { ...mok, digests: { sha256: startDigest() } };
    const hidden: WrittenEvent = { ...sb, digests: { sha256: eventDigest(measured(RELEASE)) } };
    const tpm = register(replayLog([RELEASE], bootValue(eventLog)));
    const forged = writeAgileLog(['sha256'], [mok, sb, start, hidden]);
    expect(bootValue(forged)).toEqual(tpm.current);
    await expect(MeasuredLog.open({ tpm, eventLog: forged })).rejects.toMatchObject(mismatch);
  });
});

function bootValue(eventLog: Uint8Array): Uint8Array {
  return replayEventLog(parseEventLog(eventLog)).get('sha256')?.get(14) ?? new Uint8Array(32);
}
