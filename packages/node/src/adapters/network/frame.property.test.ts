import { CodedError, concatBytes } from '@nemea/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TransportError } from '../../ports/transport.ts';
import {
  encodeFrame,
  FRAME_OVERHEAD_BYTES,
  type Frame,
  FrameCutter,
  joinFrames,
  parseFrame,
  toCode,
} from './frame.ts';

const body = fc.uint8Array({ maxLength: 500 });
const id = fc.integer({ min: 1, max: 0xffff_ffff });
const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({ kind: fc.constant('send' as const), body }),
  fc.record({ kind: fc.constant('request' as const), id, body }),
  fc.record({ kind: fc.constant('response' as const), id, body }),
  fc.record({ kind: fc.constant('error' as const), id, code: fc.stringMatching(/^[A-Z0-9_]{1,64}$/) }),
);

function framesOf(cutter: FrameCutter): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let frame = cutter.next(); frame !== undefined; frame = cutter.next()) frames.push(frame);
  return frames;
}

test('every frame comes back as it was sent, within the stated overhead', () => {
  fc.assert(
    fc.property(frame, (sent) => {
      const bytes = encodeFrame(sent);
      expect(parseFrame(bytes)).toEqual(sent);
      const bodyBytes = sent.kind === 'error' ? sent.code.length : sent.body.length;
      expect(bytes.length).toBe(bodyBytes + FRAME_OVERHEAD_BYTES);
    }),
  );
});

test('a body keeps at most as much memory besides as it has bytes, whatever carried it', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 5_000 }),
      fc.nat({ max: 5_000 }),
      fc.nat({ max: 5_000 }),
      (before, size, after) => {
        const sent: Frame = { kind: 'send', body: new Uint8Array(size).fill(7) };
        const packet = Buffer.from(
          concatBytes(new Uint8Array(before), encodeFrame(sent), new Uint8Array(after)),
        );
        const got = parseFrame(packet.subarray(before, packet.length - after));
        expect(got).toStrictEqual(sent);
        if (got.kind === 'send') expect(got.body.buffer.byteLength).toBeLessThanOrEqual(2 * size);
      },
    ),
  );
});

test('bytes that are no frame throw the transport error and nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        parseFrame(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(TransportError);
      }
    }),
  );
});

test('a frame with one byte changed, cut or added never parses as the same frame', () => {
  fc.assert(
    fc.property(frame, fc.nat(), fc.integer({ min: 1, max: 255 }), (sent, at, change) => {
      const bytes = encodeFrame(sent);
      const index = at % bytes.length;
      const changed = bytes.map((byte, position) => (position === index ? byte ^ change : byte));
      for (const other of [changed, bytes.slice(0, index), Uint8Array.of(...bytes, change)]) {
        try {
          expect(parseFrame(other)).not.toEqual(sent);
        } catch (error) {
          if (!(error instanceof CodedError)) throw error;
          expect(error.code).toBe('FRAME_INVALID');
        }
      }
    }),
  );
});

test('frames are the same however what carries them is cut into pieces', () => {
  fc.assert(
    fc.property(fc.array(frame), fc.array(fc.nat({ max: 2_000 })), (sent, cuts) => {
      const bytes = joinFrames(sent);
      const places = [...cuts.filter((cut) => cut < bytes.length), bytes.length].sort((a, b) => a - b);
      const cutter = new FrameCutter(FRAME_OVERHEAD_BYTES + 500);
      const got = places.flatMap((end, index) => {
        cutter.push(bytes.subarray(places[index - 1] ?? 0, end));
        return framesOf(cutter);
      });
      expect(got.map(parseFrame)).toEqual(sent);
      expect(cutter.bytes).toBe(0);
    }),
  );
});

test('what waits to be cut keeps at most as much memory besides as it has bytes, whatever carried it', () => {
  const sent: Frame = { kind: 'send', body: new Uint8Array(100).fill(7) };
  const packet = Buffer.concat([joinFrames([sent]), new Uint8Array(64 * 1024)]);
  const cutter = new FrameCutter(200);
  cutter.push(packet.subarray(0, joinFrames([sent]).length));
  const frame = cutter.next();
  expect(frame?.buffer.byteLength).toBeLessThan(2 * 100);
  expect(frame && parseFrame(frame)).toEqual(sent);
});

test('a frame that comes byte by byte is whole with its last byte', () => {
  const sent: Frame = { kind: 'send', body: new Uint8Array(100_000).fill(7) };
  const bytes = joinFrames([sent]);
  const cutter = new FrameCutter(200_000);
  for (let at = 0; at < bytes.length; at++) {
    expect(cutter.next()).toBeUndefined();
    cutter.push(bytes.subarray(at, at + 1));
  }
  expect(framesOf(cutter).map(parseFrame)).toEqual([sent]);
});

test('a frame that says it is larger than allowed is refused before it is there', () => {
  const cutter = new FrameCutter(20);
  cutter.push(Uint8Array.of(0, 0, 0));
  expect(cutter.next()).toBeUndefined();
  cutter.push(Uint8Array.of(21));
  expect(() => cutter.next()).toThrow('want at most 20');
});

test('only plain codes cross the wire', () => {
  expect(toCode('QUOTE_INVALID')).toBe('QUOTE_INVALID');
  for (const leak of ['Error: at /data/x.ts:3', '', 'lower', 'A'.repeat(65)])
    expect(toCode(leak)).toBe('UNEXPECTED');
});
