import { concatBytes, fromUtf8, sha256, toHex } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { inspectCapsule, openCapsule, openCapsuleStream } from './open.ts';
import { sealCapsule, sealCapsuleStream } from './seal.ts';
import { CHUNK, codeOf, collect, DESCRIPTION, OWNER, pieces, rewrite, withHeader } from './testing.ts';

const SALT = 32;
const TAG = 16;

function payload(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
}

describe('a capsule opens to what was sealed', () => {
  const sizes = [0, 1, CHUNK - SALT - 1, CHUNK - SALT, CHUNK - SALT + 1, 2 * CHUNK - SALT, 3 * CHUNK + 5];
  test.each(sizes)('with a payload of %i bytes, at once and as a stream', async (bytes) => {
    const plain = payload(bytes);
    const { capsule, fileKey, header } = sealCapsule(DESCRIPTION, plain);
    expect(openCapsule(capsule, fileKey)).toEqual(plain);
    expect(await collect(openCapsuleStream(pieces(capsule, 1000), fileKey))).toEqual(plain);
    expect(header.plainBytes).toBe(bytes);
  });

  test.each(sizes)('sealed as a stream of %i bytes', async (bytes) => {
    const plain = payload(bytes);
    const sealed = await sealCapsuleStream(DESCRIPTION, () => pieces(plain, 777));
    const capsule = await collect(sealed.chunks);
    expect(openCapsule(capsule, sealed.fileKey)).toEqual(plain);
    expect(inspectCapsule(capsule).capsuleId).toEqual(sealed.capsuleId);
  });

  test('whatever the sizes of the pieces that it arrives in', async () => {
    const plain = payload(CHUNK + 100);
    const { capsule, fileKey } = sealCapsule(DESCRIPTION, plain);
    for (const size of [1 << 20, CHUNK + TAG, CHUNK, 4099, 97]) {
      expect(await collect(openCapsuleStream(pieces(capsule, size), fileKey))).toEqual(plain);
    }
  });
});

test('the header is public, and its hash is the capsule id', async () => {
  const { capsule, capsuleId, header } = sealCapsule(DESCRIPTION, payload(5));
  const inspected = inspectCapsule(capsule);
  expect(inspected.header).toEqual(header);
  expect(inspected.capsuleId).toEqual(capsuleId);
  expect(sha256(inspected.headerBytes)).toEqual(capsuleId);
  expect(inspected.header.owner).toEqual(OWNER);
});

test('two capsules of one payload have nothing in common that tells', async () => {
  const [a, b] = await Promise.all([
    sealCapsule(DESCRIPTION, payload(9)),
    sealCapsule(DESCRIPTION, payload(9)),
  ]);
  expect(a.fileKey).not.toEqual(b.fileKey);
  expect(a.header.payloadCommitment).not.toEqual(b.header.payloadCommitment);
  expect(toHex(a.capsule)).not.toContain(toHex(sha256(payload(9))));
});

