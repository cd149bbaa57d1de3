import { sha256 } from '@nemea/core';
import {
  attestAlpha,
  CONFIDENCE_SUSPENDED,
  drawnFrom,
  genesisRoster,
  type Member,
  mayServe,
  provenBeta,
  withCredit,
  withMember,
} from '@nemea/membership';
import { describe, expect, test } from 'vitest';
import { checkDraw, memberAround, spansAround } from './draws.ts';
import { Lies } from './finding.ts';
import type { RosterReplay } from './roster-replay.ts';
import { reportOf, type TestNode, testNode } from './testing.ts';

const nodes = Array.from({ length: 8 }, (_, index) => testNode(index + 1));
const [first, second] = nodes as [TestNode, TestNode];
const roster = genesisRoster(nodes.map(({ record }) => record));
const alpha = attestAlpha({ networkId: sha256(), epochSeed: sha256(Uint8Array.of(1)) });

function rostersOf(spans: RosterReplay['spans'], exactEpoch: number): RosterReplay {
  return { spans, exactEpoch, epochsMatched: exactEpoch };
}

const EXACT = rostersOf([{ closedEpoch: 3, roster }], 3);

function draw(
  node: TestNode,
  options: { expected: number; rosters?: RosterReplay; proof?: Uint8Array; judgedEpoch?: number },
): { drawn: string; lies: readonly string[] } {
  const lies = new Lies();
  const drawn = checkDraw(
    { report: reportOf({}), rosters: options.rosters ?? EXACT },
    lies,
    {
      role: 'attestor',
      account: node.account,
      alpha,
      proof: options.proof ?? node.prove(alpha),
      expected: options.expected,
      isEligible: mayServe,
    },
    { epoch: 4, judgedEpoch: options.judgedEpoch ?? 4 },
  );
  return { drawn, lies: lies.details };
}

/** Enough expected members that everybody is drawn. */
const EVERYBODY = nodes.length;

describe('a draw', () => {
  test('by a proof of its own that is low enough holds', () => {
    expect(draw(first, { expected: EVERYBODY })).toEqual({ drawn: 'drawn', lies: [] });
  });

  test('holds by the roster of genesis when the first epoch that closed came late', () => {
    const late = rostersOf([{ closedEpoch: 0, roster }], 0);
    expect(spansAround(late, { epoch: 9, judgedEpoch: 9 })).toHaveLength(1);
    const closed = rostersOf(
      [0, 9].map((closedEpoch) => ({ closedEpoch, roster })),
      9,
    );
    expect(spansAround(closed, { epoch: 9, judgedEpoch: 9 }).map((span) => span.closedEpoch)).toEqual([0]);
    expect(
      draw(first, { expected: EVERYBODY, rosters: rostersOf([{ closedEpoch: 0, roster }], 12) }),
    ).toEqual({
      drawn: 'drawn',
      lies: [],
    });
  });

  test('whose output is too high is a lie', () => {
    expect(draw(first, { expected: 0 })).toEqual({
      drawn: 'false',
      lies: [`VRF output of attestor ${first.account} does not draw it`],
    });
  });

  test("by another member's proof is a lie", () => {
    const { lies } = draw(first, { expected: EVERYBODY, proof: second.prove(alpha) });
    expect(lies).toEqual([`VRF proof of attestor ${first.account} does not verify for this draw`]);
  });

  test('by a proof for another epoch is a lie', () => {
    const other = attestAlpha({ networkId: sha256(), epochSeed: sha256(Uint8Array.of(2)) });
    const { lies } = draw(first, { expected: EVERYBODY, proof: first.prove(other) });
    expect(lies).toEqual([`VRF proof of attestor ${first.account} does not verify for this draw`]);
  });

  test('by a stranger is a lie', () => {
    const stranger = testNode(99);
    expect(draw(stranger, { expected: EVERYBODY }).lies).toEqual([
      `attestor ${stranger.account} was no member`,
    ]);
  });

  test('by a member in the very epoch of its admission is a lie: it could have ground its key', () => {
    const newcomer = testNode(50);
    const rosters = rostersOf([{ closedEpoch: 3, roster: withMember(roster, newcomer.record, 4) }], 3);
    expect(draw(newcomer, { expected: EVERYBODY, rosters }).lies[0]).toMatch(/admitted too late/);
  });

  test('by a member that no jury confirms any more is a lie [MEMB-38]', () => {
    const member = roster.get(first.account) as Member;
    const suspended = new Map(roster).set(first.account, { ...member, confidence: CONFIDENCE_SUSPENDED });
    const rosters = rostersOf([{ closedEpoch: 3, roster: suspended }], 3);
    expect(draw(first, { expected: EVERYBODY, rosters }).lies).toEqual([
      `attestor ${first.account} was suspended, or had no credit that draws`,
    ]);
  });

  test('by a member that has lost its credit is a lie [MEMB-9]', () => {
    const rosters = rostersOf([{ closedEpoch: 3, roster: withCredit(roster, first.account, 0) }], 3);
    expect(draw(first, { expected: EVERYBODY, rosters }).lies[0]).toMatch(/no credit that draws/);
  });

  test('that only unknown credit could make is told as possible, and never where credit is known', () => {
    const poor = withCredit(roster, first.account, 1);
    const rosters = rostersOf([{ closedEpoch: 1, roster: poor }], 1);
    // The largest jury that does not draw it at the weight that is known.
    const expected = juryJustMissed(poor);
    expect(draw(first, { expected, rosters }).drawn).toBe('possible');
    expect(draw(first, { expected, rosters: rostersOf([{ closedEpoch: 3, roster: poor }], 3) }).drawn).toBe(
      'false',
    );
  });
});

describe('rosters around a draw', () => {
  test('are those from a few epochs before it until it was judged', () => {
    const spans = [0, 1, 2, 3, 4, 5].map((closedEpoch) => ({ closedEpoch, roster }));
    const around = spansAround(rostersOf(spans, 5), { epoch: 4, judgedEpoch: 5 });
    expect(around.map(({ closedEpoch }) => closedEpoch)).toEqual([1, 2, 3, 4]);
  });

  test('are the nearest there are when the record ends before', () => {
    const spans = [0, 1].map((closedEpoch) => ({ closedEpoch, roster }));
    const around = spansAround(rostersOf(spans, 1), { epoch: 9, judgedEpoch: 9 });
    expect(around.map(({ closedEpoch }) => closedEpoch)).toEqual([1]);
  });

  test('know a member by its latest credit', () => {
    const spans = [
      { closedEpoch: 1, roster },
      { closedEpoch: 2, roster: withCredit(roster, first.account, 7) },
    ];
    expect(memberAround(spans, first.account)?.credit).toBe(7);
  });
});

/** The largest jury into which the first node is not drawn at the credit that this roster gives it. */
function juryJustMissed(poor: typeof roster): number {
  const member = poor.get(first.account) as Member;
  const beta = provenBeta(member, alpha, first.prove(alpha)) as Uint8Array;
  for (let expected = 1; ; expected++) if (drawnFrom(poor, member, beta, expected)) return expected - 1;
}
