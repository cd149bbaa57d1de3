import { ByteWriter, concatBytes, fromUtf8, sha256, toHex } from '@nemea/core';
import { describe, expect, it } from 'vitest';
import { HANDLE } from '../../command.ts';
import type { TpmKey } from '../../object.ts';
import { satisfyPolicy } from '../../sessions/satisfy.ts';
import type { Session } from '../../sessions/session.ts';
import { ALG, CURVE, NV_ATTRIBUTE, OBJECT_ATTRIBUTE } from '../../structures/algorithms.ts';
import { OPERATION, type PolicyAssertion, policyDigest } from '../../structures/policy-digest.ts';
import {
  FlushContext,
  NV_DefineSpace,
  NV_ReadPublic,
  NV_UndefineSpace,
  NV_Write,
  PolicyAuthorize,
  PolicyAuthorizeNV,
  PolicyAuthValue,
  PolicyCommandCode,
  PolicyCounterTimer,
  PolicyCpHash,
  PolicyDuplicationSelect,
  PolicyGetDigest,
  PolicyLocality,
  PolicyNameHash,
  PolicyNV,
  PolicyNvWritten,
  PolicyOR,
  PolicyPassword,
  PolicyPCR,
  PolicyPhysicalPresence,
  PolicyRestart,
  PolicySecret,
  PolicySigned,
  PolicyTemplate,
  PolicyTicket,
  Quote,
  SESSION,
  Sign,
  StartAuthSession,
  VerifySignature,
} from '../index.ts';
import { type Bench, EMPTY } from './bench.ts';

const DIGEST = sha256(fromUtf8('anything'));
const REF = fromUtf8('reference');
const OWNER_NAME = new ByteWriter().u32(HANDLE.owner).toBytes();
const INDEX = 0x01800200;

