import { generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { mintVerified, toHex } from '@nemea/core';
import { describe, expect, it } from 'vitest';
import { answerDigest, CHALLENGE_COMMANDS, challengeBinding } from './challenge.ts';
import type { DisputeOnLedger, LedgerView } from './ledger-view.ts';
import { applyOperation, initialState, type VerifySignature } from './machine.ts';
import type { Attestation, NodeRecord, OperationBody } from './operation.ts';
import { candidateId } from './roster.ts';

/** What one dishonest member or stranger tries so that others look guilty, or look like somebody else. */

const NETWORK_ID = new Uint8Array(32).fill(9);
const bytes = (fill: number, length = 32) => new Uint8Array(length).fill(fill);
const account = (n: number) => `0x${toHex(bytes(n, 20))}`;

const keys = [1, 2, 3].map(() => generateKeyPairSync('ed25519'));
const peerKeys = keys.map(
  ({ publicKey }) => new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)),
);
const verifySignature: VerifySignature = (publicKey, message, signature) => {
  const index = peerKeys.findIndex((known) => toHex(known) === toHex(publicKey));
  return verify(null, message, keys[index]?.publicKey as KeyObject, signature);
};

function record(n: number): NodeRecord {
  return {
    account: account(n),
    peerKey: peerKeys[n - 1] ?? bytes(n),
    ekId: bytes(n),
    akX: bytes(n),
    akY: bytes(n),
    vrfX: bytes(n),
    vrfY: bytes(n),
    level: 1,
    endpoint: '/ip4/127.0.0.1/tcp/1 /ip4/127.0.0.1/tcp/2',
  };
}

function ledgerWith(dispute?: DisputeOnLedger): LedgerView {
  return {
    head: 100,
    blockHash: () => bytes(7),
    blockTimestampS: (block) => block,
    epochOf: (block) => Math.floor(block / 10),
    epochSeed: (epoch) => bytes(epoch),
    epochBoundary: (epoch) => epoch * 10,
    task: () => undefined,
    dispute: () => dispute,
    approvedReleases: () => new Set(),
    approvedImages: () => new Set(),
    approvedCodes: () => new Set(),
    policyVersion: () => 1,
    genesisRecords: () => [record(1), record(2), record(3)],
  };
}

function apply(body: OperationBody, ledger = ledgerWith()) {
  const operation = mintVerified({ author: account(1), anchor: { block: 30, hash: bytes(7) }, body });
  return applyOperation(initialState(NETWORK_ID, ledger), operation, ledger, verifySignature);
}

describe('a candidacy', () => {
  it.each([
    ['akX', { akX: bytes(77) }],
    ['vrfX', { vrfX: bytes(77) }],
    ['level', { level: 3 }],
    ['endpoint', { endpoint: 'elsewhere' }],
  ])(
    'is another one when its %s is exchanged, so judges never vouch for a forged record',
    (_field, forged) => {
      const digest = bytes(5);
      const honest = candidateId(record(4), digest);
      expect(toHex(candidateId({ ...record(4), ...forged }, digest))).not.toBe(toHex(honest));
    },
  );
});

describe('a dispute', () => {
  const dispute = (command: number): DisputeOnLedger => ({
    disputeId: bytes(1),
    reporter: account(1),
    accused: account(2),
    epoch: 2,
    command,
    proof: bytes(3, 80),
  });

  it('condemns who signed an epoch request with a false proof', () => {
    const { effects } = apply(
      { kind: 'judge-dispute', disputeId: bytes(1) },
      ledgerWith(dispute(CHALLENGE_COMMANDS.epoch)),
    );
    expect(effects).toContainEqual({
      type: 'vote',
      vote: { type: 'DisputeVerdict', disputeId: bytes(1), guilty: true },
    });
  });

  it('never condemns a verifier whose request in a task carries the proof of that task', () => {
    const { effects, state } = apply(
      { kind: 'judge-dispute', disputeId: bytes(1) },
      ledgerWith(dispute(CHALLENGE_COMMANDS.before)),
    );
    expect(effects).toEqual([
      { type: 'vote', vote: { type: 'DisputeVerdict', disputeId: bytes(1), guilty: false } },
    ]);
    expect(state.roster.get(account(2))?.credit).toBeGreaterThan(0);
  });
});

describe('a result of attestation', () => {
  function attestation(epoch: number, signer: number): Attestation {
    const target = account(2);
    const binding = challengeBinding({ epoch, attestor: account(1), target, command: 'epoch' });
    const nonce = bytes(1);
    const evidenceDigest = bytes(2);
    const digest = answerDigest({ binding, nonce, evidenceDigest });
    const { privateKey } = keys[signer - 1] as { privateKey: KeyObject };
    return {
      target,
      verdict: 'contraindicated',
      quoteDigest: bytes(3),
      proof: bytes(4, 80),
      nonce,
      evidenceDigest,
      answerSignature: new Uint8Array(sign(null, digest, privateKey)),
    };
  }

  it('counts when the target signed the answer', () => {
    const { state } = apply({ kind: 'attest', epoch: 3, attestations: [attestation(3, 2)] });
    expect(state.attestations.get(3)?.get(account(1))).toHaveLength(1);
  });

  it.each([
    ['made up by the attestor', attestation(3, 1)],
    ['taken from another epoch', attestation(2, 2)],
  ])('has no effect when it was %s', (_how, forged) => {
    const { state, effects } = apply({ kind: 'attest', epoch: 3, attestations: [forged] });
    expect(state.attestations.size).toBe(0);
    expect(effects).toEqual([
      { type: 'rejected', author: account(1), kind: 'attest', code: 'SIGNATURE_INVALID' },
    ]);
  });
});
