import { generateKeyPairSync } from 'node:crypto';
import { ByteWriter, concatBytes, fromHex, toHex } from '@nemea/core';
import { ALG, CURVE, encodePcrSelection, encodePublicArea, TEMPLATES } from '@nemea/tpm/structures';
import { p256, p384, p521 } from '@noble/curves/nist.js';
import { describe, expect, test } from 'vitest';
import type { QuotedPcr } from '../eventlog/model.ts';
import { verifyPortable } from '../portable-signature.ts';
import { encodeSignature } from '../testing.ts';
import { type SigningHash, signingHash } from './hash.ts';
import { parseSigningKey } from './signing-key.ts';
import {
  eccKey,
  NONCE,
  NOT_RESTRICTED,
  PCRS,
  pcrsOf,
  publicAreaOf,
  quoteBy,
  rsaKey,
  type SoftwareKey,
  signAs,
} from './testing.ts';
import { type QuoteToVerify, readSignature, verifyQuote } from './verify-quote.ts';

const { sha1, sha256, sha384, sha512 } = ALG;
const ak = eccKey('P-256', sha256);
const rsa = rsaKey({ bits: 2048, scheme: 'rsassa', hashAlg: sha256 });
const KEYS = [
  ak,
  eccKey('P-256', sha512),
  eccKey('P-384', sha384),
  eccKey('P-521', sha512),
  rsa,
  rsaKey({ bits: 3072, scheme: 'rsassa', hashAlg: sha384 }),
  rsaKey({ bits: 4096, scheme: 'rsassa', hashAlg: sha512 }),
  rsaKey({ bits: 2048, scheme: 'rsapss', hashAlg: sha256 }),
  rsaKey({ bits: 2048, scheme: 'rsapss', hashAlg: sha256, salt: 'largest' }),
  rsaKey({ bits: 3072, scheme: 'rsapss', hashAlg: sha512, salt: 'largest' }),
];

/** An honest quote by `key`; `fields` are signed, `change` is done afterwards. */
function input(
  key: SoftwareKey = ak,
  fields: Parameters<typeof quoteBy>[1] = {},
  change: Partial<QuoteToVerify> = {},
): QuoteToVerify {
  const attest = quoteBy(key, fields);
  return { attest, signature: signAs(key, attest), key: key.spki, nonce: NONCE, pcrs: pcrsOf(), ...change };
}

function codeOf(quote: QuoteToVerify): string {
  const verdict = verifyQuote(quote);
  return verdict.ok ? 'OK' : verdict.error.code;
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.with(at, (bytes[at] as number) ^ 1);
}

describe.each(KEYS)('a quote by $name', (key) => {
  const honest = input(key);
  const parsed = parseSigningKey(key.spki);
  const portable = ({ attest, signature }: QuoteToVerify): boolean => {
    const read = readSignature(signature);
    if ('code' in read) throw new Error(read.message);
    return verifyPortable(parsed, read, signingHash(key.hashAlg) as SigningHash, attest);
  };

  test('verifies, in Node and by the path for browsers [QUO-8]', () => {
    expect(verifyQuote(honest)).toMatchObject({
      ok: true,
      quote: {
        signature: { scheme: key.scheme, hashAlg: key.hashAlg },
        firmwareVersion: 0x2019102300163636n,
      },
    });
    expect(portable(honest)).toBe(true);
  });

  test('is refused with a bit of the statement flipped, or of the signature', () => {
    const changed = { ...honest, attest: flipped(honest.attest, 60) };
    expect(codeOf(changed)).toBe('SIGNATURE_WRONG');
    expect(portable(changed)).toBe(false);
    for (const at of [7, 40, honest.signature.length - 1]) {
      const forged = { ...honest, signature: flipped(honest.signature, at) };
      expect(codeOf(forged)).toBe('SIGNATURE_WRONG');
      expect(portable(forged)).toBe(false);
    }
  });

  test('is refused by the other kind of key', () => {
    const other = key.scheme === 'ecdsa' ? rsa : ak;
    expect(codeOf({ ...honest, key: other.spki })).toBe('SIGNATURE_SCHEME_WRONG');
  });
});

