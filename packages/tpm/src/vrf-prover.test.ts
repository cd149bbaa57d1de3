import { createECDH, ECDH } from 'node:crypto';
import { ByteWriter, fromHex, sha256, toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HANDLE } from './command.ts';
import { flush, readPublic, type TpmKey } from './object.ts';
import { writeSized } from './structures/buffer.ts';
import { encodePublicArea, parsePublicArea } from './structures/public-area.ts';
import { TEMPLATES } from './structures/templates.ts';
import { readVectors, startTestTpm, type TestTpm } from './testing.ts';
import { tpmVrfProve } from './tpm.ts';
import { proveVrf } from './vrf-prover.ts';

interface RfcExample {
  readonly name: string;
  readonly secret: string;
  readonly publicKey: string;
  readonly alpha: string;
  readonly pi: string;
  readonly beta: string;
}

const examples = await readVectors<RfcExample[]>('vrf/rfc9381-p256-tai.json');
const ALPHA = sha256(Uint8Array.of(1));
// userWithAuth, noDA, sign: an external key is neither fixed to the TPM nor made by it.
const EXTERNAL_ATTRIBUTES = 0x00040440;

let software: TestTpm;
let key: TpmKey;
beforeAll(async () => {
  software = await startTestTpm();
  key = await software.tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.vrf });
});
afterAll(() => software.stop());

/** TPM2_LoadExternal of a known secret, which only a test has. */
async function withExternalKey<T>(
  secret: Uint8Array,
  use: (io: Parameters<typeof proveVrf>[0], key: TpmKey) => Promise<T>,
): Promise<T> {
  const pair = createECDH('prime256v1');
  pair.setPrivateKey(secret);
  const point = pair.getPublicKey();
  const template = parsePublicArea(TEMPLATES.vrf);
  if (template.type !== 'ecc') throw new Error('want an ecc template');
  const publicArea = encodePublicArea({
    ...template,
    attributes: EXTERNAL_ATTRIBUTES,
    x: point.subarray(1, 33),
    y: point.subarray(33),
  });
  // TPM2B_SENSITIVE: ecc, empty password and seed, the secret.
  const sensitive = writeSized(new ByteWriter().u16(0x0023).u16(0).u16(0), secret).toBytes();
  const parameters = writeSized(writeSized(new ByteWriter(), sensitive), publicArea)
    .u32(HANDLE.null)
    .toBytes();
  return await software.tpm.exclusive(async (io) => {
    const { handle } = await io.send({ name: 'LoadExternal', code: 0x167, parameters, returnsHandle: true });
    const result = await use(io, await readPublic(io, handle));
    await flush(io, handle);
    return result;
  });
}

describe('the prover in the TPM, with the secrets of RFC 9381, appendix B.1', () => {
  it.each(examples)('gives Gamma and beta of $name', async (example) => {
    const { beta, proof } = await withExternalKey(fromHex(example.secret), (io, external) =>
      proveVrf(io, external, fromHex(example.alpha)),
    );
    expect(toHex(beta)).toBe(example.beta);
    expect(toHex(proof.subarray(1, 34))).toBe(example.pi.slice(0, 66));
  });
});

describe('the prover in the TPM', () => {
  it('lays the proof out as suite byte, Gamma, U, V, k and s', async () => {
    const { beta, proof } = await tpmVrfProve(software.tpm, key, ALPHA);
    expect(proof).toHaveLength(164);
    expect(proof[0]).toBe(2);
    for (const at of [1, 34, 67]) {
      const point = proof.subarray(at, at + 33);
      expect(ECDH.convertKey(point, 'prime256v1', undefined, undefined, 'uncompressed')).toHaveLength(65);
    }
    const gamma = proof.subarray(1, 34);
    expect(toHex(beta)).toBe(toHex(sha256(Uint8Array.of(1, 3), gamma, Uint8Array.of(0))));
  });

  it('gives one output for one input, whatever the proof bytes', async () => {
    const first = await software.tpm.vrfProve(key, ALPHA);
    const second = await software.tpm.vrfProve(key, ALPHA);
    expect(toHex(second.beta)).toBe(toHex(first.beta));
    expect(toHex(second.proof)).not.toBe(toHex(first.proof));
  });

  it('never sends a k that begins with a zero byte', async () => {
    for (let i = 0; i < 400; i++) {
      const { proof } = await software.tpm.vrfProve(key, sha256(Uint8Array.of(i & 255, i >> 8)));
      expect(proof[100]).not.toBe(0);
    }
  });

  it('proves under concurrent use, each commitment with its own signature', async () => {
    const proofs = await Promise.all(Array.from({ length: 20 }, () => software.tpm.vrfProve(key, ALPHA)));
    expect(new Set(proofs.map(({ beta }) => toHex(beta))).size).toBe(1);
  });

  it('takes 91 bytes of input and refuses 92 before sending', async () => {
    await software.tpm.vrfProve(key, new Uint8Array(91));
    await expect(software.tpm.vrfProve(key, new Uint8Array(92))).rejects.toMatchObject({
      code: 'TPM_ARGUMENT_INVALID',
    });
  });

  it('refuses a key of another scheme', async () => {
    const ak = await software.tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
    await expect(software.tpm.vrfProve(ak, ALPHA)).rejects.toMatchObject({ code: 'TPM_ARGUMENT_INVALID' });
    await software.tpm.flush(ak.handle);
  });
});
