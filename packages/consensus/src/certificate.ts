import { ByteWriter, bytesEqual } from '@nemea/core';
import type { VerifySignature } from './authenticate.ts';
import { type Configuration, primaryOf } from './configuration.ts';
import { ConsensusError } from './errors.ts';
import {
  type Batch,
  type Certificate,
  type CheckpointCertificate,
  encodePayload,
  type MemberSignature,
  parse,
  readBatch,
  readCertificate,
  signingBytes,
  writeBatch,
  writeCertificate,
} from './message.ts';
import { decisionDigest } from './operation.ts';
import { isQuorum } from './quorum.ts';

/** What a quorum has decided at one sequence: the unit of execution and of catching up. */
export type Decision = {
  readonly sequence: number;
  readonly batch: Batch;
  readonly certificate: Certificate;
};

/** Who judges: `configuration` is that of the sequence, told from others by its epoch. */
export type Judge = {
  readonly configuration: Configuration;
  readonly networkId: Uint8Array;
  readonly verify: VerifySignature;
};

/** Checks that a quorum committed the digest at its sequence [CONS-10]. Throws `CERTIFICATE_*`. */
export function verifyCommitCertificate(judge: Judge, certificate: Certificate): void {
  assertEpoch(judge, certificate);
  const { epoch, view, sequence, digest } = certificate;
  const payload = encodePayload({ kind: 'commit', epoch, view, sequence, digest });
  verifySignatures(judge, certificate.signatures, () => payload);
}

/** Checks that a quorum prepared the digest: the primary by its pre-prepare, the others by a prepare [CONS-9]. */
export function verifyPreparedCertificate(judge: Judge, certificate: Certificate): void {
  assertEpoch(judge, certificate);
  const { epoch, view, sequence, digest } = certificate;
  const proposal = encodePayload({ kind: 'pre-prepare', epoch, view, sequence, digest });
  const vote = encodePayload({ kind: 'prepare', epoch, view, sequence, digest });
  const primary = primaryOf(judge.configuration, view);
  verifySignatures(judge, certificate.signatures, (sender) => (sender === primary ? proposal : vote));
}

/** Checks that a quorum signed what it had executed [CONS-20]. Throws `CERTIFICATE_*`. */
export function verifyCheckpointCertificate(judge: Judge, certificate: CheckpointCertificate): void {
  assertEpoch(judge, certificate);
  const { epoch, sequence, digest } = certificate;
  const payload = encodePayload({ kind: 'checkpoint', epoch, sequence, digest });
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

export function encodeDecision({ batch, certificate }: Decision): Uint8Array {
  return writeCertificate(writeBatch(new ByteWriter(), batch), certificate).toBytes();
}

/** Throws `MESSAGE_INVALID`. The result is well formed, not verified. */
export function parseDecision(bytes: Uint8Array): Decision {
  return parse(bytes, 'decision', (reader) => {
    const batch = readBatch(reader);
    const certificate = readCertificate(reader);
    return { sequence: certificate.sequence, batch, certificate };
  });
}

/** Whether a check passes that throws a `ConsensusError` otherwise. */
export function holds(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (error instanceof ConsensusError) return false;
    throw error;
  }
}

/** A vote names its epoch, so signatures of one configuration never count under another [CONS-26]. */
function assertEpoch({ configuration }: Judge, { epoch, sequence }: CheckpointCertificate): void {
  if (epoch !== configuration.epoch || sequence < epoch) {
    throw new ConsensusError(
      'CERTIFICATE_INVALID',
      `certificate of epoch ${epoch}, want ${configuration.epoch}`,
    );
  }
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
