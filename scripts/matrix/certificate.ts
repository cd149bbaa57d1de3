import { LEVEL } from '@nemea/attestation';
import { type EkChain, verifyEkCertificate } from '@nemea/attestation/endorsement';
import { toHex } from '@nemea/core';
import { cuts, flipped, flips, longer } from './bytes.ts';
import { IDENTITY } from './recorded.ts';
import { accepts, type Row, rowsOf, type Tampering } from './row.ts';

/** The chain of the recorded software TPM. */
function recorded(): EkChain {
  return {
    chain: [IDENTITY.ekCertificate, IDENTITY.caIntermediate],
    roots: [{ certificate: IDENTITY.caRoot, levelMax: LEVEL.development }],
    nowMs: Date.UTC(2100, 0, 1),
  };
}

const withLeaf =
  (change: (leaf: Uint8Array) => readonly Uint8Array[]) =>
  (it: EkChain): EkChain[] =>
    change(it.chain[0] as Uint8Array).map((leaf) => ({ ...it, chain: [leaf, ...it.chain.slice(1)] }));

/** Where the bytes behind this hex of a certificate start. */
function behind(der: Uint8Array, hex: string): number {
  const at = toHex(der).indexOf(hex);
  if (at < 0 || at % 2 !== 0) throw new Error(`the certificate lacks ${hex}`);
  return (at + hex.length) / 2;
}

/** The three low bits of the bytes there: text stays text. */
const lowBits = (hex: string, length: number) =>
  withLeaf((der) =>
    Array.from({ length: 3 * length }, (_, i) => flipped(der, behind(der, hex) + Math.floor(i / 3), i % 3)),
  );

/** Fields of the recorded certificate, by the DER in front of them (RFC 5280, 4.1). */
const MODULUS = '0282010100';
const NOT_BEFORE = '170d';
const NOT_AFTER = '180f';
const MODEL = '060567810502020c05';
const EK_USAGE = '30070605678105';
const KEY_USAGE = '0603551d0f0101ff0404030205';

const received: readonly Tampering<EkChain>[] = [
  ['with a bit of its key flipped', 'EK_CHAIN_UNTRUSTED', 'EK-6', lowBits(MODULUS, 256)],
  [
    'with a bit of notBefore flipped',
    'EK_CHAIN_UNTRUSTED',
    'EK-6',
    withLeaf((der) => [0, 1].map((digit) => flipped(der, behind(der, NOT_BEFORE) + 7 + 4 * digit))),
  ],
  [
    'with a bit of notAfter flipped',
    'EK_CHAIN_UNTRUSTED',
    'EK-6',
    withLeaf((der) => [0, 1, 2, 3].map((digit) => flipped(der, behind(der, NOT_AFTER) + digit))),
  ],
  ['with a bit of its TPM model flipped', 'EK_CHAIN_UNTRUSTED', 'EK-6', lowBits(MODEL, 5)],
  ['with a bit of its extended key usage flipped', 'EK_CHAIN_UNTRUSTED', 'EK-6', lowBits(EK_USAGE, 2)],
  [
    'with a bit of its key usage flipped',
    'EK_CHAIN_UNTRUSTED',
    'EK-6',
    withLeaf((der) => [5, 6, 7].map((bit) => flipped(der, behind(der, KEY_USAGE), bit))),
  ],
  [
    'with any bit of its signature flipped',
    'EK_CHAIN_UNTRUSTED',
    'EK-6',
    withLeaf((der) => flips(der, der.length - 256, der.length)),
  ],
  ['cut at every byte', 'EK_CERTIFICATE_MALFORMED', 'EK-6', withLeaf((der) => cuts(der))],
  ['with a byte after its end', 'EK_CERTIFICATE_MALFORMED', 'EK-6', withLeaf((der) => [longer(der)])],
  [
    'with a length of 4 GiB',
    'EK_CERTIFICATE_MALFORMED',
    'EK-6',
    withLeaf((der) => [Uint8Array.of(0x30, 0x84, 0xff, 0xff, 0xff, 0xff, ...der.slice(4))]),
  ],
  [
    'without the authority that issued it',
    'EK_CHAIN_UNTRUSTED',
    'EK-6',
    (it) => ({ ...it, chain: it.chain.slice(0, 1) }),
  ],
  ['by no root that is trusted', 'EK_CHAIN_UNTRUSTED', 'EK-6', (it) => ({ ...it, roots: [] })],
  ['before its time', 'EK_CERTIFICATE_EXPIRED', 'EK-6', (it) => ({ ...it, nowMs: Date.UTC(2020, 0, 1) })],
  ['of no certificate', 'EK_CHAIN_INVALID', 'EK-6', (it) => ({ ...it, chain: [] })],
  [
    'of more certificates than are allowed',
    'EK_CHAIN_INVALID',
    'EK-6',
    (it) => ({ ...it, chain: new Array<Uint8Array>(9).fill(it.chain[0] as Uint8Array) }),
  ],
];

export const certificateRows: readonly Row[] = rowsOf(
  {
    artefact: 'an EK certificate',
    by: 'verifyEkCertificate',
    honest: recorded,
    judge: accepts(verifyEkCertificate),
  },
  received,
);
