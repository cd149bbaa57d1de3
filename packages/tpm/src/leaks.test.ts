import { CodedError } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listHandles } from './capability.ts';
import type { TpmChannel } from './channel/channel.ts';
import { openUnixChannel } from './channel/unix.ts';
import { openExecutor } from './executor.ts';
import { CALLS, hold, type Prepared, prepare } from './test-calls.ts';
import { startTestTpm, type TestTpm } from './testing.ts';
import { Tpm } from './tpm.ts';

/** What goes wrong at one command: the TPM refuses it, its answer is cut, or its caller cancels meanwhile. */
const FAULTS = ['refused', 'cut', 'cancelled'] as const;
type Fault = (typeof FAULTS)[number];

let software: TestTpm;
let prepared: Prepared;
beforeAll(async () => {
  software = await startTestTpm();
  prepared = await prepare(software.tpm);
  await software.tpm.close();
});
afterAll(() => software.stop());

describe('no object and no session is left over', () => {
  it.each(Object.keys(CALLS))('when %s goes wrong at any of its commands, in any way', async (name) => {
    const call = CALLS[name] as (typeof CALLS)[string];
    const channel = faultyChannel(await openUnixChannel(software.socketPath));
    const tpm = await Tpm.open(channel);
    try {
      const setting = await hold(tpm, prepared);
      const held = await tpm.listHandles('transient');

      channel.watch();
      await call(tpm, setting);
      const commands = channel.count();
      expect(commands).toBeGreaterThan(0);

      let failures = 0;
      for (const fault of FAULTS) {
        for (let at = 0; at < commands; at++) {
          const controller = new AbortController();
          channel.watch(at, fault, controller);
          const outcome = await outcomeOf(call(tpm.with({ signal: controller.signal }), setting));
          channel.watch();
          if (outcome !== undefined) failures++;
          if (outcome !== undefined) expect(outcome, `${fault} at ${at}`).toBeInstanceOf(CodedError);
          // The next call first flushes what could not be flushed then.
          await tpm.getRandom(1);
          expect(await tpm.listHandles('transient'), `${fault} at ${at}`).toEqual(held);
          expect(await sessionsOf(channel), `${fault} at ${at}`).toBeLessThanOrEqual(1);
        }
      }
      expect(failures).toBeGreaterThan(0);

      for (const key of [setting.ak, setting.vrf, setting.srk]) await key[Symbol.asyncDispose]();
      expect(await listHandles(openExecutor(channel), 'transient')).toEqual([]);
    } finally {
      await tpm.close();
    }
  });
});

function outcomeOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** All sessions the TPM knows; the one that hides secrets stays. */
async function sessionsOf(channel: TpmChannel): Promise<number> {
  const io = openExecutor(channel);
  return (await listHandles(io, 'loadedSession')).length + (await listHandles(io, 'savedSession')).length;
}

interface FaultyChannel extends TpmChannel {
  /** Counts anew, and has `fault` happen at command `at`. */
  watch(at?: number, fault?: Fault, controller?: AbortController): void;
  count(): number;
}

function faultyChannel(channel: TpmChannel): FaultyChannel {
  let count = 0;
  let planned: { at?: number; fault?: Fault; controller?: AbortController } = {};
  return {
    get isOpen() {
      return channel.isOpen;
    },
    async transmit(command, options) {
      const fault = count++ === planned.at ? planned.fault : undefined;
      // TPM_RC_NV_UNAVAILABLE: not executed.
      if (fault === 'refused') return Uint8Array.of(0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x09, 0x23);
      if (fault === 'cancelled') planned.controller?.abort();
      const response = await channel.transmit(command, options);
      return fault === 'cut' ? cut(response) : response;
    },
    close: () => channel.close(),
    watch(at, fault, controller) {
      count = 0;
      planned = {
        ...(at === undefined ? {} : { at }),
        ...(fault === undefined ? {} : { fault }),
        ...(controller === undefined ? {} : { controller }),
      };
    },
    count: () => count,
  };
}

/** A response that names its handle and then ends too early. */
function cut(response: Uint8Array): Uint8Array {
  const short = response.slice(0, Math.max(14, response.length >> 1)).slice(0, response.length);
  new DataView(short.buffer).setUint32(2, short.length);
  return short;
}
