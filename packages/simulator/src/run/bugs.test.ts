import { describe, expect, it } from 'vitest';
import { BUGS, mutate, readSource } from './bugs.ts';

describe('the bugs of the mutation check', () => {
  it('are twelve or more, each by its own name', () => {
    expect(BUGS.length).toBeGreaterThanOrEqual(12);
    expect(new Set(BUGS.map(({ name }) => name)).size).toBe(BUGS.length);
  });

  it.each(BUGS.map((bug) => [bug.name, bug] as const))(
    '%s still has its place in production code',
    (_name, bug) => {
      const source = readSource(bug);
      expect(mutate(bug, source)).not.toBe(source);
    },
  );

  it('say so when production code has moved on from under them', () => {
    const [bug] = BUGS;
    expect(() => mutate(bug as (typeof BUGS)[number], 'other code')).toThrow(/occurs 0 times/);
  });
});
