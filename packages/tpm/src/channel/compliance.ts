import { assert, bytesEqual, errorCode, fromHex } from '@nemea/core';
import type { TpmChannel } from './channel.ts';

/** One rule every channel keeps; `run` throws when it does not. */
export interface ComplianceCase {
  readonly title: string;
  run(): Promise<void>;
}

// TPM2_ReadClock: no side effect, no parameter; an echo answers it with itself, which is a well-formed response too.
const READ_CLOCK = fromHex('80010000000a00000181');

/** The suite for a channel whose other side answers commands one by one: a TPM, or an echo of the command. */
export function channelCompliance(open: () => Promise<TpmChannel>): ComplianceCase[] {
  async function withChannel(use: (channel: TpmChannel) => Promise<void>): Promise<void> {
    const channel = await open();
    try {
      await use(channel);
    } finally {
      await channel.close();
    }
  }

  return [
    {
      title: 'answers a command with one whole response',
      run: () =>
        withChannel(async (channel) => {
          const response = await channel.transmit(READ_CLOCK);
          const size = new DataView(response.buffer, response.byteOffset).getUint32(2);
          assert(size === response.length, `response size field: got ${size}, want ${response.length}`);
        }),
    },
    {
      title: 'serves commands given at once one after the other',
      run: () =>
        withChannel(async (channel) => {
          const responses = await Promise.all(Array.from({ length: 32 }, () => channel.transmit(READ_CLOCK)));
          const [first] = responses;
          assert(first !== undefined, 'no response');
          for (const response of responses) {
            assert(
              bytesEqual(response.subarray(0, 10), first.subarray(0, 10)),
              'responses differ in their header',
            );
          }
        }),
    },
    {
      title: 'refuses more commands than its queue holds, and serves those it took',
      run: () =>
        withChannel(async (channel) => {
          const all = await Promise.allSettled(
            Array.from({ length: 100 }, () => channel.transmit(READ_CLOCK)),
          );
          const refused = all.filter((one) => one.status === 'rejected');
          // One is on its way, 64 wait.
          assert(refused.length === 100 - 65, `refused: got ${refused.length}, want ${100 - 65}`);
          for (const { reason } of refused) expectCode(reason, 'TPM_CHANNEL_BUSY');
          await channel.transmit(READ_CLOCK);
        }),
    },
    {
      title: 'refuses a command whose size field lies, and stays usable',
      run: () =>
        withChannel(async (channel) => {
          await expectRejection(channel.transmit(fromHex('80010000000b00000181')), 'TPM_ARGUMENT_INVALID');
          await expectRejection(channel.transmit(fromHex('8001')), 'TPM_ARGUMENT_INVALID');
          await channel.transmit(READ_CLOCK);
        }),
    },
    {
      title: 'lets a caller go that cancels, and answers the next one rightly',
      run: () =>
        withChannel(async (channel) => {
          const controller = new AbortController();
          const { signal } = controller;
          const running = channel.transmit(READ_CLOCK, { signal });
          const waiting = channel.transmit(READ_CLOCK, { signal });
          const next = channel.transmit(READ_CLOCK);
          controller.abort();
          await expectRejection(running, 'TPM_CANCELLED');
          await expectRejection(waiting, 'TPM_CANCELLED');
          await expectRejection(channel.transmit(READ_CLOCK, { signal }), 'TPM_CANCELLED');
          await next;
          await channel.transmit(READ_CLOCK);
          assert(channel.isOpen, 'a channel stays open when a caller cancels');
        }),
    },
    {
      title: 'lets a caller go whose time is over, and answers the next one rightly',
      run: () =>
        withChannel(async (channel) => {
          const late = Array.from({ length: 20 }, () => channel.transmit(READ_CLOCK, { timeoutMs: 0 }));
          // Time may be enough for the first of them.
          for (const one of await Promise.allSettled(late)) {
            if (one.status === 'rejected') expectCode(one.reason, 'TPM_CHANNEL_TIMEOUT');
          }
          await channel.transmit(READ_CLOCK);
          assert(channel.isOpen, 'a channel stays open when a caller has no time left');
        }),
    },
    {
      title: 'serves callers in turn, however much one of them asks for',
      run: () =>
        withChannel(async (channel) => {
          const order: string[] = [];
          const ask = async (lane: string): Promise<void> => {
            await channel.transmit(READ_CLOCK, { lane });
            order.push(lane);
          };
          await Promise.all([...Array.from({ length: 50 }, () => ask('busy')), ask('other'), ask('third')]);
          const place = Math.max(order.indexOf('other'), order.indexOf('third'));
          assert(place <= 4, `the last of the modest callers: got place ${place}, want at most 4`);
        }),
    },
    {
      title: 'answers nothing once closed, and closes twice',
      run: () =>
        withChannel(async (channel) => {
          await channel.close();
          assert(!channel.isOpen, 'a closed channel says so');
          await expectRejection(channel.transmit(READ_CLOCK), 'TPM_CHANNEL_CLOSED');
        }),
    },
  ];
}

async function expectRejection(work: Promise<unknown>, code: string): Promise<void> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expectCode(error, code);
}

function expectCode(error: unknown, code: string): void {
  assert(error !== undefined && errorCode(error) === code, `error: got ${errorCode(error)}, want ${code}`);
}
