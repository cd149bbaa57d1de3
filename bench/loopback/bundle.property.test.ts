import { createEd25519Signer, createEd25519Verifier } from '@nemea/consensus/ed25519';
import { CodedError, sha256 } from '@nemea/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { authenticateBundle, encodeReply, parseBundle, parseReply, signBundle } from './bundle.ts';

const networkId = new Uint8Array(32);
const { publicKey, sign } = createEd25519Signer(sha256(new Uint8Array(1)));
const verify = createEd25519Verifier();
const u32 = fc.nat({ max: 0xffff_ffff });
const bundle = fc.record({
  client: fc.constant(publicKey),
  number: u32,
  puts: fc.array(fc.record({ key: fc.string({ maxLength: 16 }), value: fc.uint8Array({ maxLength: 300 }) }), {
    minLength: 1,
    maxLength: 8,
  }),
});

test('a bundle comes back as it was signed', () => {
  fc.assert(
    fc.property(bundle, (made) => {
      const bytes = signBundle(networkId, made, sign);
      expect(parseBundle(bytes)).toEqual(made);
      expect(authenticateBundle(networkId, bytes, verify)).toEqual(made);
    }),
  );
});

test('a bundle with a byte changed, cut or added is not authentic, and fails by a code', () => {
  fc.assert(
    fc.property(bundle, fc.nat(), fc.integer({ min: 1, max: 255 }), (made, at, change) => {
      const bytes = signBundle(networkId, made, sign);
      const index = at % bytes.length;
      const changed = bytes.map((byte, position) => (position === index ? byte ^ change : byte));
      for (const other of [changed, bytes.slice(0, index), Uint8Array.of(...bytes, change)])
        expect(() => authenticateBundle(networkId, other, verify)).toThrow(CodedError);
    }),
  );
});

test('a reply comes back as it was sent', () => {
  fc.assert(
    fc.property(fc.record({ number: u32, revision: u32, view: u32 }), (reply) => {
      expect(parseReply(encodeReply(reply))).toEqual(reply);
    }),
  );
});
