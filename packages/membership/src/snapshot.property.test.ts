import { bytesEqual, decodeCbor, encodeCbor, toHex } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MembershipError } from './errors.ts';
import type { Attestation } from './operation.ts';
import type { Member } from './roster.ts';
import { encodeState, parseState, STATE_BYTES_MAX } from './snapshot.ts';
import type { Bid, Candidacy, Judgement, MembershipState, TaskReport, TaskState } from './state.ts';
import { testMember } from './testing.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const proof = fc.uint8Array({ minLength: 1, maxLength: 80 });
const account = bytes(20).map((it) => `0x${toHex(it)}`);
const id = bytes(32).map(toHex);
const count = fc.maxSafeNat();
const verdict = fc.constantFrom('affirming' as const, 'warning' as const, 'contraindicated' as const);
const mapOf = <K, V>(key: fc.Arbitrary<K>, value: fc.Arbitrary<V>, maxLength = 3) =>
  fc.uniqueArray(fc.tuple(key, value), { selector: ([it]) => it, maxLength }).map((it) => new Map(it));
const setOf = <T>(item: fc.Arbitrary<T>) => fc.uniqueArray(item, { maxLength: 3 }).map((it) => new Set(it));

const { record } = testMember('anybody');
const members: fc.Arbitrary<Member> = fc
  .record({
    account,
    credit: fc.integer({ min: 0, max: 10_000 }),
    admittedEpoch: fc.integer({ min: -1, max: 100 }),
    confidence: fc.integer({ min: -8, max: 16 }),
  })
  .map((change) => ({ ...record, ...change }));
const attestation: fc.Arbitrary<Attestation> = fc.record({
  target: account,
  verdict,
  quoteDigest: bytes(32),
  nonce: bytes(32),
  evidenceDigest: bytes(32),
  answerSignature: bytes(64),
});
const judgement: fc.Arbitrary<Judgement> = fc.record({
  kind: fc.constant('judge'),
  candidate: bytes(32),
  epoch: count,
  proof,
  verdict,
  resultDigest: bytes(32),
});
const candidacy: fc.Arbitrary<Candidacy> = fc.record({
  record: fc.constant(record),
  applicationDigest: bytes(32),
  sponsor: account,
  epoch: count,
  openedBlock: count,
  seated: setOf(account),
  judgements: mapOf(account, judgement),
  outcome: fc.constantFrom('open', 'admitted', 'refused'),
});
const draw = fc.record({ beta: bytes(32), proof });
const run = { taskId: bytes(32), attempt: count };
const bid: fc.Arbitrary<Bid> = fc.record({
  kind: fc.constant('bid'),
  ...run,
  execute: fc.option(draw),
  verify: draw,
});
const report: fc.Arbitrary<TaskReport> = fc.record({
  kind: fc.constant('verify'),
  ...run,
  certificateDigest: bytes(32),
  phases: fc.array(
    fc.record({
      phase: fc.constantFrom('before' as const, 'during' as const, 'after' as const),
      verdict,
      quoteDigest: bytes(32),
    }),
    { maxLength: 3 },
  ),
});
const task: fc.Arbitrary<TaskState> = fc.record(
  {
    attempt: count,
    startBlock: count,
    bids: mapOf(account, bid),
    firstBidBlock: count,
    excluded: fc.array(account, { maxLength: 3 }),
    election: fc.record({
      executor: account,
      salt: bytes(32),
      verifiers: fc.array(account, { maxLength: 3 }),
      electedBlock: count,
    }),
    certificate: fc.uint8Array({ maxLength: 100 }),
    reports: mapOf(account, report),
    outcome: fc.constantFrom('open' as const, 'settled' as const, 'failed' as const),
  },
  { requiredKeys: ['attempt', 'startBlock', 'bids', 'excluded', 'reports', 'outcome'] },
);
const signedPayload = fc.record({
  payload: fc.uint8Array({ minLength: 1, maxLength: 256 }),
  signature: bytes(64),
});
const states: fc.Arbitrary<MembershipState> = fc.record({
  networkId: bytes(32),
  roster: fc
    .uniqueArray(members, { selector: (member) => member.account, maxLength: 4 })
    .map((list) => new Map(list.map((member) => [member.account, member]))),
  ledgerBlock: count,
  enrolledThrough: count,
  epochClosed: count,
  reports: mapOf(
    count,
    mapOf(account, fc.record({ proof, beta: bytes(32), results: fc.array(attestation, { maxLength: 2 }) })),
  ),
  candidacies: mapOf(id, candidacy),
  tasks: mapOf(id, task),
  admissions: count,
  evictions: count,
  updatesMissed: mapOf(account, bytes(32)),
  equivocations: mapOf(account, fc.record({ first: signedPayload, second: signedPayload })),
  answeredThrough: mapOf(account, count),
  disputesJudged: setOf(id),
  rejoins: mapOf(account, count),
});

