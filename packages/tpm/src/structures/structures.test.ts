import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { ByteWriter, bytesEqual, concatBytes, fromHex, sha256, toHex } from '@nemea/core';
import { describe, expect, it } from 'vitest';
import { readAttestationVectors, readVectors } from '../testing.ts';
import {
  ALG,
  compressedPoint,
  decode,
  encodePcrSelection,
  encodePublicArea,
  matchesTemplate,
  nameOf,
  OBJECT_ATTRIBUTE,
  parseAttest,
  parsePublicArea,
  parseSignature,
  pcrDigest,
  pcrPolicyDigest,
  TEMPLATES,
  toSpki,
  tpmlPcrSelection,
} from './index.ts';

const { identity, attestations } = await readAttestationVectors();
const malformed = await readVectors<{ name: string; attest: string; code: string }[]>(
  'tpm/attestations-malformed.json',
);

function vectorNamed(name: string) {
  const vector = attestations.find((candidate) => candidate.name === name);
  if (vector === undefined) throw new Error(`no vector ${name}`);
  return { ...vector, attest: fromHex(vector.attest), signature: fromHex(vector.signature) };
}

describe('public areas', () => {
  it('keeps every template byte for byte as frozen in the vectors', async () => {
    const frozen = await readVectors<Record<string, string>>('tpm/templates.json');
    const templates = Object.fromEntries(
      Object.entries(TEMPLATES).map(([name, bytes]) => [name, toHex(bytes)]),
    );
    expect(templates).toEqual(frozen);
  });

  it('computes the name of the attestation key', () => {
    expect(toHex(nameOf(fromHex(identity.akPublic)))).toBe(identity.akName);
  });

  it('encodes the public key of an endorsement key exactly as its certificate does', () => {
    const { publicKey } = new X509Certificate(fromHex(identity.ekCertificate));
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    expect(toHex(toSpki(parsePublicArea(fromHex(identity.ekPublic))))).toBe(spki.toString('hex'));
  });

  it('encodes the public key of an attestation key as node:crypto does', () => {
    const spki = toSpki(parsePublicArea(fromHex(identity.akPublic)));
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    expect(key.export({ type: 'spki', format: 'der' }).toString('hex')).toBe(toHex(spki));
  });

  it('compresses the point of a key by the parity of y', () => {
    const area = parsePublicArea(fromHex(identity.vrfPublic));
    if (area.type !== 'ecc') throw new Error('want an ecc key');
    const odd = (area.y[31] as number) & 1;
    expect(toHex(compressedPoint(area))).toBe(`0${2 + odd}${toHex(area.x)}`);
  });

  it('matches a key with its own template and no other', () => {
    expect(matchesTemplate(fromHex(identity.akPublic), TEMPLATES.ak)).toBe(true);
    expect(matchesTemplate(fromHex(identity.ekPublic), TEMPLATES.ek)).toBe(true);
    expect(matchesTemplate(fromHex(identity.vrfPublic), TEMPLATES.ak)).toBe(false);
  });

  it('does not match a key that differs from the template in one attribute', () => {
    const area = parsePublicArea(fromHex(identity.akPublic));
    const changed = encodePublicArea({ ...area, attributes: area.attributes & ~OBJECT_ATTRIBUTE.restricted });
    expect(matchesTemplate(changed, TEMPLATES.ak)).toBe(false);
  });

  it('refuses an unknown object type, scheme and curve by name', () => {
    const ak = identity.akPublic;
    expect(() => parsePublicArea(fromHex(`0099${ak.slice(4)}`))).toThrow(/object type: got 0x0099/);
    expect(() => parsePublicArea(fromHex(ak.replace('0018000b0003', '0099000b0003')))).toThrow(
      /asymmetric scheme/,
    );
    expect(() => parsePublicArea(fromHex(ak.replace('0018000b0003', '0018000b0099')))).toThrow(
      /curve: got 0x0099/,
    );
  });

  it('refuses a byte too many and a byte too few', () => {
    const ak = fromHex(identity.akPublic);
    expect(() => parsePublicArea(concatBytes(ak, Uint8Array.of(0)))).toThrow(/1 bytes after the end/);
    expect(() => parsePublicArea(ak.subarray(0, -1))).toThrow(/public area: wanted/);
  });

  it('refuses a modulus of another size than the key says', () => {
    const area = parsePublicArea(fromHex(identity.ekPublic));
    if (area.type !== 'rsa') throw new Error('want an rsa key');
    const short = encodePublicArea({ ...area, modulus: area.modulus.subarray(1) });
    expect(() => parsePublicArea(short)).toThrow(/modulus: got 255 bytes, want 256/);
  });

  it('has no public key for a template', () => {
    expect(() => toSpki(parsePublicArea(TEMPLATES.ak))).toThrow(/template/);
    expect(() => toSpki(parsePublicArea(TEMPLATES.ek))).toThrow(/template/);
  });
});

