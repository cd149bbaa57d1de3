import { type CborValue, encodeCbor, sha256 } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  admissionRequestCodec,
  admissionResponseCodec,
  agreedStateCodec,
  answerCodec,
  applicationCodec,
  challengeCodec,
  decisionsRequestCodec,
  encodeEndpoint,
  ProtocolError,
  parseEndpoint,
  phaseNoticeCodec,
  phaseResultCodec,
  queryAnswerCodec,
  queryCodec,
  resultNoticeCodec,
  signedPhaseResultCodec,
  voteMessageCodec,
} from './protocol.ts';
import { testNode } from './testing.ts';

const digest = sha256();
const few = Uint8Array.of(1, 2, 3);
const { account, record } = testNode('one');
const signature = `0x${'ab'.repeat(65)}`;
const run = { taskId: digest, attempt: 1 };

interface AnyCodec {
  parse(bytes: Uint8Array): unknown;
  encode(value: unknown): Uint8Array;
}

/** A codec without its type: what is encoded here was parsed from an example of its own. */
function example<T>(
  name: string,
  codec: { parse(bytes: Uint8Array): T; encode(value: T): Uint8Array },
  value: T,
): [string, AnyCodec, unknown] {
  return [name, { parse: codec.parse, encode: (it) => codec.encode(it as T) }, value];
}

const examples = [
  example('vote', voteMessageCodec, { digest, signature }),
  example('challenge', challengeCodec, {
    epoch: 3,
    attestor: account,
    target: account,
    command: 'epoch',
    nonce: digest,
    proof: few,
    signature,
    task: null,
  }),
  example('answer', answerCodec, { evidence: few, stateDigest: digest, signature: new Uint8Array(64) }),
  example('phase notice', phaseNoticeCodec, { ...run, phase: 'after', runSalt: digest, certificate: few }),
  example('phase result', phaseResultCodec, {
    ...run,
    verifier: account,
    executor: account,
    phase: 'before',
    verdict: 'affirming',
    quoteDigest: digest,
    proof: few,
    startBlock: 7,
  }),
  example('signed phase result', signedPhaseResultCodec, { result: few, signature: new Uint8Array(64) }),
  example('application', applicationCodec, {
    record,
    ekChain: [few],
    ekPublic: few,
    akPublic: few,
    vrfPublic: few,
    certify: { attest: few, signature: few },
    consent: signature,
  }),
  example('application request', admissionRequestCodec, { kind: 'apply', application: few }),
  example('answer to a judge', admissionRequestCodec, {
    kind: 'answer',
    candidate: digest,
    secret: few,
    evidence: few,
  }),
  example('challenge of a judge', admissionResponseCodec, {
    kind: 'challenge',
    credentialBlob: few,
    encryptedSecret: few,
    nonce: digest,
  }),
  example('verdict of a judge', admissionResponseCodec, {
    kind: 'judged',
    verdict: 'contraindicated',
    reasons: ['EK_INVALID: no'],
    vote: null,
  }),
  example('result notice', resultNoticeCodec, {
    taskId: digest,
    receiver: digest,
    cid: 'bafy',
    source: '/ip4/127.0.0.1/tcp/1',
    capsuleDigest: digest,
    certificate: null,
  }),
  example('query', queryCodec, { fresh: digest }),
  example('query answer', queryAnswerCodec, { sequence: 7, result: few, signature: new Uint8Array(64) }),
  example('agreed state', agreedStateCodec, { epochClosed: 2, members: 4, rosterRoot: digest }),
  example('decisions request', decisionsRequestCodec, { from: 9 }),
];

describe.each(examples)('the %s', (_name, codec, value) => {
  const encoded = codec.encode(value);

  test('survives its encoding', () => {
    expect(codec.parse(encoded)).toEqual(value);
  });

  test('is refused with another key, without one of its own, and as what it is not', () => {
    for (const other of [
      { ...(value as object), more: 1 },
      Object.fromEntries(Object.entries(value as object).slice(1)),
      [value],
      null,
    ]) {
      expect(() => codec.parse(encodeCbor(other as CborValue))).toThrow(ProtocolError);
    }
  });

  test('gives a message or MESSAGE_MALFORMED for any bytes', () => {
    const mutated = fc.tuple(fc.nat(), fc.nat(255), fc.boolean()).map(([at, byte, cut]) => {
      const bytes = encoded.slice();
      bytes[at % bytes.length] = byte;
      return cut ? bytes.slice(0, at % bytes.length) : bytes;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), mutated), (bytes) => {
        try {
          codec.parse(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
          expect(error).toMatchObject({ code: 'MESSAGE_MALFORMED' });
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('an endpoint', () => {
  test('is two addresses', () => {
    const endpoint = { overlay: '/ip4/127.0.0.1/tcp/1', reception: '/ip4/127.0.0.1/tcp/2' };
    expect(parseEndpoint(encodeEndpoint(endpoint))).toEqual(endpoint);
  });

  test.each(['', 'one', 'one two three'])('is not %j', (text) => {
    expect(() => parseEndpoint(text)).toThrow(ProtocolError);
  });
});
