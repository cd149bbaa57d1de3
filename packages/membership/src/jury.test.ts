import { fromUtf8, sha256, toHex } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ATTESTORS_EXPECTED,
  attestAlpha,
  attestOdds,
  attestOutput,
  drawnFrom,
  epochSeedAsOf,
  JUDGES_MIN,
  judgeAlpha,
  judgesNeeded,
  mayBeAsked,
  mayDraw,
  mayServe,
  provenBeta,
  targetRing,
  targetsDrawn,
  taskAlpha,
  taskSeed,
} from './jury.ts';
import {
  genesisRoster,
  juryWeightOf,
  juryWeightTotal,
  type Member,
  type Roster,
  weightTotal,
  withCredit,
  withMember,
} from './roster.ts';
import { drawContext, TestLedger, type TestMember, testMember, testMembers } from './testing.ts';

const members = testMembers(4);
const roster = genesisRoster(members.map(({ record }) => record));
const context = { networkId: sha256(fromUtf8('network')), epochSeed: sha256(fromUtf8('seed')) };

/** Members without keys: enough to count who is drawn. */
function crowd(credits: readonly number[]): Roster {
  const [template] = [...roster.values()] as [Member];
  return new Map(
    credits.map((credit, index) => [
      `member ${index}`,
      { ...template, account: `member ${index}`, owner: `member ${index}`, credit },
    ]),
  );
}

/** How many of the outputs draw a member. */
function timesDrawn(of: Roster, account: string, expected: number, draws: number): number {
  const member = of.get(account) as Member;
  let times = 0;
  for (let i = 0; i < draws; i++) {
    if (drawnFrom(of, member, sha256(fromUtf8(`${account} ${i}`)), expected)) times++;
  }
  return times;
}

describe('a draw', () => {
  test('draws about as many as expected, each by its weight [MEMB-10]', () => {
    const credits = Array.from({ length: 40 }, (_, index) => (index % 4 === 0 ? 400 : 100));
    const many = crowd(credits);
    const [heavy, light] = [timesDrawn(many, 'member 0', 5, 3_000), timesDrawn(many, 'member 1', 5, 3_000)];
    // 10 of weight 20 and 30 of weight 10: a heavy member is drawn with 5 * 20 / 500, a light one with half of it.
    expect(heavy / 3_000).toBeGreaterThan(0.17);
    expect(heavy / 3_000).toBeLessThan(0.23);
    expect(light / 3_000).toBeGreaterThan(0.08);
    expect(light / 3_000).toBeLessThan(0.12);
  });

  test('draws an owner of many members no more than a tenth, once there are ten owners [MEMB-39]', () => {
    const single = crowd(new Array(18).fill(100));
    const fleet = [...crowd(new Array(12).fill(400)).values()].map((it, index) => ({
      ...it,
      account: `fleet ${index}`,
      owner: 'fleet',
    }));
    const roster = new Map([...single, ...fleet.map((it) => [it.account, it] as const)]);
    const share = (accounts: readonly string[]) =>
      accounts.reduce((sum, account) => sum + attestOdds(roster, roster.get(account) as Member).weight, 0);
    const all = juryWeightTotal(roster);
    expect(share(fleet.map(({ account }) => account))).toBe(Math.floor(all / 10));
    expect(share([...single.keys()])).toBe(weightTotal(single));
    expect(weightTotal(roster)).toBe(weightTotal(single) + 12 * 20);
  });

  test('weighs the same in whatever order the members are [DRAW-4]', () => {
    const owned = [...crowd(Array.from({ length: 30 }, (_, index) => index * 7)).values()].map(
      (it, index) => ({
        ...it,
        owner: `owner ${index % 12}`,
      }),
    );
    const of = (them: readonly Member[]) => new Map(them.map((it) => [it.account, it]));
    const wanted = of(owned);
    fc.assert(
      fc.property(fc.shuffledSubarray(owned, { minLength: owned.length }), (them) => {
        for (const { account } of owned)
          expect(juryWeightOf(of(them), account)).toBe(juryWeightOf(wanted, account));
      }),
      { numRuns: 20 },
    );
  });

  test('draws everybody where fewer are there than expected', () => {
    const few = crowd([100, 100, 100]);
    expect(timesDrawn(few, 'member 0', 4, 200)).toBe(200);
  });

  test('never draws a member less often because it gained credit', () => {
    fc.assert(
      fc.property(
        fc.nat(10_000),
        fc.nat(10_000),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (a, b, beta) => {
          const before = crowd([Math.min(a, b), 100, 100, 100, 100]);
          const after = crowd([Math.max(a, b), 100, 100, 100, 100]);
          const is = (of: Roster) => drawnFrom(of, of.get('member 0') as Member, beta, 2);
          expect(is(before) && !is(after)).toBe(false);
        },
      ),
    );
  });
});

