import { createHmac, createPublicKey, verify } from 'node:crypto';
import { fromHex, fromUtf8, toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HANDLE } from '../command.ts';
import {
  Certify,
  Create,
  CreatePrimary,
  GetRandom,
  GetSessionAuditDigest,
  HierarchyChangeAuth,
  HMAC,
  Load,
  NV_DefineSpace,
  NV_Read,
  NV_UndefineSpace,
  NV_Write,
  ObjectChangeAuth,
  PolicyAuthValue,
  PolicyCommandCode,
  PolicyGetDigest,
  PolicyPassword,
  PolicyPCR,
  Unseal,
} from '../commands/index.ts';
import { run } from '../commands/run.ts';
import type { TpmIo } from '../executor.ts';
import { flush, readPublic, released, type TpmKey, withPrimary } from '../object.ts';
import { pcrExtend } from '../pcr.ts';
import { ALG, NV_ATTRIBUTE } from '../structures/algorithms.ts';
import { parseAttest } from '../structures/attest.ts';
import { parsePublicArea } from '../structures/public-area.ts';
import { toSpki } from '../structures/public-key.ts';
import { encodeSignature, parseSignature, type Signature } from '../structures/signature.ts';
import { TEMPLATES } from '../structures/templates.ts';
import { startTestTpm, type TestTpm } from '../testing.ts';
import type { Tpm } from '../tpm.ts';
import { underPolicy } from './policy.ts';
import { type Session, type SessionRequest, startSession, withSession } from './session.ts';

const INDEX = 0x01800001;
const PASSWORD = fromUtf8('index password');
const DATA = fromUtf8('what the index holds');
// Storage keys of the other kinds: P-384 with SHA-384 and AES-256 (after TCG template H-3), RSA-2048 (L-1).
const SRK_P384 = fromHex('0023000c00030472000000060100004300100004001000000000');
const HMAC_KEY = {
  type: 'keyed-hash',
  nameAlg: ALG.sha256,
  attributes: 0x40452,
  authPolicy: new Uint8Array(0),
  scheme: { scheme: 'hmac', hashAlg: ALG.sha256 },
  unique: new Uint8Array(0),
} as const;
const KEYS = { rsa: TEMPLATES.ek, p256: TEMPLATES.srk, p384: SRK_P384 };

let software: TestTpm;
beforeAll(async () => {
  software = await startTestTpm();
});
afterAll(() => software.stop());

/** An NV index with a password, for the length of `use`. */
async function withIndex<T>(io: TpmIo, use: () => Promise<T>): Promise<T> {
  await run(io, NV_DefineSpace, {
    handles: { authHandle: HANDLE.owner },
    parameters: {
      auth: PASSWORD,
      publicInfo: {
        nvIndex: INDEX,
        nameAlg: ALG.sha256,
        attributes: NV_ATTRIBUTE.authRead | NV_ATTRIBUTE.authWrite | NV_ATTRIBUTE.noDa,
        authPolicy: new Uint8Array(0),
        dataSize: DATA.length,
      },
    },
  });
  const handles = { authHandle: HANDLE.owner, nvIndex: INDEX };
  return await released(use, async () => void (await run(io, NV_UndefineSpace, { handles })));
}

const INDEX_HANDLES = { authHandle: INDEX, nvIndex: INDEX };

/** Writes encrypted and reads encrypted, with one session as authorization and cipher. */
async function writeAndRead(io: TpmIo, session: Session): Promise<Uint8Array> {
  const use = { session, auth: PASSWORD };
  await run(io, NV_Write, {
    handles: INDEX_HANDLES,
    parameters: { data: DATA },
    auth: [{ ...use, decrypt: true }],
  });
  const parameters = { size: DATA.length };
  const read = await run(io, NV_Read, {
    handles: INDEX_HANDLES,
    parameters,
    auth: [{ ...use, encrypt: true }],
  });
  return read.data;
}

async function withSaltKey<T>(
  io: TpmIo,
  kind: keyof typeof KEYS | undefined,
  use: (request: SessionRequest) => Promise<T>,
): Promise<T> {
  if (kind === undefined) return await use({});
  return await withPrimary(io, { hierarchy: 'endorsement', template: KEYS[kind] }, (saltKey) =>
    use({ saltKey }),
  );
}

