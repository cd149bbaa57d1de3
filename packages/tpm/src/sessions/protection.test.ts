import { concatBytes, errorCode, fromHex, fromUtf8, toHex } from '@nemea/core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { TpmChannel } from '../channel/channel.ts';
import { HANDLE } from '../command.ts';
import { HierarchyChangeAuth } from '../commands/index.ts';
import type { TpmOpenOptions } from '../connection.ts';
import { ALG, CURVE } from '../structures/algorithms.ts';
import { type EccPublicArea, encodePublicArea, parsePublicArea } from '../structures/public-area.ts';
import { toSpki } from '../structures/public-key.ts';
import { startTestTpm, type TestTpm } from '../testing.ts';
import type { Tpm } from '../tpm.ts';
import { kdfe } from './kdf.ts';
import { ecdhOf } from './secret-sharing.ts';
import { startSession } from './session.ts';
import { codeOf, EK, intercepted, openClient, SECRET, SRK, sessionCount } from './testing.ts';

const PASSWORD = fromUtf8('a password of the owner');
const OWNER = { authHandle: HANDLE.owner };

let software: TestTpm;
beforeAll(async () => {
  software = await startTestTpm();
  await software.tpm.close();
});
afterAll(() => software.stop());

const opened: Tpm[] = [];
afterEach(async () => {
  for (const tpm of opened.splice(0)) await tpm.close();
});

async function open(options?: TpmOpenOptions, wrap?: (channel: TpmChannel) => TpmChannel): Promise<Tpm> {
  const tpm = await openClient(software.socketPath, options, wrap);
  opened.push(tpm);
  return tpm;
}

const UNSEAL = 0x15e;
const GET_RANDOM = 0x17b;
const CREATE = 0x153;
const CREATE_PRIMARY = 0x131;
const START_AUTH_SESSION = 0x176;
const POLICY_PCR = 0x17f;

describe('a man in the middle', () => {
  it('cannot change a bit of an unsealed secret unseen, wherever he changes it', async () => {
    let position = -1;
    let length = 0;
    const tpm = await open({}, (channel) =>
      intercepted(channel, async (command, real) => {
        const response = await real();
        if (codeOf(command) !== UNSEAL) return response;
        length = response.length;
        return position < 0 ? response : response.with(position, (response[position] as number) ^ 1);
      }),
    );
    const blob = await tpm.seal(SECRET);
    expect(toHex(await tpm.unseal(blob))).toBe(toHex(SECRET));
    // The header is the channel's matter; from byte 10 on, everything is under the HMAC but one byte, which means
    // nothing: the attributes of the empty password.
    const codes = new Map<string, number>();
    for (position = 10; position < length; position++) {
      const outcome = await tpm.unseal(blob).then(toHex, errorCode);
      codes.set(outcome, (codes.get(outcome) ?? 0) + 1);
    }
    expect([...codes.keys()].sort()).toEqual([toHex(SECRET), 'TPM_RESPONSE_FORGED', 'TPM_STRUCTURE_INVALID']);
    expect(codes.get(toHex(SECRET))).toBe(1);
    position = -1;
    expect(toHex(await tpm.unseal(blob))).toBe(toHex(SECRET));
    expect(await sessionCount(tpm)).toBe(1);
    expect(await tpm.listHandles('transient')).toEqual([]);
  });

  it('cannot pass off an old response as a new one', async () => {
    let old: Uint8Array | undefined;
    const tpm = await open({}, (channel) =>
      intercepted(channel, async (command, real) => {
        const response = await real();
        if (codeOf(command) === GET_RANDOM) old ??= response;
        return codeOf(command) === GET_RANDOM ? (old ?? response) : response;
      }),
    );
    await tpm.getRandom(32);
    await expect(tpm.getRandom(32)).rejects.toMatchObject({
      code: 'TPM_RESPONSE_FORGED',
      data: { session: 1 },
    });
    expect(await sessionCount(tpm)).toBe(0);
  });

  it('cannot take the sessions off a response', async () => {
    const tpm = await open({}, (channel) =>
      intercepted(channel, async (command, real) => {
        if (codeOf(command) !== GET_RANDOM) return await real();
        await real();
        return Uint8Array.of(0x80, 0x01, 0, 0, 0, 14, 0, 0, 0, 0, 0, 2, 0xaa, 0xaa);
      }),
    );
    await expect(tpm.getRandom(2)).rejects.toMatchObject({ code: 'TPM_STRUCTURE_INVALID' });
    expect(await sessionCount(tpm)).toBe(0);
  });

  it('cannot change a bit of a secret on its way to the TPM, nor of what is done with it', async () => {
    let position = 0;
    let length = 0;
    const tpm = await open({}, (channel) =>
      intercepted(channel, async (command, real) => {
        if (codeOf(command) !== CREATE || position === 0) return await real();
        length = command.length;
        return await channel.transmit(command.with(position, (command[position] as number) ^ 1));
      }),
    );
    position = 10;
    // However it ends, the command's length is known then.
    await tpm.seal(SECRET).catch(() => undefined);
    for (position = 14; position < length; position += 7) {
      await expect(tpm.seal(SECRET)).rejects.toMatchObject({ code: 'TPM_RETURN_CODE' });
    }
    position = 0;
    expect(toHex(await tpm.unseal(await tpm.seal(SECRET)))).toBe(toHex(SECRET));
    expect(await sessionCount(tpm)).toBe(1);
  });
});

