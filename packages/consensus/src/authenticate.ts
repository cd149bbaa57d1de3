import { bytesEqual, mintVerified, type Verified } from '@nemea/core';
import { ConsensusError } from './errors.ts';
import {
  type Batch,
  type Content,
  encodePayload,
  evidenceDigest,
  NO_EVIDENCE,
  parseNewViewEvidence,
  parsePayload,
  peekVote,
  type SignedMessage,
  type Statement,
  signingBytes,
} from './message.ts';
import { hasQuorum } from './quorum.ts';
import type { ReplicaState } from './state.ts';

export type VerifySignature = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;
export type Sign = (message: Uint8Array) => Uint8Array;

/**
 * Checks the signature of a message and of every message it quotes, and only then lets the machine see it. Whether
 * the sender may say what it says is the machine's business: `publicKeyOf` may know more senders than the current
 * members, so that a replica that lags behind learns of it from a member it does not know yet.
 * Throws `SENDER_UNKNOWN`, `SIGNATURE_INVALID` or `MESSAGE_INVALID`.
 */
export function authenticate(input: {
  networkId: Uint8Array;
  message: SignedMessage;
  publicKeyOf: (sender: string) => Uint8Array | undefined;
  verify: VerifySignature;
}): Verified<Statement> {
  const { networkId, message, publicKeyOf, verify } = input;
  assertSignature(input, message);
  const content = parsePayload(message.payload);
  if (content.kind === 'new-view') {
    // The signature covers the digest of what is quoted, not the quotations.
    if (!bytesEqual(evidenceDigest(message.evidence), content.evidence)) {
      throw new ConsensusError('SIGNATURE_INVALID', 'new view: the evidence is not what was signed');
    }
    for (const quoted of parseNewViewEvidence(message.evidence).viewChanges) {
      assertSignature({ networkId, publicKeyOf, verify }, quoted.message);
    }
  }
  return mintVerified({ message, sender: message.sender, content });
}

/** Signs what the machine wants to say; one's own signature needs no check. */
export function signStatement(input: {
  networkId: Uint8Array;
  sender: string;
  content: Content;
  batch: Batch;
  evidence?: Uint8Array;
  sign: Sign;
}): Verified<Statement> {
  const { networkId, sender, content, batch, sign, evidence = NO_EVIDENCE } = input;
  const payload = encodePayload(content);
  const signature = sign(signingBytes(networkId, payload));
  return mintVerified({ message: { payload, sender, signature, batch, evidence }, sender, content });
}

function assertSignature(
  input: {
    networkId: Uint8Array;
    publicKeyOf: (sender: string) => Uint8Array | undefined;
    verify: VerifySignature;
  },
  { payload, sender, signature }: SignedMessage,
): void {
  const publicKey = input.publicKeyOf(sender);
  if (publicKey === undefined) throw new ConsensusError('SENDER_UNKNOWN', `sender ${sender} is not known`);
  if (!input.verify(publicKey, signingBytes(input.networkId, payload), signature)) {
    throw new ConsensusError('SIGNATURE_INVALID', `signature of ${sender} does not verify`);
  }
}

/**
 * Whether a message would change nothing, whoever has signed it: a vote on what is decided, or one that agrees with a
 * quorum that is there already. Looking first saves a third of all signature checks. What disagrees is never
 * redundant: it may prove equivocation [CONS-21].
 */
export function isRedundant(state: ReplicaState, { payload }: SignedMessage): boolean {
  const peeked = peekVote(payload);
  if (peeked === null) return isStable(state, payload);
  if (peeked.epoch !== state.configuration.epoch) return false;
  if (peeked.sequence <= state.committed) return true;
  const ballot = state.ballots.get(peeked.sequence)?.get(peeked.view);
  if (ballot === undefined || peeked.kind === 'pre-prepare') return false;
  const isPrepare = peeked.kind === 'prepare';
  const digest = isPrepare ? ballot.proposal?.digest : ballot.commitDigest;
  if (digest === null || digest === undefined) return false;
  const weight = isPrepare ? ballot.prepareWeight : ballot.commitWeight;
  return hasQuorum(state.configuration, weight) && endsWith(payload, digest);
}

/** A checkpoint that says what the last stable one does. */
function isStable({ stable }: ReplicaState, payload: Uint8Array): boolean {
  return stable !== null && isSameBytes(stable.payload, payload);
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && endsWith(a, b);
}

function endsWith(bytes: Uint8Array, tail: Uint8Array): boolean {
  const start = bytes.length - tail.length;
  for (let i = 0; i < tail.length; i++) if (bytes[start + i] !== tail[i]) return false;
  return true;
}
