import { fromHex, toHex } from '@nemea/core';
import { p256 } from '@noble/curves/nist.js';
import { describe, expect, it } from 'vitest';
import { type Cbor, encodeTaggedCbor, Tagged } from '../cose/cbor.ts';
import { type CoseSigner, signSign1 } from '../cose/sign1.ts';
import { type CorimContent, encodeCorim } from './corim.ts';
import { CORIM_CONTENT_TYPE, parseCorim, parseSignedCorim } from './parse.ts';

const DIGEST = fromHex('44aa336af4cb14a879432e53dd6571c7fa9bccafb75f488259262d6ea3a4d91b');
const SHA384 = fromHex(`15e77d6f133252f1db7044901313884f${'ab'.repeat(32)}`);
const CONTENT: CorimContent = {
  id: 'example.org/board-7',
  registers: [
    {
      environment: { vendor: 'ACME Inc.', model: 'RoadRunner' },
      pcr: 0,
      digests: [{ algorithm: 'sha256', digest: DIGEST }],
    },
  ],
  components: [
    {
      environment: { vendor: 'ACME Inc.', layer: 1 },
      name: 'shim',
      digests: [
        { algorithm: 'sha256', digest: DIGEST },
        { algorithm: 'sha384', digest: SHA384 },
      ],
    },
  ],
};

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof Error && 'code' in error) return String(error.code);
    throw error;
  }
  return 'OK';
}

/** A CoRIM with one CoMID whose reference triples are `triples`. */
function corimOf(triples: Cbor, more: readonly [Cbor, Cbor][] = []): Uint8Array {
  const comid = new Map<Cbor, Cbor>([
    [1, new Map<Cbor, Cbor>([[0, fromHex('3f06af63a93c11e4979700505690773f')]])],
    [
      2,
      [
        new Map<Cbor, Cbor>([
          [0, 'ACME Inc.'],
          [1, new Tagged(32, 'https://acme.example')],
          [2, [0]],
        ]),
      ],
    ],
    [4, new Map<Cbor, Cbor>([[0, triples], ...more])],
  ]);
  const corim = new Map<Cbor, Cbor>([
    [0, new Tagged(37, fromHex('67b28b6c34cc40a19117ab5b05911e37'))],
    [1, [new Tagged(506, encodeTaggedCbor(comid))]],
  ]);
  return encodeTaggedCbor(new Tagged(501, corim));
}

function measured(value: readonly [Cbor, Cbor][]): Cbor {
  const environment = new Map<Cbor, Cbor>([
    [
      0,
      new Map<Cbor, Cbor>([
        [1, 'ACME Inc.'],
        [2, 'ACME RoadRunner'],
        [3, 1],
      ]),
    ],
  ]);
  return [[environment, [new Map<Cbor, Cbor>([[1, new Map(value)]])]]];
}

