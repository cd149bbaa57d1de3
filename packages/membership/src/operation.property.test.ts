import { EVIDENCE_BYTES_MAX } from '@nemea/attestation';
import { OPERATION_BYTES_MAX } from '@nemea/consensus';
import { encodeCbor, sha256, toHex } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MembershipError } from './errors.ts';
import {
  authenticateOperation,
  encodeOperation,
  encodeSignedOperation,
  type NodeRecord,
  type Operation,
  type OperationBody,
  operationDigest,
  parseSignedOperation,
} from './operation.ts';
import { NETWORK_ID, testMember, verifySignature } from './testing.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const count = fc.maxSafeNat();
const proof = fc.uint8Array({ minLength: 1, maxLength: 200 });
const account = bytes(20).map((it) => `0x${toHex(it)}`);
const verdict = fc.constantFrom('affirming' as const, 'warning' as const, 'contraindicated' as const);
const phase = fc.constantFrom('before' as const, 'during' as const, 'after' as const);
const draw = fc.record({ beta: bytes(32), proof });
const run = { taskId: bytes(32), attempt: count };

const record: fc.Arbitrary<NodeRecord> = fc.record({
  account,
  peerKey: bytes(32),
  ekId: bytes(32),
  akX: bytes(32),
  akY: bytes(32),
  vrfX: bytes(32),
  vrfY: bytes(32),
  owner: account,
  level: fc.integer({ min: 1, max: 3 }),
  endpoint: fc.string({ minLength: 1, maxLength: 100 }),
});
const attestation = fc.record({
  target: account,
  verdict,
  quoteDigest: bytes(32),
  nonce: bytes(32),
  evidenceDigest: bytes(32),
  answerSignature: bytes(64),
});

const signedPayload = fc.record({
  payload: fc.uint8Array({ minLength: 1, maxLength: 256 }),
  signature: bytes(64),
});

const kind = <K extends OperationBody['kind']>(name: K) => fc.constant(name);
const bodies: { [K in OperationBody['kind']]: fc.Arbitrary<Extract<OperationBody, { kind: K }>> } = {
  apply: fc.record({ kind: kind('apply'), record, applicationDigest: bytes(32) }),
  sit: fc.record({ kind: kind('sit'), candidate: bytes(32), epoch: count, proof }),
  judge: fc.record({
    kind: kind('judge'),
    candidate: bytes(32),
    epoch: count,
    proof,
    verdict,
    resultDigest: bytes(32),
  }),
  'close-candidacy': fc.record({ kind: kind('close-candidacy'), candidate: bytes(32) }),
  attest: fc.record({
    kind: kind('attest'),
    epoch: count,
    proof,
    attestations: fc.array(attestation, { maxLength: 3 }),
  }),
  accuse: fc.record({
    kind: kind('accuse'),
    epoch: count,
    target: account,
    proof,
    nonce: bytes(32),
    evidence: fc.uint8Array({ maxLength: 300 }),
    answerSignature: bytes(64),
  }),
  'close-epoch': fc.record({ kind: kind('close-epoch'), epoch: count }),
  bid: fc.record({ kind: kind('bid'), ...run, execute: fc.option(draw), verify: draw }),
  'close-bids': fc.record({ kind: kind('close-bids'), ...run }),
  complete: fc.record({ kind: kind('complete'), ...run, certificate: fc.uint8Array({ maxLength: 300 }) }),
  verify: fc.record({
    kind: kind('verify'),
    ...run,
    certificateDigest: bytes(32),
    phases: fc.array(fc.record({ phase, verdict, quoteDigest: bytes(32) }), { maxLength: 3 }),
  }),
  abandon: fc.record({ kind: kind('abandon'), ...run, reason: fc.integer({ min: 1, max: 255 }) }),
  expire: fc.record({ kind: kind('expire'), ...run }),
  'judge-dispute': fc.record({ kind: kind('judge-dispute'), disputeId: bytes(32) }),
  'prove-equivocation': fc.record({
    kind: kind('prove-equivocation'),
    culprit: account,
    first: signedPayload,
    second: signedPayload,
  }),
  enrol: fc.record({ kind: kind('enrol') }),
  rejoin: fc.record({ kind: kind('rejoin'), nonce: bytes(32) }),
};
const operation: fc.Arbitrary<Operation> = fc.record({
  author: account,
  anchor: fc.record({ block: count, hash: bytes(32) }),
  body: fc.oneof(...Object.values(bodies)) as fc.Arbitrary<OperationBody>,
});