describe('a capsule is refused', async () => {
  const plain = payload(2 * CHUNK + 1000);
  const sealed = sealCapsule(DESCRIPTION, plain);
  const { capsule, fileKey } = sealed;
  const bodyAt = 20 + inspectCapsule(capsule).headerBytes.length;
  const chunk = (i: number): Uint8Array => {
    const at = bodyAt + i * (CHUNK + TAG);
    return capsule.subarray(at, at + CHUNK + TAG);
  };
  const front = capsule.subarray(0, bodyAt);
  const other = sealCapsule(DESCRIPTION, plain);

  const listed: readonly (readonly [string, string, () => Uint8Array, Uint8Array?])[] = [
    ['when it is empty', 'CAPSULE_TRUNCATED', () => new Uint8Array(0)],
    ['when it is cut in the magic', 'CAPSULE_TRUNCATED', () => capsule.slice(0, 10)],
    ['when it is cut in the header', 'CAPSULE_TRUNCATED', () => capsule.slice(0, bodyAt - 1)],
    ['when it has a header only', 'CAPSULE_TRUNCATED', () => capsule.slice(0, bodyAt)],
    ['when it is cut in a chunk', 'CAPSULE_TRUNCATED', () => capsule.slice(0, bodyAt + CHUNK)],
    ['when it is cut between chunks', 'CAPSULE_TRUNCATED', () => concatBytes(front, chunk(0), chunk(1))],
    ['when a byte is missing', 'CAPSULE_TRUNCATED', () => capsule.slice(0, -1)],
    ['when it is something else', 'CAPSULE_MAGIC_WRONG', () => fromUtf8('age-encryption.org/v1\n')],
    [
      'when it is another version',
      'CAPSULE_MAGIC_WRONG',
      () => concatBytes(fromUtf8('nemea-capsule/2\n'), capsule.subarray(16)),
    ],
    [
      'when its header length is absurd',
      'CAPSULE_HEADER_TOO_LARGE',
      () => concatBytes(capsule.subarray(0, 16), Uint8Array.of(255, 255, 255, 255), capsule.subarray(20)),
    ],
    [
      'when its header is no document',
      'CAPSULE_HEADER_INVALID',
      () => concatBytes(capsule.subarray(0, 20), new Uint8Array(bodyAt - 20), capsule.subarray(bodyAt)),
    ],
    [
      'when chunks are swapped',
      'CAPSULE_CHUNK_INVALID',
      () => concatBytes(front, chunk(1), chunk(0), chunk(2)),
    ],
    [
      'when a chunk is repeated',
      'CAPSULE_CHUNK_INVALID',
      () => concatBytes(front, chunk(0), chunk(0), chunk(2)),
    ],
    [
      'when a chunk comes from another capsule',
      'CAPSULE_CHUNK_INVALID',
      () => concatBytes(front, other.capsule.subarray(bodyAt, bodyAt + CHUNK + TAG), chunk(1), chunk(2)),
    ],
    [
      'when a bit of the payload is flipped',
      'CAPSULE_CHUNK_INVALID',
      () => capsule.map((byte, i) => (i === bodyAt + CHUNK + TAG + 9 ? byte ^ 1 : byte)),
    ],
    ['when a byte follows', 'CAPSULE_TRAILING', () => concatBytes(capsule, Uint8Array.of(0))],
    ['when a chunk follows the last', 'CAPSULE_TRAILING', () => concatBytes(capsule, chunk(0))],
    [
      'when an empty chunk follows the last',
      'CAPSULE_LAST_CHUNK_EMPTY',
      () => concatBytes(capsule, new Uint8Array(TAG)),
    ],
    [
      'under the header of another owner',
      'CAPSULE_CHUNK_INVALID',
      () => withHeader(capsule, { owner: new Uint8Array(20) }),
    ],
    [
      'under a header with another policy',
      'CAPSULE_CHUNK_INVALID',
      () => withHeader(capsule, { policy: null }),
    ],
    [
      'under a header with another environment',
      'CAPSULE_CHUNK_INVALID',
      () => withHeader(capsule, { environment: { imageDigests: [], levelMin: 1, connections: [] } }),
    ],
    [
      'under a header with another commitment',
      'CAPSULE_CHUNK_INVALID',
      () => withHeader(capsule, { payloadCommitment: new Uint8Array(32) }),
    ],
    [
      'under a header with a longer payload',
      'CAPSULE_TRUNCATED',
      () => withHeader(capsule, { plainBytes: plain.length + 1 }),
    ],
    [
      'under a header with a shorter payload',
      'CAPSULE_TRAILING',
      () => withHeader(capsule, { plainBytes: plain.length - 1 }),
    ],
    [
      'under a header with larger chunks',
      'CAPSULE_CHUNK_INVALID',
      () => withHeader(capsule, { chunkBytes: CHUNK + 500 }),
    ],
    ['with another file key', 'CAPSULE_CHUNK_INVALID', () => capsule, other.fileKey],
    ['with a file key of 16 bytes', 'CAPSULE_KEY_INVALID', () => capsule, new Uint8Array(16)],
  ];

  const rows = listed.map(([title, code, make, key]) => [title, code, make, key ?? fileKey] as const);

  test.each(rows)('%s: %s', async (_, code, make, key) => {
    expect(await codeOf(() => openCapsule(make(), key))).toBe(code);
  });

  // A stream cannot know its length, so a wrong length shows at a chunk or at the end.
  const lengthOnly = new Set([
    'under a header with a longer payload',
    'under a header with a shorter payload',
  ]);
  test.each(rows.filter(([title]) => !lengthOnly.has(title)))(
    'as a stream, %s: %s',
    async (_, code, make, key) => {
      expect(await codeOf(() => collect(openCapsuleStream(pieces(make(), 5000), key)))).toBe(code);
    },
  );

  test('as a stream, under a header with another length', async () => {
    for (const plainBytes of [plain.length - 1, plain.length + 1, 10, 10 * CHUNK]) {
      const code = await codeOf(() =>
        collect(openCapsuleStream(pieces(withHeader(capsule, { plainBytes }), 5000), fileKey)),
      );
      expect(code).toMatch(/^CAPSULE_(CHUNK_INVALID|TRUNCATED)$/);
    }
  });

  test('when its payload is not the one that the header commits to', async () => {
    const forged = rewrite(sealed, { payloadCommitment: new Uint8Array(32) }, plain);
    expect(await codeOf(() => openCapsule(forged, fileKey))).toBe('CAPSULE_COMMITMENT_WRONG');
    expect(await codeOf(() => collect(openCapsuleStream(pieces(forged, 999), fileKey)))).toBe(
      'CAPSULE_COMMITMENT_WRONG',
    );
  });
});

