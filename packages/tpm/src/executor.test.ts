import { ByteWriter, fromHex, toHex } from '@nemea/core';
import { describe, expect, it } from 'vitest';
import type { TpmChannel } from './channel/channel.ts';
import { encodeCommand, HANDLE } from './command.ts';
import { openExecutor } from './executor.ts';

/** A channel that answers from a list, and repeats its last answer. */
function scripted(...responses: readonly Uint8Array[]): { channel: TpmChannel; sent: string[] } {
  const sent: string[] = [];
  const channel: TpmChannel = {
    isOpen: true,
    async transmit(command) {
      sent.push(toHex(command));
      return responses[Math.min(sent.length, responses.length) - 1] ?? new Uint8Array(0);
    },
    close: () => Promise.resolve(),
  };
  return { channel, sent };
}

const respond = (returnCode: number): Uint8Array =>
  new ByteWriter().u16(0x8001).u32(10).u32(returnCode).toBytes();

describe('the executor', () => {
  it('sends the same bytes again while the TPM asks for it', async () => {
    const { channel, sent } = scripted(
      respond(0x922),
      respond(0x908),
      respond(0x90a),
      respond(0x920),
      respond(0),
    );
    await openExecutor(channel).send({ name: 'Shutdown', code: 0x145 });
    expect(sent).toHaveLength(5);
    expect(new Set(sent).size).toBe(1);
  });

  it('gives up on a TPM that is always busy', async () => {
    const { channel, sent } = scripted(respond(0x922));
    await expect(openExecutor(channel).send({ name: 'Shutdown', code: 0x145 })).rejects.toMatchObject({
      code: 'TPM_RETRIES_EXHAUSTED',
      data: { command: 'Shutdown' },
    });
    expect(sent).toHaveLength(12);
  });

  it('names the command and the code of a refusal, and does not repeat it', async () => {
    const { channel, sent } = scripted(respond(0x99d));
    await expect(openExecutor(channel).send({ name: 'Unseal', code: 0x15e })).rejects.toMatchObject({
      code: 'TPM_RETURN_CODE',
      message: 'Unseal: the tpm answered 0x99d POLICY_FAIL (session 1)',
      data: { command: 'Unseal', returnCode: 0x99d },
    });
    expect(sent).toHaveLength(1);
  });

  it.each([
    ['a parameter size beyond the end', '8002000000120000000000000009aabbccdd'],
    ['bytes after the authorisations', '800200000014000000000000000000000000 0000ff'],
    ['a missing authorisation', '80020000000e0000000000000000'],
  ])('refuses a response with %s', async (_fault, hex) => {
    const { channel } = scripted(fromHex(hex.replace(' ', '')));
    const send = openExecutor(channel).send({
      name: 'Unseal',
      code: 0x15e,
      handles: [1],
      authorizations: ['password'],
    });
    await expect(send).rejects.toMatchObject({ code: 'TPM_STRUCTURE_INVALID' });
  });
});

describe('command bytes', () => {
  it('lays out a command without sessions', () => {
    expect(toHex(encodeCommand({ name: 'Shutdown', code: 0x145, parameters: Uint8Array.of(0, 0) }))).toBe(
      '80010000000c000001450000',
    );
  });

  it('lays out handles, authorization areas, then parameters', () => {
    const command = {
      name: 'ActivateCredential',
      code: 0x147,
      handles: [HANDLE.owner, { handle: 0x80000001 }],
    } as const;
    const none = new Uint8Array(0);
    const areas = [
      { session: HANDLE.password, nonce: none, attributes: 0, hmac: none },
      { session: 0x02000000, nonce: Uint8Array.of(1, 2), attributes: 0x21, hmac: Uint8Array.of(3) },
    ];
    const handles = '4000000180000001';
    const encoded = '00000015' + '400000090000000000' + '020000000002010221000103';
    expect(toHex(encodeCommand(command, Uint8Array.of(0xaa), areas))).toBe(
      `80020000002c00000147${handles}${encoded}aa`,
    );
  });
});