const author = testMember('author');
const signed = (it: Operation) => {
  const encoded = encodeOperation(it);
  return encodeSignedOperation(encoded, author.sign(operationDigest(NETWORK_ID, encoded)));
};

test('any operation survives its encoding [MEMB-1]', () => {
  fc.assert(
    fc.property(operation, (it) => {
      expect(parseSignedOperation(signed(it)).operation).toEqual(it);
    }),
  );
});

test('any bytes at all give an operation or OPERATION_MALFORMED', () => {
  const mutated = fc.tuple(operation, fc.nat(), fc.nat(255), fc.boolean()).map(([it, at, byte, cut]) => {
    const encoded = signed(it).slice();
    encoded[at % encoded.length] = byte;
    return cut ? encoded.slice(0, at % encoded.length) : encoded;
  });
  const wrapped = fc
    .tuple(fc.uint8Array({ maxLength: 100 }), bytes(64))
    .map(([inner, signature]) => encodeCbor({ operation: inner, signature }));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated, wrapped), (given) => {
      try {
        parseSignedOperation(given);
      } catch (error) {
        expect(error).toBeInstanceOf(MembershipError);
        expect(error).toMatchObject({ code: 'OPERATION_MALFORMED' });
      }
    }),
    { numRuns: 1_000 },
  );
});

test('an accusation with the largest evidence that a peer may send is one that consensus takes', () => {
  const [honest] = fc.sample(operation, { numRuns: 1, seed: 1 }) as [Operation];
  const body: OperationBody = {
    kind: 'accuse',
    epoch: Number.MAX_SAFE_INTEGER,
    target: honest.author,
    proof: new Uint8Array(200),
    nonce: sha256(),
    evidence: new Uint8Array(EVIDENCE_BYTES_MAX),
    answerSignature: new Uint8Array(64),
  };
  const sent = encodeSignedOperation(encodeOperation({ ...honest, body }), new Uint8Array(64));
  expect(sent.length).toBeLessThanOrEqual(OPERATION_BYTES_MAX);
  expect(parseSignedOperation(sent).operation.body).toEqual(body);
});

describe('an operation is refused', () => {
  const [honest] = fc.sample(operation, { numRuns: 1, seed: 1 }) as [Operation];

  test.each([
    ['author: Invalid string', { author: honest.author.toUpperCase() }],
    ['anchor.hash: want 32 bytes', { anchor: { block: 1, hash: sha256().slice(1) } }],
    ['anchor.block: want an integer', { anchor: { block: -1, hash: sha256() } }],
    ['body.kind', { body: { kind: 'rule' } }],
    ['body.epoch: want an integer', { body: { kind: 'close-epoch', epoch: 1.5 } }],
    ['body.reason: Too big', { body: { kind: 'abandon', taskId: sha256(), attempt: 1, reason: 256 } }],
    ['body: Unrecognized key', { body: { kind: 'close-epoch', epoch: 1, more: 1 } }],
    [
      'body.second.payload: want 1 to 256 bytes',
      {
        body: {
          kind: 'prove-equivocation',
          culprit: honest.author,
          first: { payload: new Uint8Array(256), signature: new Uint8Array(64) },
          second: { payload: new Uint8Array(257), signature: new Uint8Array(64) },
        },
      },
    ],
    [
      'body.certificate: want 0 to 16384 bytes',
      { body: { kind: 'complete', taskId: sha256(), attempt: 1, certificate: new Uint8Array(16_385) } },
    ],
  ])('by the field: %s', (message, change) => {
    expect(() => encodeOperation({ ...honest, ...change } as Operation)).toThrow(message);
  });

  test('when one bit of it, of its signature, its author’s key or its network is another', () => {
    fc.assert(
      fc.property(operation, fc.nat(), (it, at) => {
        const parsed = parseSignedOperation(signed(it));
        const check = (change: object, network = NETWORK_ID, key = author.record.peerKey) =>
          authenticateOperation(network, { ...parsed, ...change }, key, verifySignature);
        expect(check({})).toEqual(it);
        const flip = (of: Uint8Array) => of.map((byte, i) => (i === at % of.length ? byte ^ 1 : byte));
        for (const refused of [
          () => check({ signedBytes: flip(parsed.signedBytes) }),
          () => check({ signature: flip(parsed.signature) }),
          () => check({}, sha256()),
          () => check({}, NETWORK_ID, testMember('other').record.peerKey),
        ]) {
          expect(refused).toThrow(`signature is not by ${it.author}`);
        }
      }),
      { numRuns: 50 },
    );
  });
});
