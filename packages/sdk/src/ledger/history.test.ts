import { beforeEach, describe, expect, test } from 'vitest';
import { TestChain, type TestNode, testNode, txOf } from '../report/testing.ts';

const [a, b, c] = [1, 2, 3].map(testNode) as [TestNode, TestNode, TestNode];
let chain: TestChain;

beforeEach(() => {
  chain = new TestChain([a, b]);
});

describe('voters before a transaction', () => {
  test('do not include what the same block brought after it', () => {
    const evict = txOf('evict');
    chain.mine(
      chain.admitted(c, 1, 1),
      { ...chain.at(evict), type: 'node-evicted', account: a.account, reason: 1 },
      { ...chain.at(txOf('pay')), type: 'weight', account: b.account, credit: 400, weight: 20 },
    );
    expect(Object.fromEntries(chain.history.votersBefore(evict) ?? [])).toEqual({
      [a.account]: 10,
      [b.account]: 10,
      [c.account]: 1,
    });
  });

  test('are unknown for a transaction without an event', () => {
    expect(chain.history.votersBefore(txOf('nothing'))).toBeUndefined();
  });
});

describe('standing', () => {
  test('follows credit, exit and eviction in order', () => {
    chain.mine({ ...chain.at(txOf('pay')), type: 'weight', account: a.account, credit: 120, weight: 10 });
    chain.mine({ ...chain.at(txOf('leave')), type: 'weight', account: a.account, credit: 0, weight: 0 });
    chain.mine({ ...chain.at(txOf('evict')), type: 'node-evicted', account: a.account, reason: 1 });
    expect(chain.history.standings(a.account)).toEqual([
      { block: 1, credit: 100, isActive: true },
      { block: 2, credit: 120, isActive: true },
      { block: 3, credit: 120, isActive: false },
      { block: 4, credit: 0, isActive: false },
    ]);
  });

  test('of a stranger is empty', () => {
    expect(chain.history.standings(c.account)).toEqual([]);
  });
});

describe('those that leave [MEMB-21]', () => {
  test('are who gave up membership, or was evicted, until they are registered again', () => {
    chain.mine({ ...chain.at(txOf('leave')), type: 'weight', account: a.account, credit: 0, weight: 0 });
    chain.mine({ ...chain.at(txOf('evict')), type: 'node-evicted', account: b.account, reason: 1 });
    chain.mine(chain.admitted(a, 1, 1), chain.admitted(b, 1, 1));
    const leavers = [2, 3, 4].map((block) => [...chain.history.leavers(block)]);
    expect(leavers).toEqual([[a.account], [a.account, b.account], []]);
  });
});

describe('the keys of a member', () => {
  test('are those of its latest admission as of the block', () => {
    const renewed: TestNode = { ...a, record: { ...a.record, akX: b.record.akX } };
    chain.mine(chain.admitted(renewed, 1, 1));
    expect(chain.history.recordAt(a.account, 1)).toBe(a.record);
    expect(chain.history.recordAt(a.account, 2)).toBe(renewed.record);
    expect(chain.history.recordAt(c.account, 2)).toBeUndefined();
  });
});

describe('software that layer 1 withdrew', () => {
  test('is what is not approved as of a block, by the block that withdrew it last', () => {
    const digest = 'ab'.repeat(32);
    const policy = (approved: boolean) =>
      chain.mine({ ...chain.at(txOf('policy')), type: 'policy', kind: 'release', digest, approved });
    for (const approved of [true, false, true, false]) policy(approved);
    const { history } = chain;
    const withdrawn = [2, 3, 4, 5].map((block) => history.withdrawnReleases(block).get(digest));
    expect(withdrawn).toEqual([undefined, 3, undefined, 5]);
    expect([2, 3, 4, 5].map((block) => history.approvedReleases(block).has(digest))).toEqual([
      true,
      false,
      true,
      false,
    ]);
    expect(history.withdrawnImages(5).size).toBe(0);
  });
});
