import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createConfiguration, type Member, primaryOf } from './configuration.ts';
import { ConsensusError } from './errors.ts';
import { includesHonest, isQuorum } from './quorum.ts';

function membersOf(weights: readonly number[]): Member[] {
  return weights.map((weight, index) => ({
    id: `r${String(index).padStart(3, '0')}`,
    publicKey: new Uint8Array(32).fill(index + 1),
    weight,
  }));
}

describe('createConfiguration', () => {
  test('orders the members by id, whatever the order given [CONS-1]', () => {
    const members = membersOf([3, 1, 2]);
    const configuration = createConfiguration([...members].reverse());
    expect(configuration.members.map(({ id }) => id)).toEqual(['r000', 'r001', 'r002']);
    expect(configuration.weightTotal).toBe(6);
  });

  test.each([
    ['no members', []],
    ['a weight of zero', membersOf([1, 0])],
    ['a fractional weight', membersOf([1.5])],
    ['a weight beyond exact arithmetic', membersOf([2 ** 21])],
    ['an empty id', [{ ...(membersOf([1])[0] as Member), id: '' }]],
    ['a short key', [{ id: 'a', publicKey: new Uint8Array(31), weight: 1 }]],
    ['a member twice', [...membersOf([1]), ...membersOf([1])]],
    ['a key twice', membersOf([1, 1]).map((member) => ({ ...member, publicKey: new Uint8Array(32) }))],
    ['too many members', membersOf(Array(129).fill(1))],
  ])('refuses %s', (_title, members) => {
    expect(() => createConfiguration(members)).toThrow(ConsensusError);
  });
});

describe('primaryOf', () => {
  const turns = (configuration: ReturnType<typeof createConfiguration>, count: number) =>
    [...Array(count).keys()].map((view) => primaryOf(configuration, view));

  test('goes round members of equal weight [CONS-3]', () => {
    const configuration = createConfiguration(membersOf([2, 2, 2]));
    expect(turns(configuration, 4)).toEqual(['r001', 'r002', 'r000', 'r001']);
  });

  test('gives a member of half the weight half the turns', () => {
    const configuration = createConfiguration(membersOf([4, 4, 4, 2]));
    const light = turns(configuration, 700).filter((id) => id === 'r003').length;
    expect(light).toBe(100);
  });

  test('starts every epoch at another turn', () => {
    const members = membersOf([1, 1, 1, 1]);
    const first = [1, 2, 3, 4].map((epoch) => primaryOf(createConfiguration(members, epoch), 0));
    expect(new Set(first).size).toBe(4);
  });

  test('never names one member twice in a row, and finds one in the most distant view', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 2 ** 20 }), { minLength: 2, maxLength: 20 });
    const start = fc.oneof(
      fc.integer({ min: 0, max: 1000 }),
      fc.integer({ min: 2 ** 31 - 60, max: 2 ** 31 - 50 }),
    );
    fc.assert(
      fc.property(weights, start, (list, view) => {
        const configuration = createConfiguration(membersOf(list));
        for (let next = view; next < view + 40; next++) {
          expect(primaryOf(configuration, next)).not.toBe(primaryOf(configuration, next + 1));
        }
      }),
    );
  });
});

describe('quorums', () => {
  const configuration = createConfiguration(membersOf([10, 10, 10, 1]));

  test('need more than two thirds of the weight [CONS-2]', () => {
    expect(isQuorum(configuration, ['r000', 'r001'])).toBe(false);
    expect(isQuorum(configuration, ['r000', 'r001', 'r003'])).toBe(true);
    const thirds = createConfiguration(membersOf([1, 1, 1]));
    expect(isQuorum(thirds, ['r000', 'r001'])).toBe(false);
    expect(includesHonest(thirds, ['r000'])).toBe(true);
  });

  test('count a member once and a stranger not at all', () => {
    expect(isQuorum(configuration, ['r000', 'r000', 'r000'])).toBe(false);
    expect(isQuorum(configuration, ['r000', 'r001', 'stranger'])).toBe(false);
  });

  test('any two of them share a member that must be honest', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 9 });
    const pick = fc.array(fc.boolean(), { minLength: 9, maxLength: 9 });
    fc.assert(
      fc.property(weights, pick, pick, (list, first, second) => {
        const drawn = createConfiguration(membersOf(list));
        const idsOf = (picked: boolean[]) =>
          drawn.members.map(({ id }) => id).filter((_, index) => picked[index]);
        const [a, b] = [idsOf(first), idsOf(second)];
        fc.pre(isQuorum(drawn, a) && isQuorum(drawn, b));
        expect(
          includesHonest(
            drawn,
            a.filter((id) => b.includes(id)),
          ),
        ).toBe(true);
      }),
    );
  });
});
