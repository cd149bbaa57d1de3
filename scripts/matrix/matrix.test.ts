import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { rowsOf, titleOf } from './row.ts';
import { rows } from './rows.ts';

describe('the negative matrix:', () => {
  test.each(rows.map((row) => [titleOf(row), row] as const))('%s', async (_, row) => {
    expect(await row.run()).toEqual({ honest: 'OK', got: row.expected });
  });
});

test('the matrix has each row once, and cites rules that there are', () => {
  const titles = rows.map(titleOf);
  expect(titles.length).toBeGreaterThanOrEqual(60);
  expect(titles.filter((title, i) => titles.indexOf(title) !== i)).toEqual([]);
  const folder = join(import.meta.dirname, '../../docs/spec');
  const spec = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
  const cited = rows.map(({ rule }) => rule).filter((rule) => /^[A-Z]+-\d+$/.test(rule));
  expect(cited.filter((rule) => !spec.some((text) => text.includes(`- **[${rule}]**`)))).toEqual([]);
});

describe('a row fails', () => {
  const judge = ({ value }: { value: number }) => (value > 1 ? 'TOO_LARGE' : 'OK');
  const outcomeOf = async (value: number, tampered: number | number[]) => {
    const changed = [tampered].flat().map((it) => ({ value: it }));
    const subject = { artefact: 'a number', by: 'judge', honest: () => ({ value }), judge };
    return await rowsOf(subject, [['that is large', 'TOO_LARGE', '', () => changed]])[0]?.run();
  };

  test('when its honest artefact is refused', async () => {
    expect(await outcomeOf(2, 3)).toEqual({ honest: 'TOO_LARGE', got: 'TOO_LARGE' });
  });

  test('when nothing was tampered with, or one tampering of several is accepted', async () => {
    expect(await outcomeOf(1, 1)).toEqual({ honest: 'OK', got: 'NOT_TAMPERED' });
    expect(await outcomeOf(1, [2, 0])).toEqual({ honest: 'OK', got: 'TOO_LARGE OK' });
    expect(await outcomeOf(1, [])).toEqual({ honest: 'OK', got: '' });
  });
});
