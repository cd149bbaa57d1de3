import { ByteWriter, hashDomain, toHex } from '@nemea/core';
import type { Judge } from './certificate.ts';
import { ConsensusError } from './errors.ts';
import { type MemberSignature, writeCount } from './message.ts';
import { isQuorum } from './quorum.ts';

/** What a member says that a query gives, by its digest, after so many executed sequences. */
export type Answer = MemberSignature & {
  readonly sequence: number;
  readonly result: Uint8Array;
};

/**
 * The bytes that a member of an epoch signs to answer a query; `query` is the digest of what was asked, with a fresh number
 * in it. It signs only when it has executed all that came before the epoch.
 */
export function answerBytes(
  networkId: Uint8Array,
  query: Uint8Array,
  { epoch, sequence, result }: Pick<Answer, 'sequence' | 'result'> & { readonly epoch: number },
): Uint8Array {
  const place = writeCount(writeCount(new ByteWriter(16), epoch), sequence).toBytes();
  return hashDomain('nemea/consensus/answer/2', networkId, query, place, result);
}

/**
 * The result that a quorum gives alike, without ordering the query [CONS-29]. Two quorums share an honest member, which
 * forgets nothing that it told: so what is read is no older than what was read before in the epoch. What was read in
 * an earlier epoch is no newer than its end, which all have executed. Throws `ANSWERS_DIVIDED` when no result has enough.
 */
export function agreedAnswer(
  { configuration, networkId, verify }: Judge,
  query: Uint8Array,
  answers: readonly Answer[],
): { result: Uint8Array; sequence: number } {
  const { epoch, byId } = configuration;
  const byResult = new Map<string, Answer[]>();
  for (const answer of answers) {
    const publicKey = byId.get(answer.sender)?.publicKey;
    if (publicKey === undefined) continue;
    if (!verify(publicKey, answerBytes(networkId, query, { ...answer, epoch }), answer.signature)) continue;
    const key = toHex(answer.result);
    byResult.set(key, [...(byResult.get(key) ?? []), answer]);
  }
  for (const alike of byResult.values()) {
    const senders = alike.map(({ sender }) => sender);
    const [first] = alike;
    if (first === undefined || !isQuorum(configuration, senders)) continue;
    return { result: first.result, sequence: Math.min(...alike.map(({ sequence }) => sequence)) };
  }
  throw new ConsensusError('ANSWERS_DIVIDED', `no result of ${answers.length} answers has enough weight`);
}
