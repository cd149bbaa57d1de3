import { fromUtf8, sha256 } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CREDIT_GENESIS,
  CREDIT_MAX,
  creditAfterAbsence,
  creditAfterAttesting,
  creditAfterPass,
} from './credit.ts';
import { isResult } from './epoch-leaf.ts';
import { attestOdds, mayDraw, mayServe, targetRing, targetsDrawn } from './jury.ts';
import { genesisRoster, type Member, type Roster, withCredit, withMember } from './roster.ts';
import { settleCredit } from './settlement.ts';
import { CONFIDENCE_MAX, CONFIDENCE_NEW, confidenceAfterEpoch, type Standing } from './standing.ts';
import type { EpochLeaf, ResultLeaf, SeatLeaf } from './state.ts';
import { drawContext, TestLedger, testMember, testMembers } from './testing.ts';

const EPOCH = 2;
const members = testMembers(12);
const draw = drawContext(new TestLedger(members), EPOCH);
const genesis = genesisRoster(members.map(({ record }) => record));
const ring = targetRing(draw, genesis, EPOCH);

/** An output for each attestor: settling looks at outputs, and leaves proofs to those who take reports. */
const betaOf = (attestor: string) => sha256(fromUtf8(`beta of ${attestor}`));

function seat(attestor: string): SeatLeaf {
  return { attestor, epoch: EPOCH, proof: Uint8Array.of(1), beta: betaOf(attestor) };
}

function targetsOf(attestor: string): string[] {
  const odds = attestOdds(genesis, genesis.get(attestor) as Member);
  return targetsDrawn(ring, { account: attestor, beta: betaOf(attestor) }, odds);
}

function attestorsOf(target: string): string[] {
  return [...genesis.keys()].filter((attestor) => targetsOf(attestor).includes(target));
}

function result(attestor: string, target: string, verdict: ResultLeaf['verdict'] = 'affirming'): ResultLeaf {
  const signed = { nonce: sha256(), evidenceDigest: sha256(), answerSignature: new Uint8Array(64) };
  return { attestor, target, epoch: EPOCH, verdict, quoteDigest: sha256(), ...signed };
}

/** What all report when all are honest. */
const honest: readonly (SeatLeaf | ResultLeaf)[] = [...genesis.keys()].flatMap((attestor) => [
  seat(attestor),
  ...targetsOf(attestor).map((target) => result(attestor, target)),
]);

const settle = (leaves: readonly EpochLeaf[], roster: Roster = genesis) => settleCredit(roster, leaves, draw);
const creditOf = (roster: Roster, account: string) => (roster.get(account) as Member).credit;
const confidenceOf = (roster: Roster, account: string) => (roster.get(account) as Member).confidence;
const isAbout = (leaf: EpochLeaf, target: string) => isResult(leaf) && leaf.target === target;
const isBy = (leaf: EpochLeaf, attestor: string) => isResult(leaf) && leaf.attestor === attestor;

/** Somebody with several targets, and one whose jury has three seats or more. */
const attestor = [...genesis.keys()].find((account) => targetsOf(account).length >= 3) as string;
const target = [...genesis.keys()].find((account) => attestorsOf(account).length >= 3) as string;