describe('attestations', () => {
  it.each(['quote', 'get-time', 'certify'])('verifies the recorded %s over the received bytes', (name) => {
    const { attest, signature } = vectorNamed(name);
    const parsed = parseSignature(signature);
    if (parsed.scheme !== 'ecdsa') throw new Error('want an ecdsa signature');
    const spki = Buffer.from(toSpki(parsePublicArea(fromHex(identity.akPublic))));
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    const check = (message: Uint8Array) =>
      verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, parsed.rs);
    expect(check(attest)).toBe(true);
    expect(check(attest.with(40, (attest[40] as number) ^ 1))).toBe(false);
  });

  it('reads what a quote says', () => {
    const vector = vectorNamed('quote');
    const attest = parseAttest(vector.attest);
    if (attest.type !== 'quote') throw new Error('want a quote');
    expect(toHex(attest.extraData)).toBe(vector.qualifyingData);
    expect(attest.pcrSelections).toEqual([{ hashAlg: ALG.sha256, pcrs: [0, 7, 14] }]);
    const values = (vector.pcrs ?? []).map(({ value }) => fromHex(value));
    expect(bytesEqual(attest.pcrDigest, pcrDigest(values))).toBe(true);
    expect(attest.clockInfo.safe).toBe(true);
  });

  it('reads the firmware version beyond 2^53 without loss', () => {
    expect(parseAttest(vectorNamed('quote').attest).firmwareVersion).toBe(0x2019102300163636n);
  });

  it('reads both clocks of a time attestation, equal for a key of the endorsement hierarchy', () => {
    const attest = parseAttest(vectorNamed('get-time').attest);
    if (attest.type !== 'get-time') throw new Error('want a time attestation');
    expect(attest.innerClockInfo).toEqual(attest.clockInfo);
    expect(attest.innerFirmwareVersion).toBe(attest.firmwareVersion);
    expect(attest.time).toBeGreaterThan(0n);
  });

  it('reads the name of a certified key', () => {
    const attest = parseAttest(vectorNamed('certify').attest);
    if (attest.type !== 'certify') throw new Error('want a certification');
    expect(toHex(attest.name)).toBe(toHex(nameOf(fromHex(identity.vrfPublic))));
  });

  it('reads a certified nv index', () => {
    const quote = vectorNamed('quote').attest;
    const header = quote.slice(0, 6 + 36 + 34 + 17 + 8);
    header.set([0x80, 0x14], 4);
    const body = new ByteWriter().u16(2).u16(7).u16(3).u16(8).u64(9n).toBytes();
    const attest = parseAttest(concatBytes(header, body));
    expect(attest).toMatchObject({ type: 'nv-certify', offset: 3, indexName: Uint8Array.of(0, 7) });
  });

  it.each(malformed)('refuses a quote that is: $name', ({ attest, code }) => {
    expect(() => parseAttest(fromHex(attest))).toThrow(expect.objectContaining({ code }));
  });

  it('refuses another magic, an unknown type and a flag that is no boolean', () => {
    const { attest } = vectorNamed('quote');
    expect(() => parseAttest(attest.with(0, 0))).toThrow(/magic: got 0x544347/);
    expect(() => parseAttest(attest.with(5, 0x99))).toThrow(/attestation type: got 0x8099/);
    expect(() => parseAttest(attest.with(92, 2))).toThrow(/safe flag: got 2/);
  });

  it('refuses a buffer beyond the largest response before reading it', () => {
    expect(() => parseAttest(new Uint8Array(4097))).toThrow(/got 4097 bytes, want at most 4096/);
  });
});

