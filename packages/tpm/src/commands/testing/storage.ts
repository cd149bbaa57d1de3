import { createHash, createHmac } from 'node:crypto';
import { ByteWriter, concatBytes, fromUtf8, sha256, toHex } from '@nemea/core';
import { describe, expect, it } from 'vitest';
import { HANDLE } from '../../command.ts';
import { ALG, NV_ATTRIBUTE, OBJECT_ATTRIBUTE } from '../../structures/algorithms.ts';
import { parseAttest } from '../../structures/attest.ts';
import { encode } from '../../structures/codec.ts';
import { tpmsNvPublic } from '../../structures/context.ts';
import { policyDigest } from '../../structures/policy-digest.ts';
import {
  EventSequenceComplete,
  FlushContext,
  Hash,
  HashSequenceStart,
  HMAC_Start,
  NV_Certify,
  NV_ChangeAuth,
  NV_DefineSpace,
  NV_Extend,
  NV_GlobalWriteLock,
  NV_Increment,
  NV_Read,
  NV_ReadLock,
  NV_ReadPublic,
  NV_SetBits,
  NV_UndefineSpace,
  NV_UndefineSpaceSpecial,
  NV_Write,
  NV_WriteLock,
  PCR_Allocate,
  PCR_Event,
  PCR_Extend,
  PCR_Read,
  PCR_Reset,
  PCR_SetAuthPolicy,
  PCR_SetAuthValue,
  PolicyCommandCode,
  SequenceComplete,
  SequenceUpdate,
} from '../index.ts';
import { AREA, type Bench, EMPTY, ENDORSEMENT } from './bench.ts';

const { ownerWrite, ownerRead, authRead, authWrite, noDa } = NV_ATTRIBUTE;
const BY_OWNER = ownerWrite | ownerRead | authRead | authWrite | noDa;
const MESSAGE = fromUtf8('a message');

const INDEX = 0x01800100;

