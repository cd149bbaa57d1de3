import { fromHex, fromUtf8, hashDomain } from '@nemea/core';
import type { Phase } from './operation.ts';

/** What an attestor may ask. The number travels in the signed request and in the quote's binding. */
export const CHALLENGE_COMMANDS = { epoch: 1, before: 2, during: 3, after: 4 } as const;
export type ChallengeCommand = keyof typeof CHALLENGE_COMMANDS;

const NO_CONTEXT = new Uint8Array(32);

/**
 * What a quote that answers a challenge is bound to: the epoch, both parties, the command, and for a task phase the
 * state that the executor claims. Evidence made for one challenge fits no other [ATT-11].
 */
export function challengeBinding(challenge: {
  epoch: number;
  attestor: string;
  target: string;
  command: ChallengeCommand;
  context?: Uint8Array;
}): Uint8Array {
  return hashDomain(
    'nemea/challenge/1',
    u64(challenge.epoch),
    fromHex(challenge.attestor),
    fromHex(challenge.target),
    Uint8Array.of(CHALLENGE_COMMANDS[challenge.command]),
    challenge.context ?? NO_CONTEXT,
  );
}

/** Context of a task phase: the run and the digest of the machine's state at that moment. */
export function phaseContext(phase: {
  taskId: Uint8Array;
  attempt: number;
  stateDigest: Uint8Array;
}): Uint8Array {
  return hashDomain('nemea/phase/1', phase.taskId, Uint8Array.of(phase.attempt), phase.stateDigest);
}

/** What the executor's own quotes in a certificate are bound to. */
export function certificateBinding(
  taskId: Uint8Array,
  attempt: number,
  phase: Phase,
  stateDigest: Uint8Array,
): Uint8Array {
  return hashDomain(
    'nemea/certificate-quote/1',
    fromUtf8(phase),
    phaseContext({ taskId, attempt, stateDigest }),
  );
}

/**
 * What a target signs with its peer key when it answers: the challenge's binding and nonce, and the evidence to the
 * last byte, so that an attestor cannot change any of it into an accusation [ATT-12].
 */
export function answerDigest(answer: {
  binding: Uint8Array;
  nonce: Uint8Array;
  evidenceDigest: Uint8Array;
}): Uint8Array {
  return hashDomain('nemea/answer/1', answer.binding, answer.nonce, answer.evidenceDigest);
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}