describe('an epoch [MEMB-19] [MEMB-41]', () => {
  test('that nobody reported on changes nothing', () => {
    expect(settle([])).toBe(genesis);
  });

  test('of honest members lets all grow who had a jury, and pays each attestor', () => {
    const after = settle(honest);
    for (const account of genesis.keys()) {
      const passed = attestorsOf(account).length > 0;
      const grown = passed ? creditAfterPass(CREDIT_GENESIS) : CREDIT_GENESIS;
      expect(creditOf(after, account)).toBe(creditAfterAttesting(grown, targetsOf(account).length));
      expect(confidenceOf(after, account)).toBe(CONFIDENCE_NEW + (passed ? 1 : 0));
    }
  });

  test('takes from who answers nobody, and nothing from the attestors that asked in vain', () => {
    const after = settle(honest.filter((leaf) => !isAbout(leaf, target)));
    const own = targetsOf(target).length;
    expect(creditOf(after, target)).toBe(creditAfterAttesting(creditAfterAbsence(CREDIT_GENESIS), own));
    for (const asking of attestorsOf(target)) {
      expect(creditOf(after, asking)).toBe(creditOf(settle(honest), asking) - 1);
    }
  });

  test('takes nothing from who had no jury', () => {
    const about = new Set(attestorsOf(target));
    const after = settle(honest.filter((leaf) => !about.has(leaf.attestor)));
    const agreed = targetsOf(target).filter((account) =>
      attestorsOf(account).some((it) => !about.has(it)),
    ).length;
    expect(creditOf(after, target)).toBe(creditAfterAttesting(CREDIT_GENESIS, agreed));
    expect(confidenceOf(after, target)).toBe(CONFIDENCE_NEW);
  });

  test('lets a target that answers only half of its jury neither grow nor earn confidence: it cannot refuse a juror for nothing', () => {
    const jury = attestorsOf(target);
    const refused = new Set(jury.slice(Math.floor(jury.length / 2)));
    const after = settle(honest.filter((leaf) => !(isAbout(leaf, target) && refused.has(leaf.attestor))));
    expect(creditOf(after, target)).toBe(creditAfterAttesting(CREDIT_GENESIS, targetsOf(target).length));
    expect(confidenceOf(after, target)).toBe(CONFIDENCE_NEW - 1);
  });

  test('costs an attestor that skips a target what the epoch would have earned, and one more', () => {
    const skipped = targetsOf(attestor).find((account) => attestorsOf(account).length >= 3) as string;
    const after = settle(honest.filter((leaf) => !(isAbout(leaf, skipped) && leaf.attestor === attestor)));
    expect(creditOf(after, attestor)).toBe(CREDIT_GENESIS - 1);
  });

  test('costs an attestor that calls a good target bad as much as one that skips it', () => {
    const slandered = targetsOf(attestor).find((account) => attestorsOf(account).length >= 3) as string;
    const lying = honest.map((leaf) =>
      isAbout(leaf, slandered) && leaf.attestor === attestor
        ? result(attestor, slandered, 'contraindicated')
        : leaf,
    );
    expect(creditOf(settle(lying), attestor)).toBe(CREDIT_GENESIS - 1);
  });

  test('counts an attestor that skips most of its targets, or hides its draw, as absent', () => {
    const skipping = settle(honest.filter((leaf) => !isBy(leaf, attestor)));
    expect(creditOf(skipping, attestor)).toBeLessThan(creditAfterAbsence(CREDIT_GENESIS));
    const hiding = settle(honest.filter((leaf) => leaf.attestor !== attestor));
    expect(creditOf(hiding, attestor)).toBe(creditAfterAbsence(CREDIT_GENESIS));
  });

  test('holds nothing against who was admitted too late to be asked, or has lost the right to draw', () => {
    const newcomer = testMember('newcomer');
    const grown = withMember(genesis, newcomer.record, EPOCH);
    expect(creditOf(settle(honest, grown), newcomer.account)).toBe(1);
    const fallen = withCredit(genesis, attestor, 0);
    const after = settle(
      honest.filter((leaf) => leaf.attestor !== attestor),
      fallen,
    );
    expect(creditOf(after, attestor)).toBe(attestorsOf(attestor).length > 0 ? creditAfterPass(0) : 0);
  });

  test('takes all credit that draws for a missed update, until an epoch that the member passes [MEMB-37]', () => {
    const missed: EpochLeaf = { outdated: target, epoch: EPOCH, evidenceDigest: sha256() };
    const after = settle([...honest, missed]);
    expect(after).toEqual(withCredit(settle(honest), target, 0));
    expect(settle([missed])).toEqual(withCredit(genesis, target, 0));
    const idle = honest.filter(
      (leaf) => !isBy(leaf, target) && !('beta' in leaf && leaf.attestor === target),
    );
    const updated = settle(idle, after);
    expect(creditOf(updated, target)).toBe(creditAfterPass(0));
    expect(mayDraw(updated.get(target) as Member, EPOCH)).toBe(true);
  });

  test('counts no result of an attestor without a draw, and none about who is gone', () => {
    const unseated = honest.filter((leaf) => isResult(leaf) || leaf.attestor !== attestor);
    expect(settle(unseated)).toEqual(settle(honest.filter((leaf) => leaf.attestor !== attestor)));
    const stranger = testMember('stranger').account;
    expect(settle([...honest, result(attestor, stranger)])).toEqual(settle(honest));
  });

  test('comes out the same in whatever order leaves and members are', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray([...honest], { minLength: honest.length }),
        fc.shuffledSubarray([...genesis], { minLength: genesis.size }),
        (leaves, entries) => {
          const after = settle(leaves, new Map(entries));
          const wanted = settle(honest);
          for (const account of genesis.keys()) expect(after.get(account)).toEqual(wanted.get(account));
        },
      ),
      { numRuns: 30 },
    );
  });

  test('keeps credit and confidence within their bounds, whatever is reported', () => {
    const verdict = fc.constantFrom('affirming' as const, 'warning' as const, 'contraindicated' as const);
    const credits = fc.array(fc.nat(CREDIT_MAX), { minLength: genesis.size, maxLength: genesis.size });
    const said = fc.array(fc.option(verdict), { minLength: honest.length, maxLength: honest.length });
    fc.assert(
      fc.property(credits, said, (given, verdicts) => {
        const roster = new Map(
          [...genesis.values()].map((it, i) => [it.account, { ...it, credit: given[i] as number }]),
        );
        const leaves = honest.flatMap((leaf, i) => {
          const it = verdicts[i];
          if (it === null || it === undefined) return [];
          return [isResult(leaf) ? { ...leaf, verdict: it } : leaf];
        });
        for (const { account, credit, confidence } of settle(leaves, roster).values()) {
          const before = creditOf(roster, account);
          expect(Number.isInteger(credit) && credit >= 0 && credit <= CREDIT_MAX).toBe(true);
          expect(credit).toBeGreaterThanOrEqual(Math.min(1, before));
          expect(Math.abs(confidence - CONFIDENCE_NEW)).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('confidence [MEMB-38]', () => {
  const after = (from: number, ...standings: Standing[]) => standings.reduce(confidenceAfterEpoch, from);
  const times = (count: number, standing: Standing) => new Array<Standing>(count).fill(standing);
  const serves = (confidence: number) => mayServe({ ...(genesis.get(target) as Member), confidence }, EPOCH);

  test('falls with every jury that does not confirm, and at none is left the member is suspended', () => {
    expect(after(CONFIDENCE_NEW, ...times(7, 'contested'))).toBe(1);
    expect(serves(after(CONFIDENCE_NEW, ...times(7, 'absent')))).toBe(true);
    expect(serves(after(CONFIDENCE_NEW, ...times(8, 'absent')))).toBe(false);
    expect(serves(after(CONFIDENCE_NEW, ...times(100, 'contested')))).toBe(false);
  });

  test('comes back by as many good epochs as a newcomer may lose, and grows to its maximum', () => {
    const suspended = after(CONFIDENCE_NEW, ...times(8, 'absent'));
    expect(serves(after(suspended, ...times(7, 'passed')))).toBe(false);
    expect(after(suspended, ...times(8, 'passed'))).toBe(CONFIDENCE_NEW);
    expect(after(suspended, ...times(100, 'passed'))).toBe(CONFIDENCE_MAX);
  });

  test('stays where it is while nobody is asked', () => {
    for (const confidence of [-8, 1, 16]) expect(after(confidence, 'unasked')).toBe(confidence);
  });
});
