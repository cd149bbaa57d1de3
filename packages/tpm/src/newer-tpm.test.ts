import { createHash } from 'node:crypto';
import { concatBytes, fromHex, toHex, u32At } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TpmChannel } from './channel/channel.ts';
import { openUnixChannel } from './channel/unix.ts';
import { GetCapability } from './commands/capability.ts';
import { ReadPublic } from './commands/object.ts';
import { withEk } from './endorsement-key.ts';
import { storePersistent } from './persistent.ts';
import { parsePublicArea, toSpki } from './structures/index.ts';
import { matchesTemplate, TEMPLATES } from './structures/templates.ts';
import { startTestTpm, type TestTpm } from './testing.ts';
import { Tpm } from './tpm.ts';

const FOREIGN = 0x81010000;
const KEY_BYTES = 1184;
// TPM 2.0 Part 2, revision 1.85: TPM_ALG_MLKEM; restricted decryption, AES-128-CFB, ML-KEM-768, and a key.
const ML_KEM_768 = concatBytes(
  fromHex('00a0000b000304720000000600800043000204a0'),
  new Uint8Array(KEY_BYTES).fill(0x5a),
);

let software: TestTpm;
let channel: NewerChannel;
let tpm: Tpm;
beforeAll(async () => {
  software = await startTestTpm();
  await using key = await software.tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srk });
  await software.tpm.exclusive((io) => storePersistent(io, key, FOREIGN));
  await software.tpm.close();
  channel = newer(await openUnixChannel(software.socketPath));
  tpm = await Tpm.open(channel);
});
afterAll(async () => {
  await tpm.close();
  await software.stop();
});

describe('an object of a type that is not known here', () => {
  it('is read, named and written as its very bytes', async () => {
    channel.publicArea = ML_KEM_768;
    const { outPublic } = await tpm.run(ReadPublic, { handles: { objectHandle: FOREIGN } });
    expect(outPublic).toMatchObject({ type: 'unknown', objectType: 0xa0, nameAlg: 0xb, attributes: 0x30472 });
    const { publicArea, name } = await tpm.readPublic(FOREIGN);
    expect(toHex(publicArea)).toBe(toHex(ML_KEM_768));
    expect(toHex(name)).toBe(`000b${createHash('sha256').update(ML_KEM_768).digest('hex')}`);
  });

  it('is refused where one is needed that is known', () => {
    const refusal = expect.objectContaining({ code: 'TPM_STRUCTURE_UNSUPPORTED' });
    expect(() => parsePublicArea(ML_KEM_768)).toThrow(refusal);
    expect(() => matchesTemplate(TEMPLATES.srk, ML_KEM_768)).toThrow(refusal);
    expect(matchesTemplate(ML_KEM_768, TEMPLATES.srk)).toBe(false);
    const area = {
      type: 'unknown',
      objectType: 0xa0,
      nameAlg: 0xb,
      attributes: 0,
      authPolicy: new Uint8Array(0),
    } as const;
    expect(() => toSpki({ ...area, body: new Uint8Array(0) })).toThrow(refusal);
  });

  it.each([
    ['of another type', ML_KEM_768],
    ['named by another hash', ML_KEM_768.with(3, 0xff)],
  ])('does not hide the endorsement key behind it: one %s', async (_what, publicArea) => {
    channel.publicArea = publicArea;
    const { publicArea: found } = await tpm.exclusive((io) => withEk(io, 'L-1', async (key) => key));
    expect(matchesTemplate(found, TEMPLATES.ek)).toBe(true);
  });

  it('has no name where its hash is not known', async () => {
    channel.publicArea = ML_KEM_768.with(3, 0xff);
    const { outPublic } = await tpm.run(ReadPublic, { handles: { objectHandle: FOREIGN } });
    expect(outPublic).toMatchObject({ type: 'unknown', nameAlg: 0xff });
    await expect(tpm.readPublic(FOREIGN)).rejects.toMatchObject({ code: 'TPM_STRUCTURE_UNSUPPORTED' });
  });

  it('still has to be whole', async () => {
    channel.publicArea = ML_KEM_768.subarray(0, 9);
    await expect(tpm.readPublic(FOREIGN)).rejects.toMatchObject({ code: 'TPM_STRUCTURE_INVALID' });
  });

  it('is asked of the TPM, which says whether it knows it', async () => {
    const primary = tpm.createPrimary({ hierarchy: 'owner', template: ML_KEM_768 });
    await expect(primary).rejects.toMatchObject({
      code: 'TPM_RETURN_CODE',
      data: { command: 'CreatePrimary' },
    });
  });
});

describe('a capability group that is not known here', () => {
  it('comes as its bytes', async () => {
    channel.group = 0xb;
    const parameters = { capability: 8, property: 0, propertyCount: 1 };
    const { capabilityData, moreData } = await tpm.run(GetCapability, { parameters });
    // One curve, NIST P-192.
    expect(capabilityData).toEqual({ capability: 'unknown', group: 0xb, data: fromHex('000000010001') });
    expect(moreData).toBe(true);
  });

  it('is refused as the answer to another question', async () => {
    channel.group = 0xb;
    await expect(tpm.capabilities('curves')).rejects.toMatchObject({ code: 'TPM_STRUCTURE_UNSUPPORTED' });
  });
});

interface NewerChannel extends TpmChannel {
  /** What the foreign object is from now on. */
  publicArea: Uint8Array;
  /** What group the next answer about curves is of. */
  group: number | undefined;
}

/** The software TPM, as if it were of a later revision: one object and one capability group are others. */
function newer(inner: TpmChannel): NewerChannel {
  const outer: NewerChannel = {
    publicArea: ML_KEM_768,
    group: undefined,
    get isOpen() {
      return inner.isOpen;
    },
    async transmit(command, options) {
      const response = await inner.transmit(command, options);
      const code = u32At(command, 6);
      if (code === ReadPublic.code && u32At(command, 10) === FOREIGN)
        return withArea(response, outer.publicArea);
      if (code === GetCapability.code && u32At(command, 10) === 8 && outer.group !== undefined) {
        new DataView(response.buffer, response.byteOffset).setUint32(11, outer.group);
        outer.group = undefined;
      }
      return response;
    },
    close: () => inner.close(),
  };
  return outer;
}

/** Header, TPM2B_PUBLIC, and the rest as it was. */
function withArea(response: Uint8Array, area: Uint8Array): Uint8Array {
  const view = new DataView(response.buffer, response.byteOffset);
  const size = Uint8Array.of(area.length >> 8, area.length & 0xff);
  const changed = concatBytes(
    response.subarray(0, 10),
    size,
    area,
    response.subarray(12 + view.getUint16(10)),
  );
  new DataView(changed.buffer, changed.byteOffset).setUint32(2, changed.length);
  return changed;
}