describe('a corim', () => {
  it('comes back from its bytes as it was written, and is deterministic', () => {
    const bytes = encodeCorim(CONTENT);
    expect(parseCorim(bytes)).toEqual({ ...CONTENT, ignored: [] });
    expect(toHex(encodeCorim(CONTENT))).toBe(toHex(bytes));
  });

  it("reads integrity registers as the draft's example writes them, and names the digest algorithm it does not know", () => {
    // comid-integrity-registers.diag of draft-ietf-rats-corim, with its second digest at full length.
    const registers = new Map<Cbor, Cbor>([
      [
        0,
        [
          [1, DIGEST],
          ['my-alg-id', fromHex('deadbeef')],
        ],
      ],
      [
        5,
        [
          [1, DIGEST],
          ['my-alg-id', fromHex('fefefafa')],
        ],
      ],
    ]);
    const corim = parseCorim(corimOf(measured([[14, registers]])));
    expect(corim.registers.map(({ pcr, digests }) => [pcr, digests.length])).toEqual([
      [0, 1],
      [5, 1],
    ]);
    expect(corim.registers[0]?.environment).toEqual({
      vendor: 'ACME Inc.',
      model: 'ACME RoadRunner',
      layer: 1,
    });
    expect(corim.ignored).toContain('digest algorithm my-alg-id');
    expect(corim.id).toBe('67b28b6c34cc40a19117ab5b05911e37');
  });

  it('says what it does not enforce: versions, endorsed triples and tags of other kinds', () => {
    const bytes = corimOf(
      measured([
        [1, new Tagged(552, 1)],
        [2, [[7, SHA384]]],
      ]),
      [[1, []]],
    );
    expect(parseCorim(bytes).ignored).toEqual(['triples 1', 'measured value 1']);
  });

  it('reads the outer tag of early drafts', () => {
    const inner = encodeCorim(CONTENT);
    expect(parseCorim(new Uint8Array([0xd9, 0x01, 0xf4, ...inner]))).toEqual({ ...CONTENT, ignored: [] });
  });

  it.each([
    ['no tag', encodeTaggedCbor(new Map<Cbor, Cbor>([[0, 'x']])), 'CORIM_INVALID'],
    ['nothing', new Uint8Array(0), 'CORIM_INVALID'],
    ['a byte after the end', new Uint8Array([...encodeCorim(CONTENT), 0]), 'CORIM_INVALID'],
    ['arrays nested without end', new Uint8Array(500_000).fill(0x81), 'CORIM_INVALID'],
    ['a duplicate key', fromHex('d901f5a2006161006162'), 'CORIM_INVALID'],
    ['a length field of four gigabytes', fromHex('d901f59affffffff'), 'CORIM_INVALID'],
    ['a digest of another length', corimOf(measured([[2, [[1, fromHex('aabb')]]]])), 'CORIM_INVALID'],
    ['digests of unknown algorithms alone', corimOf(measured([[2, [['md5', DIGEST]]]])), 'CORIM_INVALID'],
    ['no digest at all', corimOf(measured([[2, []]])), 'CORIM_INVALID'],
    ['more bytes than its limit', new Uint8Array((1 << 20) + 1), 'CORIM_TOO_LARGE'],
  ])('is refused with %s', (_, bytes, code) => {
    expect(codeOf(() => parseCorim(bytes))).toBe(code);
  });
});

describe('a signed corim', () => {
  const secret = new Uint8Array(32).fill(7);
  const verifier = { algorithm: 'es256', publicKey: p256.getPublicKey(secret) } as const;
  const signer: CoseSigner = {
    algorithm: 'es256',
    keyId: fromHex('01'),
    sign: async (message) => p256.sign(message, secret, { lowS: false }),
  };

  async function signed(contentType = CORIM_CONTENT_TYPE): Promise<Uint8Array> {
    return await signSign1(signer, { contentType, payload: encodeCorim(CONTENT) });
  }

  it('is read after its signature was found good', async () => {
    expect(parseSignedCorim(await signed(), verifier)).toEqual({ ...CONTENT, ignored: [] });
  });

  it('is not read without a key', async () => {
    const bytes = await signed();
    expect(codeOf(() => parseCorim(bytes))).toBe('CORIM_SIGNATURE_MISSING');
  });

  it('is refused under another key, another algorithm, another content type, and after any change of its payload', async () => {
    const bytes = await signed();
    const other = { ...verifier, publicKey: p256.getPublicKey(new Uint8Array(32).fill(8)) };
    expect(codeOf(() => parseSignedCorim(bytes, other))).toBe('COSE_SIGNATURE_WRONG');
    expect(codeOf(() => parseSignedCorim(bytes, { ...verifier, algorithm: 'es384' }))).toBe('COSE_INVALID');
    const foreign = await signed('application/other');
    expect(codeOf(() => parseSignedCorim(foreign, verifier))).toBe('COSE_INVALID');
    const at = bytes.findIndex((byte, i) => byte === DIGEST[0] && bytes[i + 1] === DIGEST[1]);
    const changed = bytes.slice();
    changed[at] = 0x45;
    expect(codeOf(() => parseSignedCorim(changed, verifier))).toBe('COSE_SIGNATURE_WRONG');
  });
});
