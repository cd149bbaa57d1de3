import { bytesEqual, type CborValue, decodeCbor, encodeCbor } from '@nemea/core';
import type { VerifySignature } from './authenticate.ts';
import { type Configuration, primaryOf } from './configuration.ts';
import { ConsensusError } from './errors.ts';
import {
  asBatch,
  type Batch,
  type Certificate,
  type CheckpointCertificate,
  certificateFromTuple,
  certificateToTuple,
  decisionDigest,
  encodePayload,
  type MemberSignature,
  signingBytes,
} from './message.ts';
import { isQuorum } from './quorum.ts';
import { asTuple } from './shape.ts';

/** What a quorum has decided at one sequence: the unit of execution and of catching up. */
export type Decision = {
  readonly sequence: number;
  readonly batch: Batch;
  readonly certificate: Certificate;
};

type Judge = {
  readonly configuration: Configuration;
  readonly networkId: Uint8Array;
  readonly verify: VerifySignature;
};

/** Checks that a quorum committed the digest at its sequence [CONS-10]. Throws `CERTIFICATE_*`. */
export function verifyCommitCertificate(judge: Judge, certificate: Certificate): void {
  const { view, sequence, digest } = certificate;
  const payload = encodePayload({ kind: 'commit', view, sequence, digest });
  verifySignatures(judge, certificate.signatures, () => payload);
}

/** Checks that a quorum prepared the digest: the primary by its pre-prepare, the others by a prepare [CONS-9]. */
export function verifyPreparedCertificate(judge: Judge, certificate: Certificate): void {
  const { view, sequence, digest } = certificate;
  const proposal = encodePayload({ kind: 'pre-prepare', view, sequence, digest });
  const vote = encodePayload({ kind: 'prepare', view, sequence, digest });
  const primary = primaryOf(judge.configuration, view);
  verifySignatures(judge, certificate.signatures, (sender) => (sender === primary ? proposal : vote));
}

export function verifyCheckpointCertificate(judge: Judge, certificate: CheckpointCertificate): void {
  const { sequence, digest } = certificate;
  const payload = encodePayload({ kind: 'checkpoint', sequence, digest });
  verifySignatures(judge, certificate.signatures, () => payload);
}

/**
 * Checks a decision against the configuration of its sequence and the digest of the decision before it, and returns
 * its own digest. Throws `DECISION_INVALID` or `CERTIFICATE_*`.
 */
export function verifyDecision(judge: Judge, parent: Uint8Array, decision: Decision): Uint8Array {
  const { sequence, batch, certificate } = decision;
  if (certificate.sequence !== sequence) {
    throw new ConsensusError(
      'DECISION_INVALID',
      `certificate of sequence ${certificate.sequence}, want ${sequence}`,
    );
  }
  const digest = decisionDigest(parent, batch);
  if (!bytesEqual(digest, certificate.digest)) {
    throw new ConsensusError('DECISION_INVALID', `batch of sequence ${sequence} does not match its digest`);
  }
  verifyCommitCertificate(judge, certificate);
  return digest;
}

export function encodeDecision(decision: Decision): Uint8Array {
  return encodeCbor(decisionToTuple(decision));
}

/** Throws `MESSAGE_INVALID`. The result is well formed, not verified. */
export function parseDecision(bytes: Uint8Array): Decision {
  try {
    return decisionFromTuple(decodeCbor(bytes));
  } catch (cause) {
    if (cause instanceof ConsensusError) throw cause;
    throw new ConsensusError('MESSAGE_INVALID', 'decision is not canonical dag-cbor', { cause });
  }
}

export function decisionToTuple({ batch, certificate }: Decision): CborValue {
  return [[...batch], certificateToTuple(certificate)];
}

export function decisionFromTuple(value: CborValue | undefined): Decision {
  const [batch, tuple] = asTuple(value, 2, 'decision');
  const certificate = certificateFromTuple(tuple);
  return { sequence: certificate.sequence, batch: asBatch(batch), certificate };
}

function verifySignatures(
  { configuration, networkId, verify }: Judge,
  signatures: readonly MemberSignature[],
  payloadOf: (sender: string) => Uint8Array,
): void {
  const senders = new Set<string>();
  for (const { sender } of signatures) {
    if (!configuration.byId.has(sender)) {
      throw new ConsensusError('CERTIFICATE_INVALID', `signer ${sender} is not a member`);
    }
    if (senders.has(sender))
      throw new ConsensusError('CERTIFICATE_INVALID', `signer ${sender} appears twice`);
    senders.add(sender);
  }
  if (!isQuorum(configuration, senders)) {
    throw new ConsensusError('CERTIFICATE_WEIGHT', 'the signers are no quorum', {
      data: { signers: [...senders], weightTotal: configuration.weightTotal },
    });
  }
  for (const { sender, signature } of signatures) {
    const publicKey = configuration.byId.get(sender)?.publicKey;
    const bytes = signingBytes(networkId, payloadOf(sender));
    if (publicKey === undefined || !verify(publicKey, bytes, signature)) {
      throw new ConsensusError('CERTIFICATE_INVALID', `signature of ${sender} does not verify`);
    }
  }
}
