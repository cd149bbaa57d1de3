import { FAILURE_REASONS } from '@nemea/membership';
import { afterEach, describe, expect, it } from 'vitest';
import { FAILING } from '../tasks/programs.ts';
import { Scenario, type ScenarioOptions } from './scenario.ts';

let s: Scenario;
afterEach(() => s.end());

const begin = async (options: Partial<ScenarioOptions> = {}): Promise<void> => {
  s = await Scenario.begin(expect.getState().currentTestName ?? '', { nodes: 4, ...options });
  await s.epochsClose(1);
};

/** Owners order a run of theirs, and open its result. */
async function served(owners: readonly number[]): Promise<void> {
  const order = s.ownersOrder('digest', owners);
  await s.until('they open the result', () => s.isServed(order));
}

describe('a task on the data of two owners', () => {
  it('is run, verified and paid, and both owners open the result [MEMB-31]', async () => {
    await begin();
    const before = s.moneyOf([0, 1, 2, 3]);
    const order = s.ownersOrder('digest', [0, 1]);
    await s.until('both open the result', () => s.isServed(order));
    expect(s.endOf(order)).toBe('settled');
    // Of 103: half to the executor, a fifth to three verifiers, a quarter to the owners, rounded down.
    const earned = s.moneyOf([0, 1, 2, 3]).map((money, index) => money - (before[index] ?? 0n));
    expect(earned.sort((a, b) => Number(a - b))).toEqual([6n, 6n, 6n, 51n]);
  });

  it.each(Object.entries(FAILING) as [keyof typeof FAILING, keyof typeof FAILURE_REASONS][])(
    'fails when its code is %s, with the reason %s, and the whole fee comes back [MEMB-32]',
    async (program, reason) => {
      await begin();
      const order = s.ownersOrder(program, [0, 1]);
      await s.until('it has failed', () => s.endOf(order) === 'failed');
      expect(s.reasonOf(order)).toBe(FAILURE_REASONS[reason]);
      expect(s.feesInEscrow()).toBe(0);
    },
  );

  it('fails when one of them permits other code than this', async () => {
    await begin();
    const order = s.ownersOrder('digest', [0, 1], 'rule-of-other-code');
    await s.until('it has failed', () => s.endOf(order) === 'failed');
    expect(s.reasonOf(order)).toBe(FAILURE_REASONS.KEY_REFUSED);
  });

  it('fails when the key agent of one gives no key to anybody, after others were asked in vain', async () => {
    await begin({ owners: 'refusing' });
    const order = s.ownersOrder('digest', [0, 1]);
    await s.until('it has failed', () => s.endOf(order) === 'failed');
    expect(s.reasonOf(order)).toBe(FAILURE_REASONS.INPUT_UNAVAILABLE);
    const alone = s.ownersOrder('digest', [0]);
    await s.until('the other is served', () => s.isServed(alone));
  });
});

describe('a task', () => {
  it('is run by another when its executor loses power in the middle [MEMB-33]', async () => {
    await begin();
    const order = s.ownersOrder('digest', [0]);
    await s.until('the executor asks for keys', () => s.keysAskedBy !== undefined);
    s.keysAskedBy?.crash();
    await s.until('its owner opens the result', () => s.isServed(order));
  });

  it('is run by another when the machine of its executor is not as it was before', async () => {
    await begin();
    s.world.conditions.sandbox = (name) => ({ slowness: 1, isBreaking: false, isLittering: name < 'n2' });
    const order = s.ownersOrder('digest', [1]);
    await s.until('its owner opens the result', () => s.isServed(order));
  });

  it('is settled by no word of an executor that has not run it [MEMB-31]', async () => {
    await begin({ villains: { 0: 'boasting' } });
    while (s.times('boasting') === 0) await served([0]);
    await served([0]);
  });

  it('gives its owner the result that layer 1 settled, whatever else it was brought', async () => {
    await begin({ villains: { 0: 'smuggling' } });
    while (s.times('smuggling') === 0) await served([0, 1]);
  });

  it('brings its result to owners whom strangers have brought all that they take of strangers', async () => {
    await begin();
    s.separate([0, 1], [2, 3]);
    const order = s.ownersOrder('digest', [0, 1]);
    // Nobody is drawn to run it meanwhile.
    expect(await s.strangersBring(order, 9)).toBe(16);
    s.heal();
    await s.until('they open the result', () => s.isServed(order));
    expect(s.endOf(order)).toBe('settled');
  });

  it('brings its result to owners whom strangers keep waiting for what they never hand out', async () => {
    await begin();
    s.separate([0, 1], [2, 3]);
    const order = s.ownersOrder('digest', [0, 1]);
    await s.strangersPromise(order, 200);
    s.heal();
    await s.until('they open the result', () => s.isServed(order));
    expect(s.endOf(order)).toBe('settled');
  });

  it('is run though one of its verifiers keeps silent, or vouches for everybody', async () => {
    for (const kind of ['withholding-verifier', 'careless-verifier'] as const) {
      await begin({ villains: { 1: kind } });
      while (s.times(kind) === 0) await served([0, 1]);
      s.end();
    }
  });
});
