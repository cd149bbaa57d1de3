import { createHmac } from 'node:crypto';
import { fromHex, fromUtf8, toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HANDLE } from '../command.ts';
import {
  CreatePrimary,
  GetRandom,
  HMAC,
  NV_DefineSpace,
  NV_Read,
  NV_UndefineSpace,
  NV_Write,
  Unseal,
} from '../commands/index.ts';
import { run } from '../commands/run.ts';
import type { TpmIo } from '../executor.ts';
import { flush, released, withPrimary } from '../object.ts';
import { ALG, NV_ATTRIBUTE } from '../structures/algorithms.ts';
import { TEMPLATES } from '../structures/templates.ts';
import { startTestTpm, type TestTpm } from '../testing.ts';
import { type Session, type SessionRequest, startSession, withSession } from './session.ts';
import { sessionCount, withSealed } from './testing.ts';

const WITH_PASSWORD = 0x452;
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
  it('may audit what it authorises and encrypts, and loses its binding', async () => {
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