describe('the salt key', () => {
  /** Somebody on the bus who answers with a key of his own, and passes the salt on to the TPM's. */
  function impostor(channel: TpmChannel): { channel: TpmChannel; salts: Uint8Array[] } {
    const own = ecdhOf(CURVE.p256);
    const point = own.generateKeys();
    const salts: Uint8Array[] = [];
    let real: EccPublicArea | undefined;
    const transmit = async (command: Uint8Array, pass: () => Promise<Uint8Array>): Promise<Uint8Array> => {
      if (codeOf(command) === CREATE_PRIMARY) {
        const response = await pass();
        const size = new DataView(response.buffer, response.byteOffset).getUint16(18);
        const area = parsePublicArea(response.slice(20, 20 + size));
        if (area.type !== 'ecc') return response;
        real = area;
        const forged = encodePublicArea({ ...area, x: point.slice(1, 33), y: point.slice(33) });
        return concatBytes(response.subarray(0, 20), forged, response.subarray(20 + size));
      }
      if (codeOf(command) === START_AUTH_SESSION && real !== undefined) {
        // Header, two handles, a nonce of 32 bytes, then the encrypted salt: a point of twice 32.
        const [x, y] = [command.slice(56, 88), command.slice(90, 122)];
        const z = own.computeSecret(concatBytes(Uint8Array.of(4), x, y));
        const salt = kdfe(ALG.sha256, z, {
          label: 'SECRET',
          contextU: x,
          contextV: point.slice(1, 33),
          bits: 256,
        });
        salts.push(salt);
      }
      return await pass();
    };
    return { channel: intercepted(channel, transmit), salts };
  }

  it('of an impostor is taken for the TPM’s, unless the caller pinned it', async () => {
    const honest = await open();
    const srk = await honest.createPrimary(SRK);
    await honest.close();
    const pinned: Uint8Array[][] = [];
    const withPin = await open({ encryption: { saltKeyName: srk.name } }, (channel) => {
      const middle = impostor(channel);
      pinned.push(middle.salts);
      return middle.channel;
    });
    await expect(withPin.getRandom(16)).rejects.toMatchObject({ code: 'TPM_KEY_UNEXPECTED' });
    expect(pinned.flat()).toEqual([]);
    await withPin.close();
    const trusting: Uint8Array[][] = [];
    const withoutPin = await open({}, (channel) => {
      const middle = impostor(channel);
      trusting.push(middle.salts);
      return middle.channel;
    });
    // The TPM cannot read the salt, so this clumsy impostor is found out, twice; but he has read it.
    await expect(withoutPin.getRandom(16)).rejects.toMatchObject({ code: 'TPM_RETURN_CODE' });
    expect(trusting.flat()).toHaveLength(2);
    expect(trusting.flat()[0]).toHaveLength(32);
  });

  it('is the same one as long as the client is open', async () => {
    let isImpostor = false;
    const tpm = await open({}, (channel) => {
      const middle = impostor(channel);
      return intercepted(channel, (command, real) =>
        isImpostor ? middle.channel.transmit(command) : real(),
      );
    });
    await tpm.getRandom(16);
    const [session] = await tpm.listHandles('loadedSession');
    await tpm.flush(session as number);
    isImpostor = true;
    await expect(tpm.getRandom(16)).rejects.toMatchObject({ code: 'TPM_KEY_UNEXPECTED' });
    isImpostor = false;
    expect(await tpm.getRandom(16)).toHaveLength(16);
  });

  it('is refused when it has another name or public key than the caller pinned', async () => {
    const tpm = await open();
    const srk = await tpm.createPrimary(SRK);
    const ek = await tpm.createPrimary(EK);
    await tpm.close();
    const spki = toSpki(parsePublicArea(srk.publicArea));
    const right: TpmOpenOptions['encryption'][] = [
      { saltKeyName: srk.name },
      { saltKeySpki: spki },
      { saltKey: EK, saltKeyName: ek.name },
    ];
    for (const encryption of right) {
      const pinned = await open({ ...(encryption !== undefined && { encryption }) });
      expect(await pinned.getRandom(16)).toHaveLength(16);
      await pinned.close();
    }
    for (const encryption of [{ saltKeyName: ek.name }, { saltKeySpki: spki, saltKey: EK }]) {
      const pinned = await open({ encryption });
      await expect(pinned.getRandom(16)).rejects.toMatchObject({ code: 'TPM_KEY_UNEXPECTED' });
      expect(await sessionCount(pinned)).toBe(0);
      expect(await pinned.listHandles('transient')).toEqual([]);
      await pinned.close();
    }
  });

  it('may be a persistent key', async () => {
    const EVICT_CONTROL = 0x120;
    const persistentHandle = 0x81000001;
    const tpm = await open();
    const srk = await tpm.createPrimary(SRK);
    const evict = (objectHandle: number): Promise<unknown> =>
      tpm.exclusive((io) =>
        io.send({
          name: 'evictControl',
          code: EVICT_CONTROL,
          handles: [HANDLE.owner, objectHandle],
          authorizations: ['password'],
          parameters: new Uint8Array([0x81, 0, 0, 1]),
        }),
      );
    await evict(srk.handle);
    await tpm.close();
    const other = await open({ encryption: { saltKey: { persistentHandle }, saltKeyName: srk.name } });
    expect(await other.getRandom(16)).toHaveLength(16);
    await other.exclusive((io) =>
      io.send({
        name: 'evictControl',
        code: EVICT_CONTROL,
        handles: [HANDLE.owner, persistentHandle],
        authorizations: ['password'],
        parameters: new Uint8Array([0x81, 0, 0, 1]),
      }),
    );
  });
});

