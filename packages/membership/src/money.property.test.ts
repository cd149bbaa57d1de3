import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { divideFee, slash } from './money.ts';

const amount = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n });

describe('money [MEMB-40]', () => {
  test('of a forfeit is all accounted for: kept, reward and reserve are the deposit', () => {
    fc.assert(
      fc.property(amount, (deposit) => {
        const { forfeited, reward, reserve, deposit: kept } = slash(deposit);
        expect(kept + reward + reserve).toBe(deposit);
        expect(forfeited).toBe(reward + reserve);
        expect(reserve >= reward && reward >= 0n && kept >= forfeited).toBe(true);
      }),
    );
  });

  test('of a fee is all paid out, and the reserve gets its twentieth at least', () => {
    fc.assert(
      fc.property(amount, fc.integer({ min: 1, max: 32 }), fc.nat(16), (fee, verifiers, capsules) => {
        const { executor, perVerifier, perCapsule, creator, reserve } = divideFee(fee, verifiers, capsules);
        const paid = executor + perVerifier * BigInt(verifiers) + perCapsule * BigInt(capsules) + creator;
        expect(paid + reserve).toBe(fee);
        expect(reserve >= fee / 20n).toBe(true);
      }),
    );
  });

  test('is neither made nor lost by anything that happens: what the reserve gains, others have given', () => {
    const who = fc.nat(3);
    const event = fc.oneof(
      fc.record({
        kind: fc.constant('deposit' as const),
        who,
        amount: fc.bigInt({ min: 0n, max: 10n ** 20n }),
      }),
      fc.record({ kind: fc.constant('slash' as const), who, reporter: who }),
      fc.record({ kind: fc.constant('evict' as const), who }),
      fc.record({ kind: fc.constant('withdraw' as const), who }),
      fc.record({
        kind: fc.constant('settle' as const),
        who,
        verifier: who,
        fee: fc.bigInt({ min: 0n, max: 10n ** 20n }),
      }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 50 }), (events) => {
        const purses = [10n ** 24n, 10n ** 24n, 10n ** 24n, 10n ** 24n];
        const deposits = [0n, 0n, 0n, 0n];
        let reserve = 0n;
        const of = (amounts: bigint[], index: number) => amounts[index] as bigint;
        const add = (amounts: bigint[], index: number, by: bigint) => {
          amounts[index] = of(amounts, index) + by;
        };
        const total = () => [...purses, ...deposits].reduce((sum, it) => sum + it, reserve);
        const before = total();
        for (const it of events) {
          const reserveBefore = reserve;
          if (it.kind === 'deposit') {
            add(purses, it.who, -it.amount);
            add(deposits, it.who, it.amount);
          } else if (it.kind === 'withdraw') {
            add(purses, it.who, of(deposits, it.who));
            deposits[it.who] = 0n;
          } else if (it.kind === 'evict') {
            reserve += of(deposits, it.who);
            deposits[it.who] = 0n;
          } else if (it.kind === 'slash') {
            const { reward, reserve: kept, deposit } = slash(of(deposits, it.who));
            deposits[it.who] = deposit;
            add(purses, it.reporter, reward);
            reserve += kept;
          } else {
            const shares = divideFee(it.fee, 1, 1);
            add(purses, 3, -it.fee);
            add(purses, it.who, shares.executor + shares.perCapsule);
            add(purses, it.verifier, shares.perVerifier);
            reserve += shares.reserve;
          }
          expect(reserve >= reserveBefore).toBe(true);
          expect(total()).toBe(before);
        }
      }),
    );
  });
});
