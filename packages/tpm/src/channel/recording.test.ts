import { fromHex, toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestTpm, type TestTpm } from '../testing.ts';
import { Tpm } from '../tpm.ts';
import { channelCompliance } from './compliance.ts';
import { type Exchange, recordChannel, replayChannel } from './recording.ts';
import { openUnixChannel } from './unix.ts';

const READ_CLOCK = fromHex('80010000000a00000181');

let software: TestTpm;
beforeAll(async () => {
  software = await startTestTpm();
  await software.tpm.close();
});
afterAll(() => software.stop());

async function record(use: (tpm: Tpm) => Promise<void>): Promise<Exchange[]> {
  const recording: Exchange[] = [];
  const channel = recordChannel(await openUnixChannel(software.socketPath), recording);
  // The nonces of sessions are random, and no recording would hold them.
  const tpm = await Tpm.open(channel, { encryption: false });
  try {
    await use(tpm);
  } finally {
    await tpm.close();
  }
  return recording;
}

describe('a recording channel', () => {
  for (const rule of channelCompliance(async () =>
    recordChannel(await openUnixChannel(software.socketPath), []),
  ))
    it(rule.title, rule.run);

  it('keeps each command with its response, as they were on the wire', async () => {
    const recording = await record(async (tpm) => void (await tpm.getRandom(4)));
    const { command, response } = recording.at(-1) as Exchange;
    expect(toHex(command)).toBe('80010000000c0000017b0004');
    expect(toHex(response)).toMatch(/^80010000001000000000000[4].{8}$/);
  });
});

describe('a replaying channel', () => {
  let clocks: Exchange[] = [];
  beforeAll(async () => {
    const channel = recordChannel(await openUnixChannel(software.socketPath), clocks);
    for (let i = 0; i < 70; i++) await channel.transmit(READ_CLOCK);
    await channel.close();
    clocks = clocks.slice();
  });
  for (const rule of channelCompliance(async () => replayChannel(clocks))) it(rule.title, rule.run);

  it('answers as the TPM did', async () => {
    const extended = async (tpm: Tpm): Promise<string> => {
      await tpm.pcrExtend(16, new Uint8Array(32).fill(1));
      const [pcr] = await tpm.pcrRead([16]);
      return toHex(pcr?.value ?? new Uint8Array(0));
    };
    let real = '';
    const recording = await record(async (tpm) => {
      real = await extended(tpm);
    });
    expect(await extended(await Tpm.open(replayChannel(recording)))).toBe(real);
  });

  it('refuses another command than the recorded one, and all that follow', async () => {
    const channel = replayChannel(clocks);
    await channel.transmit(READ_CLOCK);
    await expect(channel.transmit(fromHex('80010000000c0000017b0004'))).rejects.toMatchObject({
      code: 'TPM_REPLAY_MISMATCH',
      message: 'replay, exchange 1: got command 0x17b (12 bytes), want command 0x181',
    });
    await expect(channel.transmit(READ_CLOCK)).rejects.toMatchObject({ code: 'TPM_CHANNEL_CLOSED' });
  });

  it('refuses to go on where the recording ends', async () => {
    const channel = replayChannel(clocks.slice(0, 1));
    await channel.transmit(READ_CLOCK);
    await expect(channel.transmit(READ_CLOCK)).rejects.toMatchObject({
      code: 'TPM_REPLAY_MISMATCH',
      message: 'replay, exchange 1: got command 0x181 (10 bytes), want nothing more',
    });
  });
});
