import { errorCode, fromUtf8, sha256 } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { createConfiguration } from './configuration.ts';
import { type Answer, agreedAnswer, answerBytes } from './read.ts';
import { createCheapSigner, verifyCheaply } from './testing/signatures.ts';

const networkId = new Uint8Array(32).fill(1);
const weights = { a: 3, b: 2, c: 2, d: 1 };
const members = Object.entries(weights).map(([id, weight]) => ({
  id,
  publicKey: createCheapSigner(id).publicKey,
  weight,
}));
const judge = { configuration: createConfiguration(members), networkId, verify: verifyCheaply };
const query = sha256(fromUtf8('balance of x, 17th time of asking'));
const [ten, eleven] = [sha256(fromUtf8('10')), sha256(fromUtf8('11'))] as [Uint8Array, Uint8Array];

function answer(sender: string, result: Uint8Array, sequence = 5, epoch = 1): Answer {
  const said = answerBytes(networkId, query, { epoch, sequence, result });
  const signature = createCheapSigner(sender).sign(said);
  return { sender, result, sequence, signature };
}

function read(answers: readonly Answer[], about = query) {
  try {
    return agreedAnswer(judge, about, answers).sequence;
  } catch (error) {
    return errorCode(error);
  }
}

describe('a query without ordering [CONS-29]', () => {
  test('is answered when a quorum says the same, as of what all of them have executed', () => {
    expect(read([answer('a', ten, 9), answer('b', ten, 7), answer('d', ten, 8)])).toBe(7);
  });

  test('is not answered by less than a quorum of one result', () => {
    expect(read([answer('a', ten), answer('b', ten), answer('d', eleven)])).toBe('ANSWERS_DIVIDED');
    expect(read([])).toBe('ANSWERS_DIVIDED');
  });

  test('does not count strangers, one member twice, or forged, altered and replayed answers', () => {
    const [a, b, c] = [answer('a', ten), answer('b', ten), answer('c', ten)];
    expect(read([a, b, answer('stranger', ten)])).toBe('ANSWERS_DIVIDED');
    expect(read([a, a, b, b])).toBe('ANSWERS_DIVIDED');
    expect(read([a, b, { ...c, signature: a.signature }])).toBe('ANSWERS_DIVIDED');
    expect(read([a, b, { ...c, sequence: 6 }])).toBe('ANSWERS_DIVIDED');
    expect(read([a, b, c], sha256(fromUtf8('another query')))).toBe('ANSWERS_DIVIDED');
    expect(read([a, b, c])).toBe(5);
  });

  test('is not answered by members that are in another epoch: they share no honest one with a quorum of this', () => {
    expect(read([answer('a', ten), answer('b', ten), answer('c', ten, 5, 33)])).toBe('ANSWERS_DIVIDED');
  });

  test('is not answered by fewer because one of them is honest: a later quorum could do without that one', () => {
    expect(read([answer('a', ten), answer('b', eleven)])).toBe('ANSWERS_DIVIDED');
  });
});