describe.each([ALG.sha256, ALG.sha384])('an HMAC session with hash %d', (hashAlg) => {
  describe.each(['aes-128-cfb', 'aes-256-cfb', 'xor'] as const)('and %s', (cipher) => {
    it.each([
      ['without salt and binding', undefined, false],
      ['salted to an RSA endorsement key', 'rsa', false],
      ['salted to a P-256 storage key', 'p256', false],
      ['salted to a P-384 storage key', 'p384', false],
      ['bound to what it authorises', undefined, true],
      ['bound and salted', 'p256', true],
    ] as const)('authorises, encrypts and decrypts %s', async (_title, kind, isBound) => {
      const data = await software.tpm.exclusive((io) =>
        withIndex(io, () =>
          withSaltKey(io, kind, (salted) =>
            withSession(
              io,
              { ...salted, hashAlg, cipher, ...(isBound && { bind: { entity: INDEX, auth: PASSWORD } }) },
              (session) => writeAndRead(io, session),
            ),
          ),
        ),
      );
      expect(toHex(data)).toBe(toHex(DATA));
    });
  });
});

/** Sealed data with a password, made with attributes and policy of one's choice; loaded for the length of `use`. */
async function withSealed<T>(
  io: TpmIo,
  { auth, authPolicy, attributes }: { auth: Uint8Array; authPolicy: Uint8Array; attributes: number },
  use: (object: TpmKey, srk: TpmKey) => Promise<T>,
): Promise<T> {
  return await withPrimary(io, { hierarchy: 'endorsement', template: TEMPLATES.srk }, async (srk) => {
    const created = await run(io, Create, {
      handles: { parentHandle: srk },
      parameters: {
        inSensitive: { userAuth: auth, data: DATA },
        inPublic: {
          type: 'keyed-hash',
          nameAlg: ALG.sha256,
          attributes,
          authPolicy,
          scheme: undefined,
          unique: new Uint8Array(0),
        },
      },
    });
    const parameters = { inPrivate: created.outPrivate, inPublic: created.outPublic };
    const { objectHandle } = await run(io, Load, { handles: { parentHandle: srk }, parameters });
    return await released(
      async () => await use(await readPublic(io, objectHandle), srk),
      () => flush(io, objectHandle),
    );
  });
}

/** The digest that a policy's steps give, from a trial session. */
async function policyDigest(
  io: TpmIo,
  assertPolicy: (session: Session) => Promise<unknown>,
): Promise<Uint8Array> {
  return await withSession(io, { type: 'trial' }, async (session) => {
    await assertPolicy(session);
    return (await run(io, PolicyGetDigest, { handles: { policySession: session } })).policyDigest;
  });
}

const POLICY_ONLY = 0x412;
const WITH_PASSWORD = 0x452;

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
          expect(toHex(outData)).toBe(toHex(DATA));
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
          expect(toHex(outData)).toBe(toHex(DATA));
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
          expect(toHex(await unsealDisturbed(7))).toBe(toHex(DATA));
          await expect(unsealDisturbed(8)).rejects.toMatchObject({ code: 'TPM_RETRIES_EXHAUSTED' });
        },
      );
    });
  });
});

