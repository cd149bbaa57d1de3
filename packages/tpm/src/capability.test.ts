import { createHash } from 'node:crypto';
import { toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capabilities } from './capability.ts';
import { HANDLE } from './command.ts';
import { GetCapability } from './commands/capability.ts';
import { Sign } from './commands/sign.ts';
import type { TpmIo } from './executor.ts';
import { ALG } from './structures/algorithms.ts';
import { CAPABILITY, type CapabilityGroup, PROPERTY } from './structures/capability-data.ts';
import { encode, struct } from './structures/codec.ts';
import { TEMPLATES } from './structures/templates.ts';
import { startTestTpm, type TestTpm } from './testing.ts';
import type { Tpm } from './tpm.ts';

let software: TestTpm;
let tpm: Tpm;
beforeAll(async () => {
  software = await startTestTpm();
  tpm = software.tpm;
});
afterAll(() => software.stop());

describe('capabilities', () => {
  it.each(Object.keys(CAPABILITY) as CapabilityGroup[])('are all told: %s', async (group) => {
    const items = await tpm.capabilities(group);
    expect(Array.isArray(items)).toBe(true);
    expect(new Set(items.map((item) => JSON.stringify(item))).size).toBe(items.length);
  });

  it('name the maker and the largest digest', async () => {
    const properties = await tpm.capabilities('properties');
    const value = (wanted: number) => properties.find(({ property }) => property === wanted)?.value;
    // "2.0\0".
    expect(value(PROPERTY.familyIndicator)).toBe(0x322e3000);
    expect(value(PROPERTY.manufacturer)).toBe(0x49424d00);
    expect(value(PROPERTY.maxDigest)).toBe(64);
    expect(value(PROPERTY.lockoutCounter)).toBe(0);
  });

  it('come whole although the TPM has them in pages of one', async () => {
    const pagesOfOne = await tpm.exclusive((io) => capabilities(withPages(io, 1, 8), 'curves'));
    expect(pagesOfOne).toEqual((await tpm.capabilities('curves')).slice(0, pagesOfOne.length));
    expect(pagesOfOne.length).toBeGreaterThan(4);
  });

  it('are not asked for without end', async () => {
    const asked = tpm.exclusive((io) => capabilities(stuck(io), 'curves'));
    await expect(asked).rejects.toMatchObject({ code: 'TPM_STRUCTURE_INVALID' });
  });
});

/** A TPM whose pages are that short, as the real one answers when asked for less. */
function withPages(io: TpmIo, items: number, sendsMax: number): TpmIo {
  let sends = 0;
  return {
    ...io,
    send(command, options) {
      if (command.code !== GetCapability.code) return io.send(command, options);
      const parameters = Uint8Array.from(command.parameters ?? []);
      new DataView(parameters.buffer).setUint32(8, items);
      expect(++sends).toBeLessThanOrEqual(2 * sendsMax);
      return io.send({ ...command, parameters }, options);
    },
  };
}

/** A TPM that gives its first page again and again. */
function stuck(io: TpmIo): TpmIo {
  return {
    ...io,
    async send(command, options) {
      const answer = await io.send(command, options);
      const data = { capability: 'curves', items: [1] } as const;
      return {
        ...answer,
        parameters: encode(struct(GetCapability.response), { moreData: true, capabilityData: data }),
      };
    },
  };
}

describe('hashes', () => {
  it.each([0, 1, 1024, 1025, 5000])('of %i bytes are those of node:crypto', async (length) => {
    const data = Uint8Array.from({ length }, (_, i) => i);
    const { digest } = await tpm.hash({ hashAlg: ALG.sha256, data });
    expect(toHex(digest)).toBe(createHash('sha256').update(data).digest('hex'));
  });

  it('come with the ticket that a restricted key wants, unless they look like a statement of the TPM', async () => {
    await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
    const signed = async (data: Uint8Array) => {
      const { digest, ticket } = await tpm.hash({ hashAlg: ALG.sha256, data, hierarchy: HANDLE.endorsement });
      return await tpm.run(Sign, { handles: { keyHandle: ak }, parameters: { digest, validation: ticket } });
    };
    for (const length of [100, 2000]) {
      const harmless = new Uint8Array(length);
      expect((await signed(harmless)).signature.scheme).toBe('ecdsa');
      const forged = harmless.slice();
      forged.set([0xff, 0x54, 0x43, 0x47]);
      await expect(signed(forged)).rejects.toMatchObject({
        data: { name: 'TICKET (parameter 3)', accused: { name: 'validation' } },
      });
    }
  });
});