test('a stream gives verified chunks only, and none after the first bad one', async () => {
  const plain = payload(3 * CHUNK);
  const { capsule, fileKey } = sealCapsule(DESCRIPTION, plain);
  const bad = capsule.slice();
  const at = bad.length - CHUNK - 5 * TAG - 100;
  bad[at] = (bad[at] ?? 0) ^ 1;
  const given: Uint8Array[] = [];
  const code = await codeOf(async () => {
    for await (const part of openCapsuleStream(pieces(bad, 4096), fileKey)) given.push(part);
  });
  expect(code).toBe('CAPSULE_CHUNK_INVALID');
  const whole = concatBytes(...given);
  expect((whole.length + SALT) % CHUNK).toBe(0);
  expect(whole).toEqual(plain.subarray(0, whole.length));
});

test('who stops reading a stream closes its source', async () => {
  const { capsule, fileKey } = sealCapsule(DESCRIPTION, payload(3 * CHUNK));
  let closed = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      yield* pieces(capsule, 10_000);
    } finally {
      closed = true;
    }
  }
  for await (const _ of openCapsuleStream(source(), fileKey)) break;
  expect(closed).toBe(true);
});

test('a source that changes while it is sealed never gives a whole capsule', async () => {
  const readings = [
    payload(CHUNK),
    payload(CHUNK).reverse(),
    payload(CHUNK + 1),
    payload(CHUNK - 1),
    payload(9 * CHUNK),
  ];
  for (const second of readings.slice(1)) {
    const given = [payload(CHUNK), second][Symbol.iterator]();
    const sealed = await sealCapsuleStream(DESCRIPTION, () => pieces(given.next().value ?? second, 1000));
    expect(await codeOf(() => collect(sealed.chunks))).toBe('CAPSULE_SOURCE_CHANGED');
  }
});

test('a description that no header can hold is refused', async () => {
  const wrong = [
    { ...DESCRIPTION, owner: new Uint8Array(19) },
    { ...DESCRIPTION, chunkBytes: 1024 },
    { ...DESCRIPTION, mediaType: 'a'.repeat(129) },
  ];
  for (const description of wrong) {
    expect(await codeOf(() => sealCapsule(description, payload(1)))).toBe('CAPSULE_HEADER_INVALID');
  }
});
