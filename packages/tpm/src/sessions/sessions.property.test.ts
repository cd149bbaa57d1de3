import { ByteWriter, bytesEqual, errorCode, fromUtf8, toHex } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AuthorizationArea, decodeResponse, encodeCommand } from '../command.ts';
import { TpmError } from '../errors.ts';
import type { TpmIo } from '../executor.ts';
import { attributesByCode, layoutOf } from '../resources/command-layout.ts';
import { ALG } from '../structures/algorithms.ts';
import { writeSized } from '../structures/buffer.ts';
import { startTestTpm } from '../testing.ts';
import { authorizationHmac, rpHash, trimAuth } from './authorization-hmac.ts';
import { acceptResponse, authorizeCommand, type Call } from './authorize.ts';
import { kdfa, kdfe } from './kdf.ts';
import { decryptParameter, encryptParameter } from './parameter-encryption.ts';
import { Session, startSession } from './session.ts';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const hashAlg = fc.constantFrom(ALG.sha256, ALG.sha384);
const cipher = fc.constantFrom('aes-128-cfb', 'aes-256-cfb', 'xor');
const parameterKey = fc.record({
  cipher,
  hashAlg,
  sessionValue: bytes(96),
  nonceNewer: bytes(64),
  nonceOlder: bytes(64),
});

describe('parameter encryption', () => {
  it('is undone by decryption, whatever the key and the length', () => {
    fc.assert(
      fc.property(parameterKey, bytes(1024), (key, data) => {
        const encrypted = encryptParameter(key, data);
        expect(encrypted).toHaveLength(data.length);
        expect(toHex(decryptParameter(key, encrypted))).toBe(toHex(data));
      }),
    );
  });

  it('depends on both nonces and on the session value', () => {
    const data = fc.uint8Array({ minLength: 16, maxLength: 64 });
    // HMAC pads its key with zeros, so those at the end say nothing.
    const parts = fc.constantFrom('sessionValue', 'nonceNewer', 'nonceOlder');
    fc.assert(
      fc.property(parameterKey, data, bytes(32), parts, (key, secret, other, part) => {
        fc.pre(!bytesEqual(trimAuth(key[part]), trimAuth(other)));
        const changed = encryptParameter({ ...key, [part]: other }, secret);
        expect(toHex(changed)).not.toBe(toHex(encryptParameter(key, secret)));
      }),
    );
  });
});

describe('key derivation', () => {
  it('gives as many bits as asked, the first byte masked', () => {
    fc.assert(
      fc.property(hashAlg, bytes(64), fc.integer({ min: 1, max: 4096 }), (alg, key, bits) => {
        const context = { label: 'ATH', contextU: key, contextV: key, bits };
        for (const derived of [kdfa(alg, key, context), kdfe(alg, key, context)]) {
          expect(derived).toHaveLength(Math.ceil(bits / 8));
          if (bits % 8 !== 0) expect(derived[0]).toBeLessThan(2 ** (bits % 8));
        }
      }),
    );
  });
});

const area = fc.record({
  session: fc.constantFrom(0x40000009, 0x02000000, 0x03000001),
  nonce: bytes(64),
  attributes: fc.integer({ min: 0, max: 255 }),
  hmac: bytes(64),
});

describe('authorization areas', () => {
  it('are read back by the resource manager’s own parser', () => {
    const commands = attributesByCode([0x15e | (1 << 25)]);
    fc.assert(
      fc.property(fc.array(area, { minLength: 1, maxLength: 3 }), bytes(256), (areas, parameters) => {
        const command = encodeCommand(
          { name: 'Unseal', code: 0x15e, handles: [0x80000000] },
          parameters,
          areas,
        );
        const layout = layoutOf(command, commands);
        expect(layout?.handles).toEqual([0x80000000]);
        expect(layout?.sessions).toEqual(
          areas.map(({ session, attributes }) => ({ handle: session, continues: (attributes & 1) === 1 })),
        );
        expect(toHex(command).endsWith(toHex(parameters))).toBe(true);
      }),
    );
  });

  it('of a response are read as they were written', () => {
    fc.assert(
      fc.property(fc.array(area, { minLength: 1, maxLength: 3 }), bytes(256), (areas, parameters) => {
        const frame = decodeResponse(
          { name: 'Unseal', code: 0x15e },
          response(parameters, areas),
          areas.length,
        );
        expect(toHex(frame.parameters)).toBe(toHex(parameters));
        expect(frame.areas).toEqual(
          areas.map(({ nonce, attributes, hmac }) => ({ nonce, attributes, hmac })),
        );
      }),
    );
  });

  it('that are any other bytes give a coded error and nothing else', () => {
    const hostile = fc.tuple(
      fc.constantFrom(0x8001, 0x8002),
      fc.constantFrom(0, 0, 0, 0x922, 0x9a2),
      bytes(200),
    );
    fc.assert(
      fc.property(
        hostile,
        fc.integer({ min: 0, max: 3 }),
        fc.boolean(),
        ([tag, rc, body], count, returnsHandle) => {
          const raw = new ByteWriter()
            .u16(tag)
            .u32(10 + body.length)
            .u32(rc)
            .bytes(body)
            .toBytes();
          try {
            decodeResponse({ name: 'Unseal', code: 0x15e, returnsHandle }, raw, count);
          } catch (error) {
            expect(error).toBeInstanceOf(TpmError);
          }
        },
      ),
    );
  });
});