describe('the session that hides secrets', () => {
  it('is opened again when somebody flushed it', async () => {
    const tpm = await open();
    for (let i = 0; i < 3; i++) {
      await tpm.getRandom(16);
      const [session] = await tpm.listHandles('loadedSession');
      await tpm.flush(session as number);
      expect(await sessionCount(tpm)).toBe(0);
    }
    await tpm.getRandom(16);
    expect(await sessionCount(tpm)).toBe(1);
  });

  it('is opened again when its slot holds a session of somebody else', async () => {
    const tpm = await open();
    await tpm.getRandom(16);
    const [first] = await tpm.listHandles('loadedSession');
    await tpm.flush(first as number);
    await tpm.exclusive(async (io) => {
      await io.send({
        name: 'StartAuthSession',
        code: 0x176,
        handles: [HANDLE.null, HANDLE.null],
        parameters: new Uint8Array([0, 16, ...new Uint8Array(16), 0, 0, 0, 0, 0x10, 0, 0x0b]),
        returnsHandle: true,
      });
    });
    expect(await tpm.listHandles('loadedSession')).toEqual([first]);
    expect(await tpm.getRandom(16)).toHaveLength(16);
  });

  it('is opened again when the TPM was restarted, and none of its predecessors is left', async () => {
    const own = await startTestTpm();
    const blob = await own.tpm.seal(SECRET);
    for (let i = 0; i < 3; i++) {
      await own.kill();
      await own.restart();
      // The call that finds the channel dead may fail; the next one opens another.
      await own.tpm.pcrRead([0]).catch(() => undefined);
      expect(toHex(await own.tpm.unseal(blob))).toBe(toHex(SECRET));
      expect(await sessionCount(own.tpm)).toBe(1);
    }
    await own.stop();
  });

  it('is gone from the TPM when the client closes', async () => {
    const tpm = await open();
    await tpm.getRandom(16);
    await tpm.close();
    const next = await open({ flushLeftovers: false });
    expect(await sessionCount(next)).toBe(0);
  });

  it('does not make a wrong password count twice', async () => {
    let unseals = 0;
    const tpm = await open({}, (channel) =>
      intercepted(channel, (command, real) => {
        if (codeOf(command) === 0x129) unseals++;
        return real();
      }),
    );
    const wrong = [{ password: fromUtf8('wrong') }];
    await expect(
      tpm.run(HierarchyChangeAuth, { handles: OWNER, parameters: { newAuth: PASSWORD }, auth: wrong }),
    ).rejects.toMatchObject({ code: 'TPM_RETURN_CODE', data: { handle: HANDLE.owner } });
    expect(unseals).toBe(1);
  });
});

