import { fromUtf8, toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PolicyAuthValue, PolicyCommandCode, PolicyPassword, PolicyPCR, Unseal } from '../commands/index.ts';
import { run } from '../commands/run.ts';
import { pcrExtend } from '../pcr.ts';
import { ALG } from '../structures/algorithms.ts';
import { startTestTpm, type TestTpm } from '../testing.ts';
import { underPolicy } from './policy.ts';
import { type Session, withSession } from './session.ts';
import { policyDigest, SECRET, withSealed } from './testing.ts';

const POLICY_ONLY = 0x412;

let software: TestTpm;
beforeAll(async () => {
  software = await startTestTpm();
});
afterAll(() => software.stop());

describe('a policy session', () => {
  it.each([
    ['with the password in its HMAC', PolicyAuthValue],
    ['with the password itself', PolicyPassword],
  ])('unseals %s, and does not with another password', async (_title, Assertion) => {
    const auth = fromUtf8('object password');
    await software.tpm.exclusive(async (io) => {
      const assertPolicy = (session: Session) => run(io, Assertion, { handles: { policySession: session } });
      const authPolicy = await policyDigest(io, assertPolicy);
      await withSealed(io, { auth, authPolicy, attributes: POLICY_ONLY }, (object) =>
        withSession(io, { type: 'policy' }, async (session) => {
          await assertPolicy(session);
          const handles = { itemHandle: object };
          await expect(run(io, Unseal, { handles, auth: [{ session }] })).rejects.toMatchObject({
            code: 'TPM_RETURN_CODE',
            data: { handle: object.handle },
          });
          const { outData } = await run(io, Unseal, { handles, auth: [{ session, auth }] });
          expect(toHex(outData)).toBe(toHex(SECRET));
          // Used once, the session has to be satisfied anew.
          await expect(run(io, Unseal, { handles, auth: [{ session, auth }] })).rejects.toMatchObject({
            data: { name: 'POLICY_FAIL (session 1)' },
          });
          await assertPolicy(session);
          await run(io, Unseal, { handles, auth: [{ session, auth, continueSession: false }] });
          expect(session.ended).toBe(true);
        }),
      );
    });
  });

  it('that is salted hides the secret by itself, with the password in the key', async () => {
    const auth = fromUtf8('object password');
    await software.tpm.exclusive(async (io) => {
      const assertPolicy = (session: Session) =>
        run(io, PolicyCommandCode, { handles: { policySession: session }, parameters: { code: 0x15e } });
      const authPolicy = await policyDigest(io, assertPolicy);
      await withSealed(io, { auth, authPolicy, attributes: POLICY_ONLY }, (object, srk) =>
        withSession(io, { type: 'policy', saltKey: srk }, async (session) => {
          await assertPolicy(session);
          const use = { session, auth, encrypt: true };
          const { outData } = await run(io, Unseal, { handles: { itemHandle: object }, auth: [use] });
          expect(toHex(outData)).toBe(toHex(SECRET));
        }),
      );
    });
  });

  it('starts over after an extend between assertion and use, a bounded number of times', async () => {
    await software.tpm.exclusive(async (io) => {
      const assertPolicy = (session: Session) =>
        run(io, PolicyPCR, {
          handles: { policySession: session },
          parameters: { pcrs: [{ hashAlg: ALG.sha256, pcrs: [7] }] },
        });
      const authPolicy = await policyDigest(io, assertPolicy);
      await withSealed(
        io,
        { auth: new Uint8Array(0), authPolicy, attributes: POLICY_ONLY },
        async (object) => {
          const unsealDisturbed = (times: number) => {
            let disturbances = times;
            return underPolicy(io, {
              assert: async (session) => void (await assertPolicy(session)),
              use: async (session) => {
                if (disturbances-- > 0) await pcrExtend(io, 10, new Uint8Array(32));
                return (await run(io, Unseal, { handles: { itemHandle: object }, auth: [session] })).outData;
              },
            });
          };
          expect(toHex(await unsealDisturbed(7))).toBe(toHex(SECRET));
          await expect(unsealDisturbed(8)).rejects.toMatchObject({ code: 'TPM_RETRIES_EXHAUSTED' });
        },
      );
    });
  });
});
