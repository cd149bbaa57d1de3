import { fromHex, toHex } from '@nemea/core';
import { describe, expect, it } from 'vitest';
import { ALG } from '../structures/algorithms.ts';
import { parsePublicArea } from '../structures/public-area.ts';
import { readVectors } from '../testing.ts';
import { kdfa, kdfe } from './kdf.ts';
import { ecdhOf, type SecretLabel, shareByEcc, shareSecret } from './secret-sharing.ts';

interface KdfVector {
  readonly name: string;
  readonly hashAlg: number;
  readonly label: string;
  readonly contextU: string;
  readonly contextV: string;
  readonly bits: number;
  readonly result: string;
}

interface EccVector {
  readonly name: string;
  readonly label: SecretLabel;
  readonly publicArea: string;
  readonly ephemeralPrivate: string;
  readonly secret: string;
  readonly encrypted: string;
}

const vectors = await readVectors<{
  kdfa: (KdfVector & { key: string })[];
  kdfe: (KdfVector & { z: string })[];
  ecc: EccVector[];
}>('tpm/key-derivation.json');

const contextOf = ({ label, contextU, contextV, bits }: KdfVector) => ({
  label,
  contextU: fromHex(contextU),
  contextV: fromHex(contextV),
  bits,
});

describe('key derivation', () => {
  it.each(vectors.kdfa)('gives the published KDFa key $name', (vector) => {
    expect(toHex(kdfa(vector.hashAlg, fromHex(vector.key), contextOf(vector)))).toBe(vector.result);
  });

  it.each(vectors.kdfe)('gives the published KDFe key $name', (vector) => {
    expect(toHex(kdfe(vector.hashAlg, fromHex(vector.z), contextOf(vector)))).toBe(vector.result);
  });

  it.each([0, -8, 1.5, 8 * 4096 + 1, Number.NaN])('refuses %d bits', (bits) => {
    const context = { label: 'ATH', contextU: new Uint8Array(0), contextV: new Uint8Array(0), bits };
    const refused = { code: 'TPM_ARGUMENT_INVALID' };
    expect(() => kdfa(ALG.sha256, new Uint8Array(0), context)).toThrow(expect.objectContaining(refused));
    expect(() => kdfe(ALG.sha256, new Uint8Array(0), context)).toThrow(expect.objectContaining(refused));
  });

  it('refuses SHA-1', () => {
    const context = { label: 'ATH', contextU: new Uint8Array(0), contextV: new Uint8Array(0), bits: 8 };
    expect(() => kdfa(ALG.sha1, new Uint8Array(0), context)).toThrow(/got 0x0004/);
  });
});

describe('a secret encrypted to a key', () => {
  it.each(vectors.ecc)('is the published one for $name, $label', (vector) => {
    const key = parsePublicArea(fromHex(vector.publicArea));
    if (key.type !== 'ecc') throw new Error('want an ecc key');
    const ephemeral = ecdhOf(key.curve);
    ephemeral.setPrivateKey(fromHex(vector.ephemeralPrivate));
    const { secret, encrypted } = shareByEcc(key, vector.label, ephemeral);
    expect(toHex(secret)).toBe(vector.secret);
    expect(toHex(encrypted)).toBe(vector.encrypted);
  });

  it('is another one each time', () => {
    const key = parsePublicArea(fromHex((vectors.ecc[0] as EccVector).publicArea));
    if (key.type !== 'ecc') throw new Error('want an ecc key');
    const secrets = Array.from({ length: 8 }, () => toHex(shareSecret(key, 'SECRET').secret));
    expect(new Set(secrets).size).toBe(8);
  });

  it('follows from the randomness that it is given, on every curve, past numbers that are no private key', () => {
    for (const vector of vectors.ecc) {
      const key = parsePublicArea(fromHex(vector.publicArea));
      if (key.type !== 'ecc') throw new Error('want an ecc key');
      const share = (first: number) => {
        let drawn = 0;
        // Zero and the largest number are no private keys of any curve.
        const random = (length: number) => new Uint8Array(length).fill(drawn++ === 0 ? first : 0x5a);
        return { secret: toHex(shareSecret(key, 'SECRET', random).secret), drawn };
      };
      expect(share(0)).toEqual(share(0xff));
      expect(share(0).drawn).toBeGreaterThan(1);
    }
  });

  it('is refused when no random number is a private key', () => {
    const key = parsePublicArea(fromHex((vectors.ecc[0] as EccVector).publicArea));
    if (key.type !== 'ecc') throw new Error('want an ecc key');
    expect(() => shareSecret(key, 'SECRET', (length) => new Uint8Array(length))).toThrow(/ephemeral key/);
  });
});