describe('an input of a draw', () => {
  test('is another for each network, epoch, role, target and attempt', () => {
    const taskId = sha256(fromUtf8('task'));
    const inputs = [
      attestAlpha(context),
      attestAlpha({ ...context, epochSeed: sha256() }),
      attestAlpha({ ...context, networkId: sha256() }),
      judgeAlpha(context, taskId),
      taskAlpha(context, 'execute', taskId, 1),
      taskAlpha(context, 'execute', taskId, 2),
      taskAlpha(context, 'verify', taskId, 1),
    ];
    expect(new Set(inputs.map(toHex)).size).toBe(inputs.length);
    expect(toHex(taskSeed(sha256(), taskId))).not.toBe(toHex(taskSeed(taskId, sha256())));
  });

  test('is proven by its own member only', () => {
    const alpha = attestAlpha(context);
    const [one, two] = members as [(typeof members)[0], (typeof members)[0]];
    const { beta, proof } = one.prove(alpha);
    const member = (account: string) => roster.get(account) as Member;
    expect(toHex(provenBeta(member(one.account), alpha, proof) ?? sha256())).toBe(toHex(beta));
    expect(provenBeta(member(two.account), alpha, proof)).toBeUndefined();
    expect(provenBeta(member(one.account), sha256(), proof)).toBeUndefined();
    expect(provenBeta(member(one.account), alpha, new Uint8Array(0))).toBeUndefined();
  });
});

test('a member draws only in epochs after its admission; genesis members in all [MEMB-9]', () => {
  const newcomer = testMember('newcomer');
  const grown = withMember(roster, newcomer.record, 5);
  const [genesis] = members as [(typeof members)[0]];
  expect([4, 5, 6].map((epoch) => mayDraw(grown.get(newcomer.account) as Member, epoch))).toEqual([
    false,
    false,
    true,
  ]);
  expect(mayDraw(grown.get(genesis.account) as Member, 0)).toBe(true);
});

test('a seed is known from the first agreed block of its epoch, however far a replica has read', () => {
  const ledger = new TestLedger(members, 45);
  expect(epochSeedAsOf(ledger, 4, 39)).toBeUndefined();
  expect(epochSeedAsOf(ledger, 4, 40)).toEqual(drawContext(ledger, 4).epochSeed);
});

test('as many judges decide as there are, up to the least number that may', () => {
  expect(judgesNeeded(new Map())).toBe(0);
  expect(judgesNeeded(crowd([1]))).toBe(1);
  expect(judgesNeeded(withCredit(roster, 'nobody', 1))).toBe(JUDGES_MIN);
});

describe('the ring of an epoch [MEMB-10]', () => {
  const odds = attestOdds(roster, roster.get((members[0] as TestMember).account) as Member);
  const ring = targetRing(context, roster, 3);

  test('draws whom the distance from the output draws, and nobody for oneself', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (beta) => {
        const account = (members[0] as TestMember).account;
        const drawn = targetsDrawn(ring, { account, beta }, odds);
        const wanted = members.slice(1).filter((target) => {
          const output = attestOutput(context, beta, target.account);
          return drawnFrom(roster, roster.get(account) as Member, output, ATTESTORS_EXPECTED);
        });
        expect(drawn.toSorted()).toEqual(wanted.map((target) => target.account).toSorted());
      }),
    );
  });

  test('is the same in whatever order the roster is, and another in every epoch and network [DRAW-4]', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...roster], { minLength: roster.size }), (entries) => {
        expect(targetRing(context, new Map(entries), 3)).toEqual(ring);
      }),
    );
    expect(targetRing({ ...context, epochSeed: sha256() }, roster, 3).positions).not.toEqual(ring.positions);
    expect(targetRing({ ...context, networkId: sha256() }, roster, 3).positions).not.toEqual(ring.positions);
  });

  test('has no place for who was admitted too late', () => {
    const late = testMember('late');
    const grown = withMember(roster, late.record, 3);
    expect(targetRing(context, grown, 3)).toEqual(ring);
    expect(targetRing(context, grown, 4).targets).toContain(late.account);
  });
});

test('who has lost all credit draws no more, and is still asked [MEMB-9]', () => {
  const [one] = members as [TestMember];
  const fallen = withCredit(roster, one.account, 0).get(one.account) as Member;
  expect([mayDraw(fallen, 3), mayServe(fallen, 3), mayBeAsked(fallen, 3)]).toEqual([false, false, true]);
});