describe('the key of a quote', () => {
  test.each([
    ['DER', ak.spki],
    ['PEM', ak.pem],
    ['PEM in bytes', new TextEncoder().encode(ak.pem)],
    ['TPMT_PUBLIC', publicAreaOf(ak)],
    ['TPM2B_PUBLIC', sized(publicAreaOf(ak))],
    ['a parsed key', parseSigningKey(ak.spki)],
  ])('may come as %s', (_, key) => {
    expect(codeOf(input(ak, {}, { key }))).toBe('OK');
  });

  test('is refused when its public area says that it signs other things too, or that its secret may leave [QUO-2]', () => {
    for (const attributes of [NOT_RESTRICTED, 0x50470, 0x50462, 0x50452, 0x70472]) {
      expect(codeOf(input(ak, {}, { key: publicAreaOf(ak, attributes) }))).toBe('KEY_NOT_RESTRICTED');
    }
  });

  test('decides scheme and hash when its public area names them [QUO-3]', () => {
    const other = { ...ak, hashAlg: sha384 };
    expect(codeOf(input(other))).toBe('OK');
    expect(codeOf(input(other, {}, { key: publicAreaOf(ak) }))).toBe('SIGNATURE_SCHEME_WRONG');
  });

  test('is refused below RSA-2048, and with a small exponent [QUO-3]', () => {
    expect(codeOf(input(rsaKey({ bits: 1024, scheme: 'rsassa', hashAlg: sha256 })))).toBe('KEY_WEAK');
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 });
    const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
    expect(codeOf(input({ ...rsa, privateKey, spki }))).toBe('KEY_WEAK');
  });

  test('verifies nothing when it is off the curve', () => {
    expect(codeOf(input(ak, {}, { key: flipped(ak.spki, ak.spki.length - 1) }))).toBe('SIGNATURE_WRONG');
  });

  test('verifies nothing when its modulus is even', () => {
    expect(codeOf(input(rsa, {}, { key: flipped(rsa.spki, rsa.spki.length - 6) }))).toBe('SIGNATURE_WRONG');
  });

  const sealed = encodePublicArea({
    type: 'keyed-hash',
    nameAlg: sha256,
    attributes: 0x12,
    authPolicy: new Uint8Array(0),
    scheme: undefined,
    unique: new Uint8Array(32),
  });
  test.each([
    ['nothing', new Uint8Array(0)],
    ['text', 'no key'],
    ['a PEM certificate', ak.pem.replaceAll('PUBLIC KEY', 'CERTIFICATE')],
    ['two PEM blocks', ak.pem + ak.pem],
    ['a PEM that is cut', ak.pem.replace('=', '')],
    ['DER with a byte more', concatBytes(ak.spki, Uint8Array.of(0))],
    ['DER with a byte less', ak.spki.subarray(0, -1)],
    ['RSA DER with a byte more', concatBytes(rsa.spki, Uint8Array.of(0))],
    [
      'RSA beyond 4096 bits',
      new Uint8Array(
        generateKeyPairSync('rsa', { modulusLength: 4104 }).publicKey.export({ format: 'der', type: 'spki' }),
      ),
    ],
    [
      'Ed25519',
      new Uint8Array(generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' })),
    ],
    [
      'secp256k1',
      new Uint8Array(
        generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({
          format: 'der',
          type: 'spki',
        }),
      ),
    ],
    ['a compressed point', ak.spki.with(26, 2)],
    ['a template', TEMPLATES.ak],
    ['sealed data', sealed],
    ['a public area with a byte more', concatBytes(publicAreaOf(ak), Uint8Array.of(0))],
    ['more than any key has', new Uint8Array(5000)],
  ])('cannot be %s', (_, key) => {
    expect(() => verifyQuote(input(ak, {}, { key }))).toThrow(
      expect.objectContaining({ code: 'KEY_INVALID' }),
    );
  });
});

describe('a statement [QUO-1]', () => {
  test('is refused with another magic, even when the key signed it', () => {
    expect(codeOf(input(ak, { magic: 0xff544348 }))).toBe('ATTEST_MAGIC_WRONG');
    expect(codeOf(input(ak, { magic: 0 }))).toBe('ATTEST_MAGIC_WRONG');
  });

  test('is refused when it is no quote', () => {
    for (const type of [0x8014, 0x8017, 0x8019, 0x801a, 0x8016, 0, 0xffff]) {
      expect(codeOf(input(ak, { type }))).toBe('ATTEST_TYPE_WRONG');
    }
  });

  test('is refused with trailing bytes, even when they are signed', () => {
    expect(codeOf(input(ak, { trailing: Uint8Array.of(0) }))).toBe('ATTEST_TRAILING');
  });

  test('is refused when it is cut anywhere, even when that is signed', () => {
    const { attest } = input();
    for (let length = 0; length < attest.length; length++) {
      const cut = attest.slice(0, length);
      const code = codeOf(input(ak, {}, { attest: cut, signature: signAs(ak, cut) }));
      expect(['ATTEST_MALFORMED', 'ATTEST_MAGIC_WRONG'], `${length} bytes`).toContain(code);
    }
  });

  test('is refused with a field that is longer than it can be', () => {
    expect(codeOf(input(ak, { extraData: new Uint8Array(67) }))).toBe('ATTEST_MALFORMED');
    expect(codeOf(input(ak, { safe: 2 }))).toBe('ATTEST_MALFORMED');
  });
});