export function policies(open: () => Bench): void {
  /** Runs `assert` in a session and expects the TPM to arrive at what software computes from `assertions`. */
  async function expectDigest(
    assertions: readonly PolicyAssertion[],
    assert: (handles: { policySession: Session }) => Promise<unknown>,
    type: 'policy' | 'trial' = 'policy',
  ): Promise<void> {
    const { run, withPolicy } = open();
    await withPolicy(async (session) => {
      const handles = { policySession: session };
      await assert(handles);
      const { policyDigest: reached } = await run(PolicyGetDigest, { handles });
      expect(toHex(reached)).toBe(toHex(policyDigest(assertions)));
    }, type);
  }

  async function withSigner<T>(use: (key: TpmKey) => Promise<T>): Promise<T> {
    const { run, primary } = open();
    const { sign, userWithAuth, sensitiveDataOrigin } = OBJECT_ATTRIBUTE;
    const key = await primary({
      type: 'ecc',
      nameAlg: ALG.sha256,
      attributes: sign | userWithAuth | sensitiveDataOrigin,
      authPolicy: EMPTY,
      symmetric: undefined,
      scheme: { scheme: 'ecdsa', hashAlg: ALG.sha256 },
      curve: CURVE.p256,
      kdf: undefined,
      x: EMPTY,
      y: EMPTY,
    });
    const result = await use(key);
    await run(FlushContext, { parameters: { flushHandle: key.handle } });
    return result;
  }

  async function withIndex(
    data: Uint8Array,
    use: (index: { nvIndex: number; authHandle: number; name: Uint8Array }) => Promise<void>,
  ): Promise<void> {
    const { run } = open();
    const { ownerWrite, ownerRead, authRead, authWrite, policyRead } = NV_ATTRIBUTE;
    const attributes = ownerWrite | ownerRead | authRead | authWrite | policyRead;
    await run(NV_DefineSpace, {
      handles: { authHandle: HANDLE.owner },
      parameters: {
        publicInfo: {
          nvIndex: INDEX,
          nameAlg: ALG.sha256,
          attributes,
          authPolicy: EMPTY,
          dataSize: data.length,
        },
      },
    });
    const handles = { authHandle: HANDLE.owner, nvIndex: INDEX };
    await run(NV_Write, { handles, parameters: { data } });
    const { nvName } = await run(NV_ReadPublic, { handles: { nvIndex: INDEX } });
    await use({ ...handles, name: nvName });
    await run(NV_UndefineSpace, { handles });
  }

  describe('policies in software reach the digest of the TPM', () => {
    it.each<
      [string, PolicyAssertion, (bench: Bench, handles: { policySession: Session }) => Promise<unknown>]
    >([
      [
        'PolicyPCR',
        {
          type: 'pcr',
          selections: [{ hashAlg: ALG.sha256, pcrs: [7] }],
          pcrDigest: sha256(new Uint8Array(32)),
        },
        ({ run }, handles) =>
          run(PolicyPCR, { handles, parameters: { pcrs: [{ hashAlg: ALG.sha256, pcrs: [7] }] } }),
      ],
      ['PolicyAuthValue', { type: 'auth-value' }, ({ run }, handles) => run(PolicyAuthValue, { handles })],
      ['PolicyPassword', { type: 'password' }, ({ run }, handles) => run(PolicyPassword, { handles })],
      [
        'PolicyCommandCode',
        { type: 'command-code', code: Quote.code },
        ({ run }, handles) => run(PolicyCommandCode, { handles, parameters: { code: Quote.code } }),
      ],
      [
        'PolicyCounterTimer',
        { type: 'counter-timer', operandB: new Uint8Array(8), operation: OPERATION.unsignedGe },
        ({ run }, handles) =>
          run(PolicyCounterTimer, {
            handles,
            parameters: { operandB: new Uint8Array(8), operation: OPERATION.unsignedGe },
          }),
      ],
      [
        'PolicyNameHash',
        { type: 'name-hash', names: [OWNER_NAME, REF] },
        ({ run }, handles) =>
          run(PolicyNameHash, { handles, parameters: { nameHash: sha256(OWNER_NAME, REF) } }),
      ],
      [
        'PolicyCpHash',
        { type: 'cp-hash', cpHash: DIGEST },
        ({ run }, handles) => run(PolicyCpHash, { handles, parameters: { cpHashA: DIGEST } }),
      ],
      [
        'PolicyTemplate',
        { type: 'template', templateHash: DIGEST },
        ({ run }, handles) => run(PolicyTemplate, { handles, parameters: { templateHash: DIGEST } }),
      ],
      [
        'PolicyLocality',
        { type: 'locality', locality: 1 },
        ({ run }, handles) => run(PolicyLocality, { handles, parameters: { locality: 1 } }),
      ],
      [
        'PolicyNvWritten',
        { type: 'nv-written', written: true },
        ({ run }, handles) => run(PolicyNvWritten, { handles, parameters: { writtenSet: true } }),
      ],
      [
        'PolicyPhysicalPresence',
        { type: 'physical-presence' },
        ({ run }, handles) => run(PolicyPhysicalPresence, { handles }),
      ],
      [
        'PolicyDuplicationSelect with the object',
        { type: 'duplication-select', objectName: OWNER_NAME, newParentName: REF },
        ({ run }, handles) =>
          run(PolicyDuplicationSelect, {
            handles,
            parameters: { objectName: OWNER_NAME, newParentName: REF, includeObject: true },
          }),
      ],
      [
        'PolicyDuplicationSelect for any object',
        { type: 'duplication-select', newParentName: REF },
        ({ run }, handles) =>
          run(PolicyDuplicationSelect, {
            handles,
            parameters: { objectName: OWNER_NAME, newParentName: REF, includeObject: false },
          }),
      ],
      [
        'PolicySecret',
        { type: 'secret', name: OWNER_NAME, policyRef: REF },
        ({ run }, handles) =>
          run(PolicySecret, {
            handles: { authHandle: HANDLE.owner, ...handles },
            parameters: { policyRef: REF },
          }),
      ],
    ])('%s', async (_name, assertion, assert) => {
      await expectDigest([assertion], (handles) => assert(open(), handles));
      const { tpm } = open();
      await expectDigest([assertion], ({ policySession }) =>
        tpm.exclusive((io) => satisfyPolicy(io, policySession, [assertion])),
      );
    });

    it.each<PolicyAssertion>([
      { type: 'signed', name: OWNER_NAME },
      { type: 'authorize', name: OWNER_NAME },
      { type: 'authorize-nv', name: OWNER_NAME },
      { type: 'nv', name: OWNER_NAME, operandB: EMPTY, operation: OPERATION.eq },
      { type: 'secret', name: REF },
    ])('not $type, for which somebody else is needed', async (assertion) => {
      const { tpm, withPolicy } = open();
      const asserted = withPolicy((session) =>
        tpm.exclusive((io) => satisfyPolicy(io, session, [assertion])),
      );
      await expect(asserted).rejects.toMatchObject({ code: 'TPM_ARGUMENT_INVALID' });
    });

    it('PolicyOR, of a branch that holds and one that does not', async () => {
      const { run } = open();
      const branches = [policyDigest([{ type: 'auth-value' }]), DIGEST];
      await expectDigest([{ type: 'auth-value' }, { type: 'or', digests: branches }], async (handles) => {
        await run(PolicyAuthValue, { handles });
        const { tpm } = open();
        const or = { type: 'or', digests: branches } as const;
        await run(PolicyOR, { handles, parameters: { pHashList: branches } });
        await run(PolicyRestart, { handles: { sessionHandle: handles.policySession } });
        await tpm.exclusive((io) => satisfyPolicy(io, handles.policySession, [{ type: 'auth-value' }, or]));
        await expect(
          run(PolicyOR, { handles, parameters: { pHashList: [DIGEST, sha256(DIGEST)] } }),
        ).rejects.toMatchObject({ data: { name: 'VALUE (parameter 1)', accused: { name: 'pHashList' } } });
      });
    });

    it('PolicySigned, by a signature over this session’s nonce', async () => {
      const { run } = open();
      await withSigner(async (key) => {
        await expectDigest(
          [{ type: 'signed', name: key.name, policyRef: REF }],
          async ({ policySession }) => {
            const nonceTPM = policySession.nonceTpm;
            const digest = sha256(nonceTPM, new Uint8Array(4), REF);
            const { signature } = await run(Sign, { handles: { keyHandle: key }, parameters: { digest } });
            await run(PolicySigned, {
              handles: { authObject: key, policySession },
              parameters: { nonceTPM, policyRef: REF, auth: signature },
            });
            const stale = { nonceTPM, auth: signature };
            await expect(
              run(PolicySigned, { handles: { authObject: key, policySession }, parameters: stale }),
            ).rejects.toMatchObject({ data: { name: 'SIGNATURE (parameter 5)', accused: { name: 'auth' } } });
          },
        );
      });
    });

    it('PolicyAuthorize, of what a key has approved', async () => {
      const { run } = open();
      await withSigner(async (key) => {
        const approved: PolicyAssertion = { type: 'auth-value' };
        const authorized: PolicyAssertion = { type: 'authorize', name: key.name, policyRef: REF };
        await expectDigest([approved, authorized], async (handles) => {
          await run(PolicyAuthValue, { handles });
          const approvedPolicy = policyDigest([approved]);
          const digest = sha256(concatBytes(approvedPolicy, REF));
          const { signature } = await run(Sign, { handles: { keyHandle: key }, parameters: { digest } });
          const { validation } = await run(VerifySignature, {
            handles: { keyHandle: key },
            parameters: { digest, signature },
          });
          await run(PolicyAuthorize, {
            handles,
            parameters: { approvedPolicy, policyRef: REF, keySign: key.name, checkTicket: validation },
          });
        });
      });
    });

    it('PolicyNV and PolicyAuthorizeNV', async () => {
      const { run } = open();
      const approved = policyDigest([{ type: 'auth-value' }]);
      const stored = concatBytes(new ByteWriter().u16(ALG.sha256).toBytes(), approved);
      await withIndex(stored, async ({ authHandle, nvIndex, name }) => {
        const compared = { operandB: approved.slice(0, 4), offset: 2, operation: OPERATION.eq };
        await expectDigest([{ type: 'nv', name, ...compared }], async ({ policySession }) => {
          const handles = { authHandle, nvIndex, policySession };
          await run(PolicyNV, { handles, parameters: compared });
          await expect(
            run(PolicyNV, { handles, parameters: { ...compared, operation: OPERATION.neq } }),
          ).rejects.toMatchObject({ data: { name: 'POLICY', kind: 'error' } });
        });
        await expectDigest(
          [{ type: 'auth-value' }, { type: 'authorize-nv', name }],
          async ({ policySession }) => {
            await run(PolicyAuthValue, { handles: { policySession } });
            await run(PolicyAuthorizeNV, { handles: { authHandle, nvIndex, policySession } });
          },
        );
      });
    });

    it('PolicyTicket, in place of the password that earned it', async () => {
      const { run, withPolicy } = open();
      const granted = await withPolicy((policySession) =>
        run(PolicySecret, {
          handles: { authHandle: HANDLE.owner, policySession },
          parameters: { policyRef: REF, expiration: -60, nonceTPM: policySession.nonceTpm },
        }),
      );
      expect(granted.policyTicket.tag).toBe(0x8023);
      await expectDigest([{ type: 'secret', name: OWNER_NAME, policyRef: REF }], (handles) =>
        run(PolicyTicket, {
          handles,
          parameters: {
            timeout: granted.timeout,
            policyRef: REF,
            authName: OWNER_NAME,
            ticket: granted.policyTicket,
          },
        }),
      );
    });

    it('under SHA-384, in a trial session made by hand, and again after a restart', async () => {
      const { run } = open();
      const { sessionHandle, nonceTPM } = await run(StartAuthSession, {
        handles: { tpmKey: HANDLE.null, bind: HANDLE.null },
        parameters: {
          nonceCaller: new Uint8Array(16),
          sessionType: SESSION.trial,
          symmetric: { algorithm: 'xor', hashAlg: ALG.sha256 },
          authHash: ALG.sha384,
        },
      });
      expect(nonceTPM).toHaveLength(16);
      const handles = { policySession: sessionHandle };
      for (const _round of [1, 2]) {
        await run(PolicyLocality, { handles, parameters: { locality: 3 } });
        const { policyDigest: reached } = await run(PolicyGetDigest, { handles });
        expect(toHex(reached)).toBe(toHex(policyDigest([{ type: 'locality', locality: 3 }], ALG.sha384)));
        await run(PolicyRestart, { handles: { sessionHandle } });
      }
      await run(FlushContext, { parameters: { flushHandle: sessionHandle } });
    });
  });

  describe('policy digests', () => {
    it('are the one of the TCG endorsement key for its policy', () => {
      const name = new ByteWriter().u32(HANDLE.endorsement).toBytes();
      // TCG EK Credential Profile, B.3.
      expect(toHex(policyDigest([{ type: 'secret', name }]))).toBe(
        '837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa',
      );
    });

    it('have 2 to 8 branches', () => {
      for (const count of [0, 1, 9])
        expect(() => policyDigest([{ type: 'or', digests: Array(count).fill(DIGEST) }])).toThrow(/2 to 8/);
    });
  });
}