describe('passwords', () => {
  const auth = fromUtf8('object password');
  const made = { auth, authPolicy: new Uint8Array(0), attributes: WITH_PASSWORD };

  it('open what they are for, and a wrong one is blamed on its handle', async () => {
    await software.tpm.exclusive((io) =>
      withSealed(io, made, async (object) => {
        const handles = { itemHandle: object };
        const { outData } = await run(io, Unseal, { handles, auth: [{ password: auth }] });
        expect(toHex(outData)).toBe(toHex(DATA));
        for (const wrong of [fromUtf8('wrong'), new Uint8Array(0)]) {
          await expect(run(io, Unseal, { handles, auth: [{ password: wrong }] })).rejects.toMatchObject({
            code: 'TPM_RETURN_CODE',
            data: { handle: object.handle, accused: { kind: 'session', number: 1, name: 'itemHandle' } },
          });
        }
      }),
    );
  });

  it('may stand twice in a command', async () => {
    const second = fromUtf8('of the attestation key');
    await software.tpm.exclusive((io) =>
      withSealed(io, made, async (object, srk) => {
        const created = await run(io, Create, {
          handles: { parentHandle: srk },
          parameters: {
            inSensitive: { userAuth: second, data: new Uint8Array(0) },
            inPublic: parsePublicArea(TEMPLATES.ak),
          },
        });
        const parameters = { inPrivate: created.outPrivate, inPublic: created.outPublic };
        const { objectHandle } = await run(io, Load, { handles: { parentHandle: srk }, parameters });
        const handles = { objectHandle: object, signHandle: objectHandle };
        const { certifyInfo } = await run(io, Certify, {
          handles,
          parameters: {},
          auth: [{ password: auth }, { password: second }],
        });
        expect(parseAttest(certifyInfo)).toMatchObject({ type: 'certify', name: object.name });
        await expect(
          run(io, Certify, { handles, parameters: {}, auth: [{ password: auth }, { password: auth }] }),
        ).rejects.toMatchObject({ data: { handle: objectHandle } });
        await flush(io, objectHandle);
      }),
    );
    expect(await sessionCount(software.tpm)).toBe(1);
  });

  it('of an object change by an encrypted command, and the old object keeps its own', async () => {
    const newAuth = fromUtf8('the next password');
    await software.tpm.exclusive((io) =>
      withSealed(io, made, async (object, srk) => {
        const { outPrivate } = await run(io, ObjectChangeAuth, {
          handles: { objectHandle: object, parentHandle: srk },
          parameters: { newAuth },
          auth: [{ password: auth }],
        });
        const inPublic = parsePublicArea(object.publicArea);
        const parameters = { inPrivate: outPrivate, inPublic };
        const { objectHandle } = await run(io, Load, { handles: { parentHandle: srk }, parameters });
        for (const [handle, password] of [
          [objectHandle, newAuth],
          [object, auth],
        ] as const) {
          const unsealed = await run(io, Unseal, { handles: { itemHandle: handle }, auth: [{ password }] });
          expect(toHex(unsealed.outData)).toBe(toHex(DATA));
        }
        await flush(io, objectHandle);
      }),
    );
  });

  it.each([
    ['by password', (_: Session, password: Uint8Array) => ({ password })],
    ['by session', (session: Session, auth: Uint8Array) => ({ session, auth })],
  ])('of a hierarchy change %s: the response is keyed with the new one', async (_title, authorization) => {
    // Trailing zeros are no part of a password.
    const passwords = [new Uint8Array(0), fromUtf8('first'), fromUtf8('second\0\0'), new Uint8Array(0)];
    await software.tpm.exclusive((io) =>
      withSession(io, {}, async (session) => {
        for (const [i, newAuth] of passwords.slice(1).entries()) {
          await run(io, HierarchyChangeAuth, {
            handles: { authHandle: HANDLE.lockout },
            parameters: { newAuth },
            auth: [authorization(session, passwords[i] as Uint8Array)],
          });
        }
      }),
    );
  });

  it('of a bound hierarchy change too, which ends the binding', async () => {
    const first = fromUtf8('first');
    await software.tpm.exclusive((io) =>
      withSession(io, { bind: { entity: HANDLE.owner, auth: new Uint8Array(0) } }, async (session) => {
        const handles = { authHandle: HANDLE.owner };
        await run(io, HierarchyChangeAuth, { handles, parameters: { newAuth: first }, auth: [{ session }] });
        const parameters = { newAuth: new Uint8Array(0) };
        await run(io, HierarchyChangeAuth, { handles, parameters, auth: [{ session, auth: first }] });
      }),
    );
  });
});

describe('an audit session', () => {
  it('has the digest that the TPM attests, over all audited commands since its reset', async () => {
    await software.tpm.exclusive((io) =>
      withPrimary(io, { hierarchy: 'endorsement', template: TEMPLATES.ak }, (ak) =>
        withSession(io, {}, async (session) => {
          for (const use of [{}, {}, { auditReset: true }, {}]) {
            await run(io, GetRandom, {
              parameters: { bytesRequested: 8 },
              sessions: [{ session, audit: true, ...use }],
            });
          }
          const { auditInfo, signature } = await run(io, GetSessionAuditDigest, {
            handles: { privacyAdminHandle: HANDLE.endorsement, signHandle: ak, sessionHandle: session },
            parameters: { qualifyingData: DATA },
          });
          expect(isSignedBy(ak, auditInfo, signature)).toBe(true);
          expect(parseAttest(auditInfo)).toMatchObject({
            type: 'session-audit',
            sessionDigest: session.auditDigest,
          });
        }),
      ),
    );
  });

  it('that demands to be exclusive is refused after another command was audited', async () => {
    await software.tpm.exclusive((io) =>
      withSession(io, {}, (first) =>
        withSession(io, {}, async (second) => {
          const audited = (session: Session, isExclusive: boolean) =>
            run(io, GetRandom, {
              parameters: { bytesRequested: 8 },
              sessions: [{ session, audit: true, auditExclusive: isExclusive }],
            });
          await audited(first, false);
          await audited(first, true);
          await audited(second, false);
          await expect(audited(first, true)).rejects.toMatchObject({ data: { name: 'EXCLUSIVE' } });
          await audited(first, false);
        }),
      ),
    );
  });

  it('may be the one that authorises and encrypts, and loses its binding', async () => {
    await software.tpm.exclusive((io) =>
      withIndex(io, () =>
        withSession(io, { bind: { entity: INDEX, auth: PASSWORD } }, async (session) => {
          const use = { session, auth: PASSWORD, audit: true };
          const parameters = { data: DATA };
          await run(io, NV_Write, { handles: INDEX_HANDLES, parameters, auth: [{ ...use, decrypt: true }] });
          const { data } = await run(io, NV_Read, {
            handles: INDEX_HANDLES,
            parameters: { size: DATA.length },
            auth: [{ ...use, encrypt: true }],
          });
          expect(toHex(data)).toBe(toHex(DATA));
        }),
      ),
    );
  });
});