describe('signatures', () => {
  it('pads short ecdsa numbers on the left', () => {
    const parsed = parseSignature(fromHex('0018000b0001050002 0607'.replace(' ', '')));
    if (parsed.scheme !== 'ecdsa') throw new Error('want an ecdsa signature');
    expect(toHex(parsed.rs)).toBe(`${'00'.repeat(31)}05${'00'.repeat(30)}0607`);
  });

  it('keeps k of an ecdaa signature as it came, because the challenge hashes those bytes', () => {
    const parsed = parseSignature(fromHex('001a000b0002010200020607'));
    expect(parsed).toMatchObject({ scheme: 'ecdaa', k: Uint8Array.of(1, 2) });
  });

  it('reads an rsa signature whole', () => {
    expect(parseSignature(fromHex('0014000b0003010203'))).toMatchObject({
      signature: Uint8Array.of(1, 2, 3),
    });
  });

  it('reads a signature by P-521, one number shorter than the other', () => {
    const long = '01'.repeat(66);
    const parsed = parseSignature(fromHex(`0018000d000105 0042${long}`.replace(' ', '')));
    expect(parsed).toMatchObject({
      hashAlg: ALG.sha512,
      r: Uint8Array.of(5),
      rs: fromHex(`${'00'.repeat(65)}05${long}`),
    });
  });

  it('reads RSAPSS as another scheme than RSASSA', () => {
    expect(parseSignature(fromHex('0016000b0001ff'))).toMatchObject({ scheme: 'rsapss' });
  });

  it('refuses numbers longer than any curve, empty numbers and unknown schemes', () => {
    expect(() => parseSignature(fromHex(`0018000b0051${'01'.repeat(81)}000105`))).toThrow(/got 81 bytes/);
    expect(() => parseSignature(fromHex('0018000b0000000105'))).toThrow(
      /signature r: got 0 bytes, want at least 1/,
    );
    expect(() => parseSignature(fromHex('0099000b0001050001 05'.replace(' ', '')))).toThrow(
      /scheme: got 0x0099/,
    );
  });
});

describe('pcr selections', () => {
  it('encodes PCR i as bit i mod 8 of byte i div 8', () => {
    expect(toHex(encodePcrSelection([14, 0, 7, 14]))).toBe('00000001000b03814000');
  });

  it.each([
    ['one byte', '00000001000b0181', 1, [0, 7]],
    ['two bytes', '00000001000b028140', 2, [0, 7, 14]],
    ['four bytes', '00000001000b0401000080', 4, [0, 31]],
  ])('reads a bitmap of %s, as TPMs with fewer or more PCRs write it', (_what, hex, bitmapBytes, pcrs) => {
    const selections = decode('selection', tpmlPcrSelection, fromHex(hex));
    expect(selections).toEqual([{ hashAlg: ALG.sha256, pcrs, bitmapBytes }]);
  });

  it.each(['00000001000b00', '00000001000b050100000000'])(
    'refuses a bitmap of any other length: %s',
    (hex) => {
      expect(() => decode('selection', tpmlPcrSelection, fromHex(hex))).toThrow(/want 1 to 4/);
    },
  );

  it('refuses what is no PCR number', () => {
    for (const pcr of [-1, 24, 1.5, Number.NaN])
      expect(() => encodePcrSelection([pcr])).toThrow(/want 0 to 23/);
  });

  it('computes the policy digest as Part 3 of the specification writes it', () => {
    const digest = sha256(Uint8Array.of(1));
    const selection = fromHex('00000001000b03804000');
    const expected = sha256(new Uint8Array(32), fromHex('0000017f'), selection, digest);
    expect(toHex(pcrPolicyDigest([7, 14], digest))).toBe(toHex(expected));
  });
});
