import { fromUtf8, toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HANDLE } from '../command.ts';
import { Certify, Create, HierarchyChangeAuth, Load, ObjectChangeAuth, Unseal } from '../commands/index.ts';
import { run } from '../commands/run.ts';
import { flush } from '../object.ts';
import { parseAttest } from '../structures/attest.ts';
import { parsePublicArea } from '../structures/public-area.ts';
import { TEMPLATES } from '../structures/templates.ts';
import { startTestTpm, type TestTpm } from '../testing.ts';
import { type Session, withSession } from './session.ts';
import { SECRET, sessionCount, withSealed } from './testing.ts';

const WITH_PASSWORD = 0x452;

let software: TestTpm;
beforeAll(async () => {
  software = await startTestTpm();
});
afterAll(() => software.stop());

describe('passwords', () => {
  const auth = fromUtf8('object password');
  const made = { auth, authPolicy: new Uint8Array(0), attributes: WITH_PASSWORD };

  it('open what they are for, and a wrong one is blamed on its handle', async () => {
    await software.tpm.exclusive((io) =>
      withSealed(io, made, async (object) => {
        const handles = { itemHandle: object };
        const { outData } = await run(io, Unseal, { handles, auth: [{ password: auth }] });
        expect(toHex(outData)).toBe(toHex(SECRET));
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
          expect(toHex(unsealed.outData)).toBe(toHex(SECRET));
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