describe('three sessions in one command', () => {
  it('authorise, encrypt and decrypt each', async () => {
    const key = new Uint8Array(32).fill(7);
    await software.tpm.exclusive((io) =>
      withSaltKey(io, 'p256', (salted) =>
        withSession(io, salted, (authorising) =>
          withSession(io, { ...salted, cipher: 'xor' }, (decrypting) =>
            withSession(io, { ...salted, hashAlg: ALG.sha384 }, async (encrypting) => {
              const { objectHandle } = await run(io, CreatePrimary, {
                handles: { primaryHandle: HANDLE.endorsement },
                parameters: { inSensitive: { userAuth: PASSWORD, data: key }, inPublic: HMAC_KEY },
              });
              const { outHMAC } = await run(io, HMAC, {
                handles: { handle: objectHandle },
                parameters: { buffer: DATA, hashAlg: ALG.null },
                auth: [{ session: authorising, auth: PASSWORD }],
                sessions: [
                  { session: decrypting, decrypt: true },
                  { session: encrypting, encrypt: true },
                ],
              });
              await flush(io, objectHandle);
              expect(toHex(outHMAC)).toBe(createHmac('sha256', key).update(DATA).digest('hex'));
            }),
          ),
        ),
      ),
    );
  });
});

describe('a session', () => {
  it('is of no use once closed, closes twice, and leaves no slot taken', async () => {
    await software.tpm.exclusive(async (io) => {
      const session = await startSession(io);
      await session.close();
      await session.close();
      await expect(
        run(io, GetRandom, { parameters: { bytesRequested: 1 }, sessions: [session] }),
      ).rejects.toMatchObject({ code: 'TPM_SESSION_ENDED' });
    });
    expect(await sessionCount(software.tpm)).toBe(1);
  });

  it('can be ended by the command that uses it last', async () => {
    await software.tpm.exclusive(async (io) => {
      const session = await startSession(io);
      const sessions = [{ session, continueSession: false, audit: true }];
      await run(io, GetRandom, { parameters: { bytesRequested: 1 }, sessions });
      expect(session.ended).toBe(true);
    });
    expect(await sessionCount(software.tpm)).toBe(1);
  });

  it('outlives a refusal, whose nonces do not count', async () => {
    await software.tpm.exclusive((io) =>
      withIndex(io, () =>
        withSession(io, {}, async (session) => {
          const wrong = { session, auth: fromUtf8('wrong') };
          const parameters = { size: DATA.length };
          for (let i = 0; i < 3; i++) {
            const refused = run(io, NV_Read, { handles: INDEX_HANDLES, parameters, auth: [wrong] });
            await expect(refused).rejects.toMatchObject({ data: { handle: INDEX } });
          }
          expect(toHex(await writeAndRead(io, session))).toBe(toHex(DATA));
        }),
      ),
    );
  });

  it('does not authorise another object than the one that was named', async () => {
    await software.tpm.exclusive((io) =>
      withSealed(
        io,
        { auth: PASSWORD, authPolicy: new Uint8Array(0), attributes: WITH_PASSWORD },
        (object, srk) =>
          withSession(io, {}, async (session) => {
            const misled = { handle: object.handle, name: srk.name };
            await expect(
              run(io, Unseal, { handles: { itemHandle: misled }, auth: [{ session, auth: PASSWORD }] }),
            ).rejects.toMatchObject({ code: 'TPM_RETURN_CODE' });
          }),
      ),
    );
  });

  it('refuses to be salted to a template or to a signing key', async () => {
    await software.tpm.exclusive(async (io) => {
      const template = { handle: HANDLE.null, publicArea: TEMPLATES.srk, name: new Uint8Array(0) };
      await expect(startSession(io, { saltKey: template })).rejects.toMatchObject({
        code: 'TPM_STRUCTURE_INVALID',
      });
      await withPrimary(io, { hierarchy: 'endorsement', template: TEMPLATES.ak }, async (ak) => {
        await expect(startSession(io, { saltKey: ak })).rejects.toMatchObject({ code: 'TPM_RETURN_CODE' });
      });
    });
  });
});

/** Sessions in the TPM's slots, and those that wait outside for one. */
async function sessionCount(tpm: Tpm): Promise<number> {
  return (await tpm.listHandles('loadedSession')).length + (await tpm.listHandles('savedSession')).length;
}

function isSignedBy(key: TpmKey, attest: Uint8Array, signature: Signature): boolean {
  const parsed = parseSignature(encodeSignature(signature));
  if (parsed.scheme !== 'ecdsa') return false;
  const spki = Buffer.from(toSpki(parsePublicArea(key.publicArea)));
  const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  return verify('sha256', attest, { key: publicKey, dsaEncoding: 'ieee-p1363' }, parsed.rs);
}
