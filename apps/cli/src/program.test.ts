import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { createProgram } from './program.ts';

const README = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');

/** `policy learn`, `verify`, ...: every command that does something and is not for another one's use. */
function leaves(command: Command, prefix = ''): { path: string; command: Command }[] {
  const visible = command.createHelp().visibleCommands(command);
  return visible.flatMap((sub) => {
    if (sub.name() === 'help') return [];
    const path = `${prefix}${sub.name()}`;
    return sub.commands.length === 0 ? [{ path, command: sub }] : leaves(sub, `${path} `);
  });
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  return text;
}

/** The first column of the table; a name alone belongs to the group before it, capitals are arguments. */
function tabled(text: string, known: ReadonlySet<string>): string[] {
  const table = text.slice(text.indexOf('| command | does |')).split('\n\n')[0] ?? '';
  return table.split('\n').flatMap((row) => {
    let group = '';
    return [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].flatMap(([, span = '']) => {
      const words = span.split(' ').filter((word) => /^[a-z-]+$/.test(word));
      if (words.length > 1) group = words[0] ?? '';
      if (words.length === 0) return [];
      return words.length > 1 || known.has(span) || group === ''
        ? [words.join(' ')]
        : [`${group} ${words[0]}`];
    });
  });
}

test("the README's table has every command, and no other", () => {
  const program = createProgram();
  const known = new Set(program.commands.map((command) => command.name()));
  expect(tabled(README, known).sort()).toEqual(
    leaves(program)
      .map(({ path }) => path)
      .sort(),
  );
});

/** They log in JSON anyway. */
const SERVING = ['node start', 'join', 'client start'];

test('every command says what it does, shows an example, and has --json unless it serves', () => {
  for (const { path, command } of leaves(createProgram())) {
    expect(command.description(), path).not.toBe('');
    expect(helpOf(command), path).toMatch(new RegExp(`^Examples?\\b[^]*nemea ${path}`, 'm'));
    const flags = command.options.map(({ long }) => long);
    expect(flags.includes('--json'), path).toBe(!SERVING.includes(path));
    for (const { description, long } of command.options) expect(description, `${path} ${long}`).not.toBe('');
  }
});
