import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CapsuleError } from './errors.ts';
import { inspectCapsule, openCapsule, openCapsuleStream } from './open.ts';
import { rechunk } from './rechunk.ts';
import { sealCapsule, sealCapsuleStream } from './seal.ts';
import { codeOf, collect, DESCRIPTION, pieces } from './testing.ts';

const payload = fc.uint8Array({ maxLength: 300 });
const small = sealCapsule(
  DESCRIPTION,
  Uint8Array.from({ length: 100 }, (_, i) => i),
);

test('any payload opens again, sealed and opened either way', async () => {
  await fc.assert(
    fc.asyncProperty(payload, fc.integer({ min: 1, max: 200 }), async (plain, size) => {
      const whole = sealCapsule(DESCRIPTION, plain);
      expect(await collect(openCapsuleStream(pieces(whole.capsule, size), whole.fileKey))).toEqual(plain);
      const stream = await sealCapsuleStream(DESCRIPTION, () => pieces(plain, size));
      expect(openCapsule(await collect(stream.chunks), stream.fileKey)).toEqual(plain);
    }),
    { numRuns: 50 },
  );
});

test('every flipped byte is detected, wherever it is', async () => {
  for (let at = 0; at < small.capsule.length; at++) {
    const flipped = small.capsule.slice();
    flipped[at] = (flipped[at] ?? 0) ^ 0x40;
    expect(await codeOf(() => openCapsule(flipped, small.fileKey)), `byte ${at}`).toMatch(/^CAPSULE_/);
  }
});

test('every truncation is detected, whole and as a stream', async () => {
  for (let length = 0; length < small.capsule.length; length++) {
    const cut = small.capsule.slice(0, length);
    expect(await codeOf(() => openCapsule(cut, small.fileKey)), `${length} bytes`).toBe('CAPSULE_TRUNCATED');
    const streamed = (): Promise<Uint8Array> => collect(openCapsuleStream(pieces(cut, 50), small.fileKey));
    expect(await codeOf(streamed), `stream of ${length} bytes`).toBe('CAPSULE_TRUNCATED');
  }
});

test('bytes that are no capsule give nothing but the package’s own error', () => {
  const made = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ maxLength: 200 }).map((tail) => Uint8Array.of(...small.capsule.subarray(0, 16), ...tail)),
    fc.tuple(fc.nat(small.capsule.length - 1), fc.uint8Array({ maxLength: 40 })).map(([at, bytes]) => {
      const copy = small.capsule.slice();
      copy.set(bytes.subarray(0, copy.length - at), at);
      return copy;
    }),
  );
  fc.assert(
    fc.property(made, (bytes) => {
      for (const run of [() => inspectCapsule(bytes), () => openCapsule(bytes, small.fileKey)]) {
        try {
          run();
        } catch (error) {
          expect(error).toBeInstanceOf(CapsuleError);
        }
      }
    }),
    { numRuns: 1000 },
  );
});

test('rechunking keeps the bytes and gives full pieces, the last one excepted', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 20 })),
      fc.integer({ min: 1, max: 30 }),
      async (inputs, size) => {
        async function* source(): AsyncGenerator<Uint8Array> {
          yield* inputs;
        }
        const cut: Uint8Array[] = [];
        for await (const piece of rechunk(source(), size)) cut.push(piece);
        expect(cut.flatMap((piece) => [...piece])).toEqual(inputs.flatMap((input) => [...input]));
        expect(cut.slice(0, -1).every((piece) => piece.length === size)).toBe(true);
        expect(cut.every((piece) => piece.length > 0)).toBe(true);
      },
    ),
  );
});