function response(parameters: Uint8Array, areas: readonly Omit<AuthorizationArea, 'session'>[]): Uint8Array {
  const body = new ByteWriter().u32(parameters.length).bytes(parameters);
  for (const { nonce, attributes, hmac } of areas) writeSized(writeSized(body, nonce).u8(attributes), hmac);
  const encoded = body.toBytes();
  return new ByteWriter()
    .u16(0x8002)
    .u32(10 + encoded.length)
    .u32(0)
    .bytes(encoded)
    .toBytes();
}

describe('a response', () => {
  const noTpm: TpmIo = { link: {}, send: () => Promise.reject(new Error('nobody asks')) };
  const KEY = fromUtf8('session key');
  const PARAMETERS = writeSized(new ByteWriter(), fromUtf8('what the tpm says')).toBytes();

  /** A command sent by a session of that hash, and the TPM's honest answer to it. */
  function exchange(alg: number, nonceTpm: Uint8Array) {
    const session = new Session({
      io: noTpm,
      handle: 0x02000000,
      type: 'hmac',
      hashAlg: alg,
      cipher: undefined,
      key: KEY.slice(),
      nonceTpm: new Uint8Array(32),
      bound: undefined,
    });
    const role = { kind: 'session', use: { session }, authorizes: false } as const;
    const call: Call = { commandCode: 0x15e, names: [], parameters: new Uint8Array(0), roles: [role] };
    const sent = authorizeCommand(call);
    const hmac = authorizationHmac(alg, KEY, {
      parameterHash: rpHash(alg, 0x15e, PARAMETERS),
      nonceNewer: nonceTpm,
      nonceOlder: (sent.areas[0] as AuthorizationArea).nonce,
      attributes: 1,
    });
    return { session, call, sent, area: { nonce: nonceTpm, attributes: 1, hmac } };
  }

  it('passes with the right HMAC, and fails with any bit of it changed', () => {
    const flipped = fc.record({ byte: fc.nat(), bit: fc.integer({ min: 0, max: 7 }) });
    fc.assert(
      fc.property(hashAlg, fc.uint8Array({ minLength: 16, maxLength: 32 }), flipped, (alg, nonce, flip) => {
        const honest = exchange(alg, nonce);
        const accepted = acceptResponse(honest.call, honest.sent, {
          areas: [honest.area],
          parameters: PARAMETERS,
        });
        expect(toHex(accepted)).toBe(toHex(PARAMETERS));
        const other = exchange(alg, nonce);
        const whole = response(PARAMETERS, [other.area]);
        // Behind the header and the size of the parameters.
        const at = 14 + (flip.byte % (whole.length - 14));
        const changed = whole.with(at, (whole[at] as number) ^ (1 << flip.bit));
        const forged = () =>
          acceptResponse(other.call, other.sent, decodeResponse({ name: 'Unseal', code: 0x15e }, changed, 1));
        expect(['TPM_RESPONSE_FORGED', 'TPM_STRUCTURE_INVALID']).toContain(codeThrownBy(forged));
      }),
    );
  });

  it('to an earlier command is refused', () => {
    const first = exchange(ALG.sha256, new Uint8Array(32).fill(1));
    const old = { areas: [first.area], parameters: PARAMETERS };
    acceptResponse(first.call, first.sent, old);
    const again = authorizeCommand(first.call);
    expect(codeThrownBy(() => acceptResponse(first.call, again, old))).toBe('TPM_RESPONSE_FORGED');
  });
});

function codeThrownBy(work: () => unknown): string {
  try {
    work();
    return 'nothing';
  } catch (error) {
    return errorCode(error);
  }
}

describe('any sequence of operations', () => {
  const operation = fc.constantFrom(
    'seal',
    'unseal',
    'unsealSpoilt',
    'random',
    'ownSession',
    'failInExclusive',
    'flushOurs',
    'cancelled',
  );

  it('leaves no object and at most the one session that hides secrets', async () => {
    const software = await startTestTpm();
    const { tpm } = software;
    const secret = fromUtf8('a secret');
    const blob = await tpm.seal(secret, { pcrs: [7] });
    const run: Record<string, () => Promise<unknown>> = {
      seal: () => tpm.seal(secret),
      unseal: async () => expect(toHex(await tpm.unseal(blob))).toBe(toHex(secret)),
      unsealSpoilt: () => expect(tpm.unseal(blob.with(60, 0).with(61, 0))).rejects.toBeInstanceOf(TpmError),
      random: () => tpm.getRandom(40),
      ownSession: () => tpm.exclusive(async (io) => (await startSession(io)).close()),
      failInExclusive: () =>
        tpm
          .exclusive(async (io) => {
            await startSession(io);
            throw new Error('the caller fails with a session open');
          })
          .catch(() => undefined),
      flushOurs: async () => {
        for (const handle of await tpm.listHandles('loadedSession')) await tpm.flush(handle);
      },
      cancelled: () =>
        tpm
          .with({ signal: AbortSignal.abort() })
          .unseal(blob)
          .catch(() => undefined),
    };
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 12 }), async (sequence) => {
        for (const name of sequence) await run[name]?.();
        const loaded = await tpm.listHandles('loadedSession');
        const saved = await tpm.listHandles('savedSession');
        expect(loaded.length + saved.length).toBeLessThanOrEqual(1);
        expect(await tpm.listHandles('transient')).toEqual([]);
      }),
      { numRuns: 40 },
    );
    await software.stop();
  });
});