describe('a signature', () => {
  const { attest } = input();
  const signature = signAs(ak, attest);
  const [r, s] = [signature.slice(6, 38), signature.slice(40)];
  const toBig = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes)}`);
  const fromBig = (value: bigint): Uint8Array => fromHex(value.toString(16).padStart(64, '0'));
  const { ORDER } = p256.Point.Fn;
  const withNumbers = (a: Uint8Array, b: Uint8Array): string =>
    codeOf(input(ak, {}, { attest, signature: encodeSignature(a, b) }));

  test('counts with high s and with low s alike [QUO-5]', () => {
    expect(withNumbers(r, s)).toBe('OK');
    expect(withNumbers(r, fromBig(ORDER - toBig(s)))).toBe('OK');
  });

  test('counts with leading zeros of r and s left out, as some TPMs do, and with more of them', () => {
    for (let tries = 0, seen = 0; seen < 2 && tries < 4096; tries++) {
      const made = signAs(ak, attest);
      const numbers = [made.slice(6, 38), made.slice(40)] as [Uint8Array, Uint8Array];
      if (numbers[0][0] !== 0 && numbers[1][0] !== 0) continue;
      seen++;
      const short = numbers.map((it) => it.subarray(it.findIndex((byte) => byte !== 0)));
      expect(withNumbers(short[0] as Uint8Array, short[1] as Uint8Array)).toBe('OK');
    }
    expect(withNumbers(concatBytes(Uint8Array.of(0), r), s)).toBe('OK');
  });

  test.each([
    ['P-256', ak, p256.Point.Fn],
    ['P-384', KEYS[2] as SoftwareKey, p384.Point.Fn],
    ['P-521', KEYS[3] as SoftwareKey, p521.Point.Fn],
  ])('is refused with r or s zero, or not below the order of %s [QUO-5]', (_, key, field) => {
    const number = (value: bigint): Uint8Array => fromHex(value.toString(16).padStart(2 * field.BYTES, '0'));
    const one = number(1n);
    for (const bad of [new Uint8Array(1), number(0n), number(field.ORDER), number(field.ORDER + 1n)]) {
      for (const pair of [
        [bad, one],
        [one, bad],
      ] as const) {
        const forged = encodeSignature(pair[0], pair[1], ALG.ecdsa, key.hashAlg);
        expect(codeOf(input(key, {}, { signature: forged }))).toBe('SIGNATURE_OUT_OF_RANGE');
      }
    }
    const largest = encodeSignature(number(field.ORDER - 1n), one, ALG.ecdsa, key.hashAlg);
    expect(codeOf(input(key, {}, { signature: largest }))).toBe('SIGNATURE_WRONG');
  });

  test('is refused when it is shorter or longer than an RSA modulus', () => {
    const numbers = [new Uint8Array(255).fill(1), new Uint8Array(257).fill(1)];
    for (const number of numbers) {
      const forged = new ByteWriter().u16(ALG.rsassa).u16(sha256).u16(number.length).bytes(number).toBytes();
      expect(codeOf(input(rsa, {}, { signature: forged }))).toBe('SIGNATURE_OUT_OF_RANGE');
    }
  });

  test('is refused by SHA-1 unless that is asked for [QUO-4]', () => {
    for (const key of [
      { ...ak, hashAlg: sha1 },
      { ...rsa, hashAlg: sha1 },
    ]) {
      expect(codeOf(input(key))).toBe('SIGNATURE_HASH_WEAK');
      expect(codeOf(input(key, {}, { acceptSha1: true }))).toBe('OK');
    }
  });

  test('is refused with trailing bytes, cut, empty or of no known scheme or hash', () => {
    const coded = (bytes: Uint8Array): string => codeOf(input(ak, {}, { attest, signature: bytes }));
    expect(coded(concatBytes(signature, Uint8Array.of(0)))).toBe('SIGNATURE_TRAILING');
    for (let length = 0; length < signature.length; length++) {
      expect(coded(signature.slice(0, length))).toBe('SIGNATURE_MALFORMED');
    }
    expect(coded(signature.with(1, 0x19))).toBe('SIGNATURE_SCHEME_WRONG');
    expect(coded(signature.with(1, 0x1a))).toBe('SIGNATURE_SCHEME_WRONG');
    expect(coded(signature.with(3, 0x12))).toBe('SIGNATURE_SCHEME_WRONG');
    expect(coded(signature.with(3, 0x0c))).toBe('SIGNATURE_WRONG');
  });

  test('of one RSA scheme is none of the other', () => {
    const honest = input(rsa);
    expect(codeOf({ ...honest, signature: honest.signature.with(1, ALG.rsapss) })).toBe('SIGNATURE_WRONG');
  });

  test('by another key is refused', () => {
    expect(codeOf(input(ak, {}, { signature: signAs(eccKey('P-256', sha256), attest) }))).toBe(
      'SIGNATURE_WRONG',
    );
  });
});

describe('what a quote says', () => {
  test('is refused for another nonce, also one that only begins alike', () => {
    for (const nonce of [
      NONCE.with(0, 0),
      NONCE.slice(0, 31),
      new Uint8Array(0),
      concatBytes(NONCE, NONCE),
    ]) {
      expect(codeOf(input(ak, {}, { nonce }))).toBe('QUALIFYING_DATA_WRONG');
    }
  });

  test('is refused for another selection: fewer, more, or another bank [QUO-6]', () => {
    const coded = (selection: QuoteToVerify['selection']): string => codeOf(input(ak, {}, { selection }));
    expect(coded([{ hashAlg: sha256, pcrs: PCRS }])).toBe('OK');
    expect(
      coded([
        { hashAlg: sha256, pcrs: PCRS },
        { hashAlg: sha1, pcrs: [] },
      ]),
    ).toBe('OK');
    expect(coded([{ hashAlg: sha256, pcrs: [0, 7] }])).toBe('PCR_SELECTION_WRONG');
    expect(coded([{ hashAlg: sha256, pcrs: [...PCRS, 23] }])).toBe('PCR_SELECTION_WRONG');
    expect(coded([{ hashAlg: sha384, pcrs: PCRS }])).toBe('PCR_SELECTION_WRONG');
    expect(coded([])).toBe('PCR_SELECTION_WRONG');
  });

  test('is refused when it names a bank twice', () => {
    const [bank] = [encodePcrSelection(PCRS).slice(4)];
    const selection = concatBytes(Uint8Array.of(0, 0, 0, 2), bank as Uint8Array, bank as Uint8Array);
    expect(codeOf(input(ak, { selection }))).toBe('PCR_SELECTION_WRONG');
  });

  test('covers several banks in the order of the selection', () => {
    const bank = encodePcrSelection(PCRS).slice(4);
    const selection = concatBytes(Uint8Array.of(0, 0, 0, 2), bank.with(1, sha384), bank);
    const [long, short] = [pcrsOf(PCRS, 'sha384'), pcrsOf()];
    const values = [...long, ...short].map(({ value }) => value);
    const pcrDigest = signingHash(sha256)?.portable(concatBytes(...values)) as Uint8Array;
    const coded = (pcrs: QuoteToVerify['pcrs']): string =>
      codeOf(input(ak, { selection, pcrDigest }, { pcrs }));
    expect(coded([...short, ...long])).toBe('OK');
    expect(coded([...long, ...short].reverse())).toBe('OK');
    expect(coded(long)).toBe('PCR_LIST_WRONG');
  });

  test('is refused with a PCR value changed, left out, added, doubled or of another length [QUO-6]', () => {
    const [zero, seven, fourteen] = pcrsOf() as [QuotedPcr, QuotedPcr, QuotedPcr];
    const coded = (pcrs: QuoteToVerify['pcrs']): string => codeOf(input(ak, {}, { pcrs }));
    expect(coded([zero, { ...seven, value: new Uint8Array(32) }, fourteen])).toBe('PCR_DIGEST_WRONG');
    expect(coded([zero, { ...seven, value: seven.value.slice(1) }, fourteen])).toBe('PCR_LIST_WRONG');
    expect(coded([zero, seven])).toBe('PCR_LIST_WRONG');
    expect(coded([])).toBe('PCR_LIST_WRONG');
    expect(coded([zero, seven, fourteen, zero])).toBe('PCR_LIST_WRONG');
    expect(coded([zero, seven, fourteen, ...pcrsOf([16])])).toBe('PCR_LIST_WRONG');
    expect(coded([zero, seven, fourteen, ...pcrsOf([1], 'sha384')])).toBe('PCR_LIST_WRONG');
  });

  test('says nothing about PCR values that nobody gave', () => {
    const verdict = verifyQuote(input(ak, {}, { pcrs: undefined }));
    expect(verdict).toMatchObject({ ok: true, quote: { pcrs: null } });
  });

  test('is refused when the clock went back [QUO-7]', () => {
    const before = { resetCount: 5, restartCount: 1, clock: 1000n };
    const coded = (change: Partial<typeof before>): string =>
      codeOf(input(ak, {}, { clockBefore: { ...before, ...change } }));
    expect(coded({})).toBe('OK');
    expect(coded({ resetCount: 4, restartCount: 9, clock: 2000n })).toBe('OK');
    expect(coded({ resetCount: 6 })).toBe('CLOCK_RESET_COUNT_DECREASED');
    expect(coded({ restartCount: 2 })).toBe('CLOCK_RESTART_COUNT_DECREASED');
    expect(coded({ clock: 1001n })).toBe('CLOCK_BACKWARDS');
  });

  test('is refused with an unsafe clock when a safe one is asked for [QUO-7]', () => {
    expect(codeOf(input(ak, { safe: 0 }))).toBe('OK');
    expect(codeOf(input(ak, { safe: 0 }, { requireSafeClock: true }))).toBe('CLOCK_UNSAFE');
    expect(codeOf(input(ak, {}, { requireSafeClock: true }))).toBe('OK');
  });
});

/** Every fault at once, from the one at `first` on: each check stands alone, so only their order decides which is told. */
const FAULTS = [
  'ATTEST_MAGIC_WRONG',
  'ATTEST_TYPE_WRONG',
  'ATTEST_TRAILING',
  'SIGNATURE_TRAILING',
  'KEY_NOT_RESTRICTED',
  'SIGNATURE_SCHEME_WRONG',
  'SIGNATURE_HASH_WEAK',
  'SIGNATURE_OUT_OF_RANGE',
  'SIGNATURE_WRONG',
  'QUALIFYING_DATA_WRONG',
  'PCR_SELECTION_WRONG',
  'PCR_LIST_WRONG',
  'CLOCK_BACKWARDS',
  'CLOCK_UNSAFE',
] as const;

function withFaultsFrom(first: number): QuoteToVerify {
  const has = (fault: (typeof FAULTS)[number]): boolean => FAULTS.indexOf(fault) >= first;
  const attest = quoteBy(ak, {
    ...(has('ATTEST_MAGIC_WRONG') ? { magic: 0 } : {}),
    ...(has('ATTEST_TYPE_WRONG') ? { type: 0x8019 } : {}),
    ...(has('ATTEST_TRAILING') ? { trailing: Uint8Array.of(0) } : {}),
    ...(has('CLOCK_UNSAFE') ? { safe: 0 } : {}),
  });
  let signature = signAs(has('SIGNATURE_SCHEME_WRONG') ? rsa : ak, attest);
  if (has('SIGNATURE_WRONG')) signature = flipped(signature, signature.length - 1);
  if (has('SIGNATURE_OUT_OF_RANGE') && !has('SIGNATURE_SCHEME_WRONG'))
    signature = encodeSignature(new Uint8Array(32), signature.slice(-32));
  if (has('SIGNATURE_HASH_WEAK')) signature = signature.with(3, sha1);
  return {
    attest,
    signature: has('SIGNATURE_TRAILING') ? concatBytes(signature, Uint8Array.of(0)) : signature,
    key: has('KEY_NOT_RESTRICTED') ? publicAreaOf(ak, NOT_RESTRICTED) : ak.spki,
    nonce: has('QUALIFYING_DATA_WRONG') ? flipped(NONCE, 0) : NONCE,
    selection: [{ hashAlg: sha256, pcrs: has('PCR_SELECTION_WRONG') ? [1] : PCRS }],
    pcrs: has('PCR_LIST_WRONG') ? [] : pcrsOf(),
    clockBefore: { resetCount: 5, restartCount: 1, clock: has('CLOCK_BACKWARDS') ? 1001n : 1000n },
    requireSafeClock: true,
  };
}

test('of all faults at once the first one is told, in the order of the rule [QUO-1]', () => {
  const told = [...FAULTS, 'none'].map((_, first) => codeOf(withFaultsFrom(first)));
  expect(told).toEqual([...FAULTS, 'OK']);
});

test('curves are told apart by the key alone', () => {
  expect(parseSigningKey((KEYS[2] as SoftwareKey).spki)).toMatchObject({ type: 'ecc', curve: CURVE.p384 });
});

function sized(bytes: Uint8Array): Uint8Array {
  return new ByteWriter().u16(bytes.length).bytes(bytes).toBytes();
}
