import type { QuoteToVerify } from '@nemea/attestation/quote';
import { concatBytes, fromHex, toHex } from '@nemea/core';
import { ALG } from '@nemea/tpm/structures';
import { cuts, flips, longer } from './bytes.ts';
import { codeOfQuote, recordedQuote } from './quote.ts';
import { type Row, rowsOf, type Tampering } from './row.ts';

/** Where the fields of the recorded TPMT_SIGNATURE are: ECDSA on P-256 (Part 2, 11.3.4). */
const AT = { scheme: [0, 2], hash: [2, 4], rSize: [4, 6], r: [6, 38], sSize: [38, 40], s: [40, 72] } as const;
/** The order of P-256 (FIPS 186-5). */
const ORDER = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');

const scalar = (value: bigint): Uint8Array => fromHex(value.toString(16).padStart(64, '0'));

function withSignature(change: (signature: Uint8Array) => Uint8Array | readonly Uint8Array[]) {
  return (it: QuoteToVerify): QuoteToVerify[] => {
    const changed = change(it.signature);
    return (changed instanceof Uint8Array ? [changed] : changed).map((signature) => ({ ...it, signature }));
  };
}

function withNumbers(change: (r: Uint8Array, s: Uint8Array) => readonly [Uint8Array, Uint8Array][]) {
  return withSignature((it) =>
    change(it.slice(...AT.r), it.slice(...AT.s)).map(([r, s]) =>
      concatBytes(it.subarray(0, 4), sized(r), sized(s)),
    ),
  );
}

function sized(bytes: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes);
}

const negated = (s: Uint8Array): Uint8Array => scalar(ORDER - BigInt(`0x${toHex(s)}`));
const outOfRange = [scalar(ORDER), scalar(ORDER + 1n), scalar((1n << 256n) - 1n)];
const zeros = [new Uint8Array(32), new Uint8Array(1)];

const tamperings: readonly Tampering<QuoteToVerify>[] = [
  [
    'of another scheme, by any bit of it flipped',
    'SIGNATURE_SCHEME_WRONG',
    'QUO-3',
    withSignature((it) => flips(it, ...AT.scheme).filter((changed) => changed[1] !== ALG.null)),
  ],
  [
    'with its scheme flipped into none, and its numbers behind it',
    'SIGNATURE_TRAILING',
    'QUO-1',
    withSignature((it) => it.with(1, ALG.null)),
  ],
  [
    'with any bit of its hash flipped',
    'SIGNATURE_SCHEME_WRONG',
    'QUO-3',
    withSignature((it) => flips(it, ...AT.hash)),
  ],
  [
    'with any bit of the length of r flipped',
    'SIGNATURE_MALFORMED',
    'QUO-1',
    withSignature((it) => flips(it, ...AT.rSize)),
  ],
  ['with any bit of r flipped', 'SIGNATURE_WRONG', 'QUO-5', withSignature((it) => flips(it, ...AT.r))],
  [
    'with a length of s that is too large',
    'SIGNATURE_MALFORMED',
    'QUO-1',
    withSignature((it) => [33, 64, 96, 160].map((size) => it.with(39, size))),
  ],
  [
    'with a length of s that is too small',
    'SIGNATURE_TRAILING',
    'QUO-1',
    withSignature((it) => [1, 16, 31].map((size) => it.with(39, size))),
  ],
  ['with any bit of s flipped', 'SIGNATURE_WRONG', 'QUO-5', withSignature((it) => flips(it, ...AT.s))],
  ['cut at every byte', 'SIGNATURE_MALFORMED', 'QUO-1', withSignature((it) => cuts(it))],
  ['with a byte after its end', 'SIGNATURE_TRAILING', 'QUO-1', withSignature(longer)],
  ['with the other s, high for low or low for high', 'OK', 'QUO-5', withNumbers((r, s) => [[r, negated(s)]])],
  [
    'with a zero before r and before s',
    'OK',
    'QUO-5',
    withNumbers((r, s) => [[concatBytes(Uint8Array.of(0), r), concatBytes(Uint8Array.of(0), s)]]),
  ],
  ['with r zero', 'SIGNATURE_OUT_OF_RANGE', 'QUO-5', withNumbers((_, s) => zeros.map((r) => [r, s]))],
  ['with s zero', 'SIGNATURE_OUT_OF_RANGE', 'QUO-5', withNumbers((r) => zeros.map((s) => [r, s]))],
  [
    'with r the order of the curve, or above',
    'SIGNATURE_OUT_OF_RANGE',
    'QUO-5',
    withNumbers((_, s) => outOfRange.map((r) => [r, s])),
  ],
  [
    'with s the order of the curve, or above',
    'SIGNATURE_OUT_OF_RANGE',
    'QUO-5',
    withNumbers((r) => outOfRange.map((s) => [r, s])),
  ],
  [
    'with an empty r or s',
    'SIGNATURE_MALFORMED',
    'QUO-1',
    withNumbers((r, s) => [
      [new Uint8Array(0), s],
      [r, new Uint8Array(0)],
    ]),
  ],
  ['with r and s exchanged', 'SIGNATURE_WRONG', 'QUO-5', withNumbers((r, s) => [[s, r]])],
  ['with r of one and s of one', 'SIGNATURE_WRONG', 'QUO-5', withNumbers(() => [[scalar(1n), scalar(1n)]])],
  [
    'that is no signature, TPM_ALG_NULL',
    'SIGNATURE_SCHEME_WRONG',
    'QUO-3',
    withSignature(() => Uint8Array.of(0, ALG.null)),
  ],
  [
    'of the scheme ECDAA, with the same numbers',
    'SIGNATURE_SCHEME_WRONG',
    'QUO-3',
    withSignature((it) => it.with(1, ALG.ecdaa)),
  ],
];

export const signatureRows: readonly Row[] = rowsOf(
  { artefact: 'a signature', by: 'verifyQuote', honest: recordedQuote, judge: codeOfQuote },
  tamperings,
);
