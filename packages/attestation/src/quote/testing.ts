import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { ByteWriter, concatBytes, sha256 } from '@nemea/core';
import { ALG, CURVE, encodePcrSelection, encodePublicArea, OBJECT_ATTRIBUTE } from '@nemea/tpm/structures';
import { algorithmOf, type Bank } from '../eventlog/algorithms.ts';
import type { QuotedPcr } from '../eventlog/model.ts';
import { encodeQuote, encodeSignature, type QuoteFields } from '../testing.ts';
import { signingHash } from './hash.ts';

/** For tests: a key in software that signs as a TPM's attestation key does, by any scheme. */
export interface SoftwareKey {
  readonly name: string;
  readonly privateKey: KeyObject;
  readonly spki: Uint8Array;
  readonly pem: string;
  readonly scheme: 'ecdsa' | 'rsassa' | 'rsapss';
  readonly hashAlg: number;
  /** For RSAPSS: as long as the digest, or as long as fits. */
  readonly saltLength: number;
}

export function eccKey(namedCurve: 'P-256' | 'P-384' | 'P-521', hashAlg: number): SoftwareKey {
  return softwareKey(`ECDSA ${namedCurve}`, generateKeyPairSync('ec', { namedCurve }), 'ecdsa', hashAlg);
}

export function rsaKey(options: {
  bits: number;
  scheme: 'rsassa' | 'rsapss';
  hashAlg: number;
  salt?: 'digest' | 'largest';
}): SoftwareKey {
  const pair = generateKeyPairSync('rsa', { modulusLength: options.bits });
  const key = softwareKey(`${options.scheme} RSA-${options.bits}`, pair, options.scheme, options.hashAlg);
  if (options.salt !== 'largest') return key;
  return { ...key, name: `${key.name}, longest salt`, saltLength: options.bits / 8 - key.saltLength - 2 };
}

function softwareKey(
  name: string,
  { publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject },
  scheme: SoftwareKey['scheme'],
  hashAlg: number,
): SoftwareKey {
  const hash = signingHash(hashAlg);
  if (hash === undefined) throw new Error('want a known hash');
  return {
    name: `${name} ${hash.name}`,
    privateKey,
    spki: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })),
    pem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    scheme,
    hashAlg,
    saltLength: hash.bytes,
  };
}

/** TPMT_SIGNATURE over `message`. */
export function signAs(key: SoftwareKey, message: Uint8Array): Uint8Array {
  const name = signingHash(key.hashAlg)?.name;
  if (key.scheme === 'ecdsa') {
    const rs = sign(name, message, { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
    const half = rs.length / 2;
    return encodeSignature(rs.subarray(0, half), rs.subarray(half), ALG.ecdsa, key.hashAlg);
  }
  const padding = key.scheme === 'rsapss' ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  const options = key.scheme === 'rsapss' ? { saltLength: key.saltLength } : {};
  const signature = sign(name, message, { key: key.privateKey, padding, ...options });
  return new ByteWriter()
    .u16(ALG[key.scheme])
    .u16(key.hashAlg)
    .u16(signature.length)
    .bytes(signature)
    .toBytes();
}

/** A public area of the P-256 key, restricted to the TPM's own statements unless other attributes are given. */
export function publicAreaOf(key: SoftwareKey, attributes = 0x50472): Uint8Array {
  const point = key.spki.subarray(-64);
  return encodePublicArea({
    type: 'ecc',
    nameAlg: ALG.sha256,
    attributes,
    authPolicy: new Uint8Array(0),
    symmetric: undefined,
    scheme: { scheme: 'ecdsa', hashAlg: key.hashAlg },
    curve: CURVE.p256,
    kdf: undefined,
    x: point.slice(0, 32),
    y: point.slice(32),
  });
}

export const NOT_RESTRICTED = 0x50472 & ~OBJECT_ATTRIBUTE.restricted;

export const NONCE = sha256(Uint8Array.of(1));
export const PCRS = [0, 7, 14];

/** PCR values that tell the PCRs apart. */
export function pcrsOf(pcrs: readonly number[] = PCRS, bank: Bank = 'sha256'): QuotedPcr[] {
  const { digestBytes } = algorithmOf(bank);
  return pcrs.map((pcr) => ({ bank, pcr, value: new Uint8Array(digestBytes).fill(pcr + 1) }));
}

/** A TPMS_ATTEST that `key` would quote the bank with, honest but for `fields`. */
export function quoteBy(key: SoftwareKey, fields: Partial<QuoteFields> = {}): Uint8Array {
  const hash = signingHash(key.hashAlg)?.portable;
  if (hash === undefined) throw new Error('want a known hash');
  return encodeQuote({
    magic: 0xff544347,
    type: 0x8018,
    extraData: NONCE,
    clock: 1000n,
    resetCount: 5,
    restartCount: 1,
    safe: 1,
    selection: encodePcrSelection(PCRS),
    pcrDigest: hash(concatBytes(...pcrsOf().map(({ value }) => value))),
    trailing: new Uint8Array(0),
    ...fields,
  });
}