export function storage(open: () => Bench): void {
  async function withIndex<T>(
    index: { attributes: number; dataSize: number; authPolicy?: Uint8Array },
    use: (handles: { authHandle: number; nvIndex: number }) => Promise<T>,
  ): Promise<T> {
    const { run } = open();
    const { attributes, dataSize, authPolicy = EMPTY } = index;
    await run(NV_DefineSpace, {
      handles: { authHandle: HANDLE.owner },
      parameters: { publicInfo: { nvIndex: INDEX, nameAlg: ALG.sha256, attributes, authPolicy, dataSize } },
    });
    const handles = { authHandle: HANDLE.owner, nvIndex: INDEX };
    try {
      return await use(handles);
    } finally {
      await run(NV_UndefineSpace, { handles });
    }
  }

  describe('nv', () => {
    it('writes, reads in pieces, and names the index by its public area', async () => {
      const { run } = open();
      await withIndex({ attributes: BY_OWNER, dataSize: 16 }, async (handles) => {
        await expect(run(NV_Read, { handles, parameters: { size: 4 } })).rejects.toMatchObject({
          data: { name: 'NV_UNINITIALIZED' },
        });
        await run(NV_Write, { handles, parameters: { data: MESSAGE, offset: 2 } });
        const { data } = await run(NV_Read, { handles, parameters: { size: 4, offset: 2 } });
        expect(data).toEqual(MESSAGE.slice(0, 4));
        const { nvPublic, nvName } = await run(NV_ReadPublic, { handles: { nvIndex: INDEX } });
        expect(nvPublic).toMatchObject({ nvIndex: INDEX, dataSize: 16 });
        expect(nvPublic.attributes >>> 0).toBe((BY_OWNER | NV_ATTRIBUTE.written) >>> 0);
        expect(toHex(nvName)).toBe(`000b${toHex(sha256(encode(tpmsNvPublic, nvPublic)))}`);
        await expect(run(NV_Read, { handles, parameters: { size: 4, offset: 16 } })).rejects.toMatchObject({
          data: { name: 'NV_RANGE' },
        });
      });
      await expect(run(NV_ReadPublic, { handles: { nvIndex: INDEX } })).rejects.toMatchObject({
        data: { name: 'HANDLE (handle 1)', accused: { name: 'nvIndex' } },
      });
    });

    it('counts, without loss beyond 2^32', async () => {
      const { run } = open();
      await withIndex({ attributes: BY_OWNER | NV_ATTRIBUTE.counter, dataSize: 8 }, async (handles) => {
        await run(NV_Increment, { handles });
        const before = await run(NV_Read, { handles, parameters: { size: 8 } });
        await run(NV_Increment, { handles });
        const after = await run(NV_Read, { handles, parameters: { size: 8 } });
        const value = (bytes: Uint8Array) => new DataView(bytes.buffer).getBigUint64(0);
        expect(value(after.data)).toBe(value(before.data) + 1n);
        await expect(run(NV_Write, { handles, parameters: { data: after.data } })).rejects.toMatchObject({
          data: { name: 'ATTRIBUTES', command: 'NV_Write' },
        });
      });
    });

    it('sets bits up to bit 63', async () => {
      const { run } = open();
      await withIndex({ attributes: BY_OWNER | NV_ATTRIBUTE.bits, dataSize: 8 }, async (handles) => {
        await run(NV_SetBits, { handles, parameters: { bits: 1n << 63n } });
        await run(NV_SetBits, { handles, parameters: { bits: 5n } });
        const { data } = await run(NV_Read, { handles, parameters: { size: 8 } });
        expect(toHex(data)).toBe('8000000000000005');
      });
    });

    it('extends an index like a PCR', async () => {
      const { run } = open();
      await withIndex({ attributes: BY_OWNER | NV_ATTRIBUTE.extend, dataSize: 32 }, async (handles) => {
        await run(NV_Extend, { handles, parameters: { data: MESSAGE } });
        const { data } = await run(NV_Read, { handles, parameters: { size: 32 } });
        expect(toHex(data)).toBe(toHex(sha256(new Uint8Array(32), MESSAGE)));
      });
    });

    it('locks reading and writing until the next start', async () => {
      const { run } = open();
      const locks = NV_ATTRIBUTE.readStClear | NV_ATTRIBUTE.writeStClear;
      await withIndex({ attributes: (BY_OWNER | locks) >>> 0, dataSize: 8 }, async (handles) => {
        await run(NV_Write, { handles, parameters: { data: MESSAGE.slice(0, 8) } });
        await run(NV_WriteLock, { handles });
        await run(NV_ReadLock, { handles });
        for (const refused of [
          run(NV_Write, { handles, parameters: { data: EMPTY } }),
          run(NV_Read, { handles, parameters: { size: 8 } }),
        ])
          await expect(refused).rejects.toMatchObject({ data: { name: 'NV_LOCKED' } });
      });
      await run(NV_GlobalWriteLock, { handles: { authHandle: HANDLE.owner } });
    });

    it('certifies contents, and their digest where no range is asked for', async () => {
      const { run, primary } = open();
      const ak = await primary(AREA.ak, ENDORSEMENT);
      await withIndex({ attributes: BY_OWNER, dataSize: 9 }, async (handles) => {
        await run(NV_Write, { handles, parameters: { data: MESSAGE } });
        const certify = async (size: number) => {
          const parameters = { qualifyingData: fromUtf8('nonce'), size };
          const { certifyInfo } = await run(NV_Certify, {
            handles: { signHandle: ak, ...handles },
            parameters,
          });
          return parseAttest(certifyInfo);
        };
        expect(await certify(4)).toMatchObject({
          type: 'nv-certify',
          offset: 0,
          contents: MESSAGE.slice(0, 4),
        });
        expect(await certify(0)).toMatchObject({ type: 'nv-digest', nvDigest: sha256(MESSAGE) });
      });
      await run(FlushContext, { parameters: { flushHandle: ak.handle } });
    });

    it('changes the password of an index, and undefines one, where a policy allows it', async () => {
      const { run, withPolicy } = open();
      const authPolicy = policyDigest([{ type: 'command-code', code: NV_ChangeAuth.code }]);
      await withIndex({ attributes: BY_OWNER, dataSize: 8, authPolicy }, async () => {
        await withPolicy(async (session) => {
          const code = NV_ChangeAuth.code;
          await run(PolicyCommandCode, { handles: { policySession: session }, parameters: { code } });
          await run(NV_ChangeAuth, {
            handles: { nvIndex: INDEX },
            parameters: { newAuth: fromUtf8('new') },
            auth: [session],
          });
        });
      });

      const { platformCreate, ppWrite, ppRead, policyDelete } = NV_ATTRIBUTE;
      const attributes = platformCreate | ppWrite | ppRead | policyDelete;
      const deletion = policyDigest([{ type: 'command-code', code: NV_UndefineSpaceSpecial.code }]);
      await run(NV_DefineSpace, {
        handles: { authHandle: HANDLE.platform },
        parameters: {
          publicInfo: { nvIndex: INDEX, nameAlg: ALG.sha256, attributes, authPolicy: deletion, dataSize: 8 },
        },
      });
      await withPolicy(async (session) => {
        const code = NV_UndefineSpaceSpecial.code;
        await run(PolicyCommandCode, { handles: { policySession: session }, parameters: { code } });
        await run(NV_UndefineSpaceSpecial, {
          handles: { nvIndex: INDEX, platform: HANDLE.platform },
          auth: [{ session, continueSession: false }, 'password'],
        });
      });
    });
  });

  describe('pcrs', () => {
    const sha256Bank = (pcrs: readonly number[]) => [{ hashAlg: ALG.sha256, pcrs }];
    const read = async (pcr: number) => {
      const { pcrValues } = await open().run(PCR_Read, { parameters: { pcrSelectionIn: sha256Bank([pcr]) } });
      return pcrValues[0] as Uint8Array;
    };

    it('reads, extends several banks at once, and resets', async () => {
      const { run } = open();
      const handles = { pcrHandle: 16 };
      await run(PCR_Reset, { handles });
      const digests = [
        { hashAlg: ALG.sha256, digest: sha256(MESSAGE) },
        { hashAlg: ALG.sha1, digest: new Uint8Array(20).fill(7) },
      ];
      await run(PCR_Extend, { handles, parameters: { digests } });
      expect(toHex(await read(16))).toBe(toHex(sha256(new Uint8Array(32), sha256(MESSAGE))));
      const { digests: measured } = await run(PCR_Event, { handles, parameters: { eventData: MESSAGE } });
      expect(measured.find(({ hashAlg }) => hashAlg === ALG.sha256)?.digest).toEqual(sha256(MESSAGE));
      await run(PCR_Reset, { handles });
      expect(await read(16)).toEqual(new Uint8Array(32));
      await expect(run(PCR_Reset, { handles: { pcrHandle: 0 } })).rejects.toMatchObject({
        data: { name: 'LOCALITY', kind: 'warning' },
      });
    });

    it('plans other banks for the next start, and takes that back', async () => {
      const { run } = open();
      const all = Array.from({ length: 24 }, (_, pcr) => pcr);
      for (const pcrs of [[], all]) {
        const answer = await run(PCR_Allocate, {
          handles: { authHandle: HANDLE.platform },
          parameters: { pcrAllocation: [{ hashAlg: ALG.sha384, pcrs }] },
        });
        expect(answer.allocationSuccess).toBe(true);
      }
    });

    it('refuses policies and passwords for PCRs, which PC platforms do not have', async () => {
      const { run } = open();
      await expect(
        run(PCR_SetAuthPolicy, {
          handles: { authHandle: HANDLE.platform },
          parameters: { authPolicy: EMPTY, hashAlg: ALG.null, pcrNum: 0 },
        }),
      ).rejects.toMatchObject({ data: { name: 'VALUE (parameter 3)', accused: { name: 'pcrNum' } } });
      await expect(
        run(PCR_SetAuthValue, { handles: { pcrHandle: 0 }, parameters: { auth: EMPTY } }),
      ).rejects.toMatchObject({ data: { name: 'VALUE' } });
    });
  });

  describe('hashes', () => {
    it.each([
      ['sha1', ALG.sha1],
      ['sha256', ALG.sha256],
      ['sha384', ALG.sha384],
      ['sha512', ALG.sha512],
    ] as const)('computes %s as node:crypto does, whole and in pieces', async (name, hashAlg) => {
      const { run } = open();
      const expected = toHex(createHash(name).update(MESSAGE).digest());
      const whole = await run(Hash, { parameters: { data: MESSAGE, hashAlg, hierarchy: HANDLE.null } });
      expect(toHex(whole.outHash)).toBe(expected);
      const { sequenceHandle } = await run(HashSequenceStart, { parameters: { hashAlg } });
      await run(SequenceUpdate, { handles: { sequenceHandle }, parameters: { buffer: MESSAGE.slice(0, 4) } });
      const { result, validation } = await run(SequenceComplete, {
        handles: { sequenceHandle },
        parameters: { buffer: MESSAGE.slice(4), hierarchy: HANDLE.owner },
      });
      expect(toHex(result)).toBe(expected);
      expect(validation).toMatchObject({ tag: 0x8024, hierarchy: HANDLE.owner });
    });

    it('gives no ticket for what looks like a statement of the TPM', async () => {
      const { run } = open();
      const data = concatBytes(new ByteWriter().u32(0xff544347).toBytes(), MESSAGE);
      const parameters = { data, hashAlg: ALG.sha256, hierarchy: HANDLE.owner };
      const { validation } = await run(Hash, { parameters });
      expect(validation).toMatchObject({ hierarchy: HANDLE.null, digest: EMPTY });
    });

    it('hashes an event for every bank, and extends it', async () => {
      const { run } = open();
      const { sequenceHandle } = await run(HashSequenceStart, { parameters: { hashAlg: ALG.null } });
      const { results } = await run(EventSequenceComplete, {
        handles: { pcrHandle: 16, sequenceHandle },
        parameters: { buffer: MESSAGE },
      });
      expect(results.find(({ hashAlg }) => hashAlg === ALG.sha256)?.digest).toEqual(sha256(MESSAGE));
    });

    it('computes an HMAC in pieces', async () => {
      const { run, primary } = open();
      const key = fromUtf8('a key that both know');
      const { sign, userWithAuth } = OBJECT_ATTRIBUTE;
      const handle = await primary(
        {
          type: 'keyed-hash',
          nameAlg: ALG.sha256,
          attributes: sign | userWithAuth,
          authPolicy: EMPTY,
          scheme: { scheme: 'hmac', hashAlg: ALG.sha256 },
          unique: EMPTY,
        },
        { data: key },
      );
      const { sequenceHandle } = await run(HMAC_Start, {
        handles: { handle },
        parameters: { hashAlg: ALG.null },
      });
      await run(SequenceUpdate, { handles: { sequenceHandle }, parameters: { buffer: MESSAGE } });
      const { result } = await run(SequenceComplete, {
        handles: { sequenceHandle },
        parameters: { hierarchy: HANDLE.null },
      });
      expect(toHex(result)).toBe(toHex(createHmac('sha256', key).update(MESSAGE).digest()));
      await run(FlushContext, { parameters: { flushHandle: handle.handle } });
    });
  });
}
