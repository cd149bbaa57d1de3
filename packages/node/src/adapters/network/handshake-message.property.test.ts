import { EVIDENCE_BYTES_MAX } from '@nemea/attestation';
import { encodeCbor } from '@nemea/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TransportError } from '../../ports/transport.ts';
import { encodeHandshakeMessage, type HandshakeMessage, parseHandshakeMessage } from './handshake-message.ts';

const message: fc.Arbitrary<HandshakeMessage> = fc.oneof(
  fc.record({
    type: fc.constant('hello' as const),
    challenge: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  }),
  fc.record({ type: fc.constant('evidence' as const), evidence: fc.uint8Array({ maxLength: 2000 }) }),
  fc.record({ type: fc.constant('accept' as const) }),
  fc.record({ type: fc.constant('refuse' as const), code: fc.stringMatching(/^[A-Z0-9_]{1,64}$/) }),
);

test('every handshake message comes back as it was sent', () => {
  fc.assert(
    fc.property(message, (sent) => {
      expect(parseHandshakeMessage(encodeHandshakeMessage(sent))).toEqual(sent);
    }),
  );
});

test('bytes that are no handshake message throw the transport error and nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        parseHandshakeMessage(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(TransportError);
      }
    }),
  );
});

test.each([
  ['a short challenge', { type: 'hello', challenge: new Uint8Array(31) }],
  ['evidence beyond the limit', { type: 'evidence', evidence: new Uint8Array(EVIDENCE_BYTES_MAX + 1) }],
  ['a refusal that is prose', { type: 'refuse', code: 'because I say so' }],
  ['a field too many', { type: 'accept', really: true }],
  ['an unknown type', { type: 'maybe' }],
  ['no type', {}],
])('a malformed message is refused: %s', (_what, value) => {
  expect(() => parseHandshakeMessage(encodeCbor(value))).toThrow('handshake message refused');
});