/** The document with one field exchanged. */
function tampered(state: MembershipState, change: Readonly<Record<string, unknown>>): Uint8Array {
  const document = decodeCbor(encodeState(state)) as Record<string, never>;
  return encodeCbor({ ...document, ...(change as Record<string, never>) });
}

describe('a snapshot of the state [MEMB-36]', () => {
  test('gives back the very state, the order of entries included', () => {
    fc.assert(
      fc.property(states, (state) => {
        const encoded = encodeState(state);
        const parsed = parseState(encoded);
        expect(parsed).toEqual(state);
        expect([...parsed.roster.keys()]).toEqual([...state.roster.keys()]);
        expect([...parsed.tasks.keys()]).toEqual([...state.tasks.keys()]);
        expect(bytesEqual(encodeState(parsed), encoded)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test('is refused with its own error when any byte is another, or is another state', () => {
    fc.assert(
      fc.property(states, fc.nat(), fc.integer({ min: 1, max: 255 }), (state, at, flip) => {
        const encoded = encodeState(state).slice();
        const place = at % encoded.length;
        encoded[place] = (encoded[place] as number) ^ flip;
        try {
          expect(bytesEqual(encodeState(parseState(encoded)), encoded)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(MembershipError);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('that is no document is refused with its own error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        expect(() => parseState(noise)).toThrow(MembershipError);
      }),
    );
  });

  test('has one entry for each key, and each member under its own account', () => {
    const [state] = fc.sample(states, { numRuns: 1, seed: 7 }) as [MembershipState];
    const member = { ...record, credit: 1, admittedEpoch: -1, confidence: 8 };
    const entry = [member.account, member];
    expect(parseState(tampered(state, { roster: [entry] })).roster.size).toBe(1);
    const other = `0x${'1'.repeat(40)}`;
    for (const roster of [[entry, entry], [[other, member]]]) {
      expect(() => parseState(tampered(state, { roster }))).toThrow(MembershipError);
    }
    const twice = ['1'.repeat(64), '1'.repeat(64)];
    expect(() => parseState(tampered(state, { disputesJudged: twice }))).toThrow('twice');
  });

  test('larger than an answer can carry is neither made nor read', () => {
    const [state] = fc.sample(states, { numRuns: 1, seed: 7 }) as [MembershipState];
    const one = { attempt: 1, startBlock: 1, excluded: [], outcome: 'open' as const };
    const certificate = new Uint8Array(16_384);
    const tasks = new Map(
      Array.from({ length: 400 }, (_, index) => [
        index.toString(16).padStart(64, '0'),
        { ...one, bids: new Map(), reports: new Map(), certificate },
      ]),
    );
    expect(() => encodeState({ ...state, tasks })).toThrow(MembershipError);
    expect(() => parseState(new Uint8Array(STATE_BYTES_MAX + 1))).toThrow('at most');
  });
});
