import { errorCode } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { signStatement } from './authenticate.ts';
import { contradicts, equivocationEpoch, verifyEquivocation } from './equivocation.ts';
import { type Content, signingBytes } from './message.ts';
import { createCheapSigner, verifyCheaply } from './testing/signatures.ts';

const networkId = new Uint8Array(32).fill(1);
const one = new Uint8Array(32).fill(1);
const two = new Uint8Array(32).fill(2);
const vote = (
  kind: 'pre-prepare' | 'prepare' | 'commit',
  digest: Uint8Array,
  view = 3,
  sequence = 7,
  epoch = 1,
): Content => ({
  kind,
  epoch,
  view,
  sequence,
  digest,
});
const viewChange = (view: number, tipView: number | null, tipSequence = 7): Content => ({
  kind: 'view-change',
  epoch: 1,
  view,
  committed: 6,
  tip: tipView === null ? null : { view: tipView, sequence: tipSequence, digest: one },
});
const newView = (evidence: Uint8Array): Content => ({ kind: 'new-view', epoch: 1, view: 4, evidence });

describe('two statements contradict each other [CONS-21]', () => {
  const pairs: [string, Content, Content][] = [
    ['when two proposals fill one slot', vote('pre-prepare', one), vote('pre-prepare', two)],
    ['when a proposal and a prepare differ', vote('pre-prepare', one), vote('prepare', two)],
    ['when a prepare and a commit differ', vote('prepare', one), vote('commit', two)],
    [
      'when two checkpoints of one sequence differ',
      { kind: 'checkpoint', epoch: 1, sequence: 16, digest: one },
      { kind: 'checkpoint', epoch: 1, sequence: 16, digest: two },
    ],
    ['when two view changes to one view differ', viewChange(4, 3), viewChange(4, null)],
    ['when two new views of one view differ', newView(one), newView(two)],
    ['when a view change forgets a commit', vote('commit', one), viewChange(4, null)],
    [
      'when a view change shows an earlier view than was committed in',
      vote('commit', one),
      viewChange(4, 2, 9),
    ],
    ['when a view change shows less than was committed to', vote('commit', one), viewChange(4, 3, 6)],
  ];
  test.each(pairs)('%s', (_title, a, b) => {
    expect(contradicts(a, b)).toBe(true);
    expect(contradicts(b, a)).toBe(true);
  });
});

describe('an honest replica may say both', () => {
  const pairs: [string, Content, Content][] = [
    ['votes for one batch', vote('prepare', one), vote('commit', one)],
    ['votes of different views', vote('prepare', one, 3), vote('prepare', two, 4)],
    ['votes of different sequences', vote('commit', one, 3, 7), vote('commit', two, 3, 8)],
    ['votes of different epochs', vote('commit', one), vote('commit', two, 3, 7, 5)],
    ['a commit and a view change that shows it', vote('commit', one), viewChange(4, 3)],
    ['a commit and a view change that shows a later sequence', vote('commit', one), viewChange(5, 3, 9)],
    ['a commit and a view change that shows a later view', vote('commit', one, 2), viewChange(4, 3, 6)],
    ['a commit in the view that the view change asked for', vote('commit', one, 4), viewChange(4, null)],
    ['a view change and a commit of another epoch', viewChange(4, null), vote('commit', one, 3, 7, 5)],
    ['one thing twice', vote('commit', one), vote('commit', one)],
    [
      'view changes to one view of two epochs',
      viewChange(4, null),
      { kind: 'view-change', epoch: 9, view: 4, committed: 8, tip: null },
    ],
  ];
  test.each(pairs)('%s', (_title, a, b) => {
    expect(contradicts(a, b)).toBe(false);
    expect(contradicts(b, a)).toBe(false);
  });
});

describe('a proof of equivocation', () => {
  const sign = (sender: string, content: Content) =>
    signStatement({ networkId, sender, content, batch: [], sign: createCheapSigner(sender).sign }).message;
  const publicKeyOf = (id: string) => (id === 'stranger' ? undefined : createCheapSigner(id).publicKey);
  const judge = { networkId, publicKeyOf, verify: verifyCheaply };
  const first = sign('a', vote('commit', one));
  const second = sign('a', vote('commit', two));

  const codeOf = (proof: { first: typeof first; second: typeof first }) => {
    try {
      return verifyEquivocation({ ...judge, proof });
    } catch (error) {
      return errorCode(error);
    }
  };

  test('names the culprit to anyone', () => {
    expect(codeOf({ first, second })).toBe('a');
  });

  test('is refused for two senders, one statement, an unknown sender or a forged signature', () => {
    expect(codeOf({ first, second: sign('b', vote('commit', two)) })).toBe('EQUIVOCATION_UNPROVEN');
    expect(codeOf({ first, second: first })).toBe('EQUIVOCATION_UNPROVEN');
    const strangers = { first: { ...first, sender: 'stranger' }, second: { ...second, sender: 'stranger' } };
    expect(codeOf(strangers)).toBe('EQUIVOCATION_UNPROVEN');
    expect(codeOf({ first, second: { ...second, signature: first.signature } })).toBe(
      'EQUIVOCATION_UNPROVEN',
    );
  });

  test('is about the epoch of its statements, the later one when they differ', () => {
    const epochOf = (a: Content, b: Content) =>
      equivocationEpoch({ first: sign('a', a), second: sign('a', b) });
    expect(epochOf(vote('commit', one, 3, 7, 33), vote('commit', two, 3, 7, 33))).toBe(33);
    const checkpoint = (epoch: number, digest: Uint8Array): Content => ({
      kind: 'checkpoint',
      epoch,
      sequence: 16,
      digest,
    });
    expect(epochOf(checkpoint(33, one), checkpoint(1, two))).toBe(33);
  });

  test('of bytes that say nothing is refused with the same code', () => {
    const garbled = { ...first, payload: Uint8Array.of(99) };
    const message = signingBytes(networkId, garbled.payload);
    const signed = { ...garbled, signature: createCheapSigner('a').sign(message) };
    expect(codeOf({ first: signed, second })).toBe('EQUIVOCATION_UNPROVEN');
    expect(() => equivocationEpoch({ first: signed, second })).toThrow('no statement');
  });
});
