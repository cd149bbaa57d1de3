import { bytesEqual, fromUtf8, sha256 } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NV_ATTRIBUTE } from './structures/algorithms.ts';
import { parseAttest } from './structures/attest.ts';
import { TEMPLATES } from './structures/templates.ts';
import { startTestTpm, type TestTpm } from './testing.ts';
import type { Tpm } from './tpm.ts';

const INDEX = 0x01800400;
const { authRead, authWrite, counter, extend, noDa, ownerRead, ownerWrite } = NV_ATTRIBUTE;

let software: TestTpm;
let tpm: Tpm;
beforeAll(async () => {
  software = await startTestTpm();
  tpm = software.tpm;
});
afterAll(() => software.stop());

describe('nv indexes', () => {
  it('hold more than one command carries', async () => {
    const data = Uint8Array.from({ length: 1500 }, (_, i) => i);
    await tpm.nvDefine({ index: INDEX, dataSize: data.length });
    await tpm.nvWrite(INDEX, data);
    expect(await tpm.nvRead(INDEX)).toEqual(data);
    expect(await tpm.nvReadPublic(INDEX)).toMatchObject({ nvIndex: INDEX, dataSize: 1500 });
    await expect(tpm.nvWrite(INDEX, new Uint8Array(1501))).rejects.toMatchObject({
      code: 'TPM_ARGUMENT_INVALID',
    });
    await tpm.nvUndefine(INDEX);
    await expect(tpm.nvRead(INDEX)).rejects.toMatchObject({ data: { accused: { name: 'nvIndex' } } });
  });

  it('open by their own password, which is not the owner’s', async () => {
    const password = fromUtf8('of the index');
    const attributes = authRead | authWrite | noDa;
    await tpm.nvDefine({ index: INDEX, dataSize: 4, attributes, password });
    const auth = { auth: { password } };
    await tpm.nvWrite(INDEX, fromUtf8('data'), auth);
    expect(bytesEqual(await tpm.nvRead(INDEX, auth), fromUtf8('data'))).toBe(true);
    await expect(tpm.nvRead(INDEX)).rejects.toMatchObject({
      data: { name: 'BAD_AUTH (session 1)', accused: { name: 'authHandle' } },
    });
    await tpm.nvUndefine(INDEX);
  });

  it('count up by one, and say where they are', async () => {
    await tpm.nvDefine({ index: INDEX, dataSize: 8, attributes: counter | ownerRead | ownerWrite });
    await expect(tpm.nvReadCounter(INDEX)).rejects.toMatchObject({ data: { name: 'NV_UNINITIALIZED' } });
    const first = await tpm.nvIncrement(INDEX);
    expect(await tpm.nvReadCounter(INDEX)).toBe(first);
    expect(await tpm.nvIncrement(INDEX)).toBe(first + 1n);
    await tpm.nvUndefine(INDEX);
  });

  it('extend like PCRs, and are certified by an attestation key', async () => {
    await tpm.nvDefine({ index: INDEX, dataSize: 32, attributes: extend | ownerRead | ownerWrite });
    await tpm.nvExtend(INDEX, fromUtf8('event'));
    const contents = sha256(new Uint8Array(32), fromUtf8('event'));
    expect(await tpm.nvRead(INDEX)).toEqual(contents);
    const ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
    const { attest } = await tpm.nvCertify(ak, { index: INDEX, qualifyingData: fromUtf8('nonce') });
    const { name } = await tpm.nvReadPublic(INDEX);
    expect(parseAttest(attest)).toMatchObject({ type: 'nv-certify', indexName: name, contents });
    await tpm.flush(ak.handle);
    await tpm.nvUndefine(INDEX);
  });
});