describe('a command with three sessions of the caller’s', () => {
  it('is refused when none of them hides its secret', async () => {
    const tpm = await open();
    await tpm.exclusive(async (io) => {
      const sessions = [await startSession(io), await startSession(io), await startSession(io)];
      const command = { name: 'GetRandom', code: 0x17b, parameters: Uint8Array.of(0, 8) } as const;
      const audited = sessions.map((session, i) => ({ session, audit: i === 0 }));
      await expect(io.send({ ...command, sessions: audited })).rejects.toMatchObject({
        code: 'TPM_ARGUMENT_INVALID',
        message: /one must encrypt/,
      });
      for (const session of sessions) await session.close();
    });
    expect(await sessionCount(tpm)).toBe(0);
  });
});

describe('an unseal by PCR policy', () => {
  // TPM2_PCR_Extend of PCR 10 by an empty password, as the kernel sends it for IMA past any client.
  const EXTEND_10 = fromHex(
    `8002000000410000018 20000000a00000009400000090000000000 00000001000b${'11'.repeat(32)}`.replaceAll(
      ' ',
      '',
    ),
  );

  it('succeeds while something else extends PCR 10 all the time, and gives up when it never rests', async () => {
    let extensionsLeft = 0;
    let extensions = 0;
    const tpm = await open({}, (channel) =>
      intercepted(channel, async (command, real) => {
        const response = await real();
        if (codeOf(command) === POLICY_PCR && extensionsLeft-- > 0) {
          // Not awaited: it is on its way when the next command is sent.
          void channel.transmit(EXTEND_10).then(() => extensions++);
        }
        return response;
      }),
    );
    const blob = await tpm.seal(SECRET, { pcrs: [7] });
    for (let i = 0; i < 40; i++) {
      extensionsLeft = i % 8;
      expect(toHex(await tpm.unseal(blob))).toBe(toHex(SECRET));
    }
    expect(extensions).toBe(5 * (1 + 2 + 3 + 4 + 5 + 6 + 7));
    extensionsLeft = Number.POSITIVE_INFINITY;
    await expect(tpm.unseal(blob)).rejects.toMatchObject({ code: 'TPM_RETRIES_EXHAUSTED' });
    extensionsLeft = 0;
    expect(toHex(await tpm.unseal(blob))).toBe(toHex(SECRET));
    expect(await sessionCount(tpm)).toBe(1);
  });
});
