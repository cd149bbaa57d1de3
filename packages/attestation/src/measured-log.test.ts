import { fromUtf8, sha256 } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { eventDigest, type MeasuredEvent } from './evidence.ts';
import { MeasuredLog } from './measured-log.ts';
import { replayLog } from './replay.ts';
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
});
