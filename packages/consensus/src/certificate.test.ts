import { errorCode, fromUtf8 } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import {
  type Decision,
  verifyCheckpointCertificate,
  verifyCommitCertificate,
  verifyDecision,
  verifyPreparedCertificate,
} from './certificate.ts';
import { createConfiguration, primaryOf } from './configuration.ts';
import { createEd25519Signer, createEd25519Verifier } from './ed25519.ts';
import { type Certificate, type Content, encodePayload, signingBytes } from './message.ts';
import { decisionDigest } from './operation.ts';

const networkId = new Uint8Array(32).fill(1);
const signers = ['a', 'b', 'c', 'd'].map((id, index) => ({
  id,
  ...createEd25519Signer(new Uint8Array(32).fill(index + 1)),
}));
const configuration = createConfiguration(signers.map(({ id, publicKey }) => ({ id, publicKey, weight: 1 })));
const judge = { configuration, networkId, verify: createEd25519Verifier() };
const batch = [fromUtf8('one'), fromUtf8('two')];
const parent = new Uint8Array(32);
const digest = decisionDigest(parent, batch);

function certify(ids: string, contentOf: (id: string) => Content): Certificate {
  const signatures = [...ids].map((id) => {
    const signer = signers.find((candidate) => candidate.id === id) ?? expect.fail(id);
    return { sender: id, signature: signer.sign(signingBytes(networkId, encodePayload(contentOf(id)))) };
  });
  return { epoch: 1, view: 2, sequence: 1, digest, signatures };
}

const commit = (): Content => ({ kind: 'commit', epoch: 1, view: 2, sequence: 1, digest });
const certificate = certify('abc', commit);

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'ACCEPTED';
  } catch (error) {
    return errorCode(error);
  }
}

describe('a commit certificate', () => {
  test('of a quorum is accepted by a stranger [CONS-10]', () => {
    expect(codeOf(() => verifyCommitCertificate(judge, certificate))).toBe('ACCEPTED');
  });

  test('of less than a quorum is refused', () => {
    expect(codeOf(() => verifyCommitCertificate(judge, certify('ab', commit)))).toBe('CERTIFICATE_WEIGHT');
    expect(codeOf(() => verifyCommitCertificate(judge, certify('', commit)))).toBe('CERTIFICATE_WEIGHT');
  });

  test('with a signer twice or a stranger among them is refused', () => {
    expect(codeOf(() => verifyCommitCertificate(judge, certify('aab', commit)))).toBe('CERTIFICATE_INVALID');
    const [first, ...rest] = certificate.signatures;
    const signatures = [{ ...(first ?? expect.fail()), sender: 'x' }, ...rest];
    expect(codeOf(() => verifyCommitCertificate(judge, { ...certificate, signatures }))).toBe(
      'CERTIFICATE_INVALID',
    );
  });

  test.each([
    ['epoch', { epoch: 2 }],
    ['view', { view: 3 }],
    ['sequence', { sequence: 2 }],
    ['digest', { digest: new Uint8Array(32) }],
  ])('with another %s is refused', (_field, change) => {
    const code = codeOf(() => verifyCommitCertificate(judge, { ...certificate, ...change }));
    expect(code).toBe('CERTIFICATE_INVALID');
  });

  test('of another network is refused [CONS-5]', () => {
    const elsewhere = { ...judge, networkId: new Uint8Array(32).fill(2) };
    expect(codeOf(() => verifyCommitCertificate(elsewhere, certificate))).toBe('CERTIFICATE_INVALID');
  });

  test('made of votes to prepare is refused', () => {
    const prepares = certify('abc', () => ({ kind: 'prepare', epoch: 1, view: 2, sequence: 1, digest }));
    expect(codeOf(() => verifyCommitCertificate(judge, prepares))).toBe('CERTIFICATE_INVALID');
  });
});

describe('a prepared certificate', () => {
  test('holds the pre-prepare of its primary and the prepares of others [CONS-9]', () => {
    const primary = primaryOf(configuration, 2);
    const voteOf = (id: string): Content => ({
      kind: id === primary ? 'pre-prepare' : 'prepare',
      epoch: 1,
      view: 2,
      sequence: 1,
      digest,
    });
    expect(codeOf(() => verifyPreparedCertificate(judge, certify('abcd', voteOf)))).toBe('ACCEPTED');
    const allPrepare = certify('abcd', () => ({ kind: 'prepare', epoch: 1, view: 2, sequence: 1, digest }));
    expect(codeOf(() => verifyPreparedCertificate(judge, allPrepare))).toBe('CERTIFICATE_INVALID');
  });
});

describe('a decision', () => {
  const decision: Decision = { sequence: 1, batch, certificate };

  test('is accepted after its parent only [CONS-4]', () => {
    expect(verifyDecision(judge, parent, decision)).toEqual(digest);
    expect(codeOf(() => verifyDecision(judge, new Uint8Array(32).fill(1), decision))).toBe(
      'DECISION_INVALID',
    );
  });

  test('with operations changed, removed or reordered is refused', () => {
    const others = [[fromUtf8('one')], [fromUtf8('two'), fromUtf8('one')], [fromUtf8('onetwo')], []];
    for (const other of others) {
      expect(codeOf(() => verifyDecision(judge, parent, { ...decision, batch: other }))).toBe(
        'DECISION_INVALID',
      );
    }
  });

  test('with the certificate of another sequence is refused', () => {
    expect(codeOf(() => verifyDecision(judge, parent, { ...decision, sequence: 2 }))).toBe(
      'DECISION_INVALID',
    );
  });
});

test('a checkpoint certificate is judged like a commit certificate', () => {
  const { signatures } = certify('abd', () => ({ kind: 'checkpoint', epoch: 1, sequence: 16, digest }));
  expect(
    codeOf(() => verifyCheckpointCertificate(judge, { epoch: 1, sequence: 16, digest, signatures })),
  ).toBe('ACCEPTED');
  expect(
    codeOf(() => verifyCheckpointCertificate(judge, { epoch: 1, sequence: 32, digest, signatures })),
  ).toBe('CERTIFICATE_INVALID');
});
