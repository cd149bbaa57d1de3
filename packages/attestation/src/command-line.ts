/** Kernel command lines, read as the kernel reads them, and held against what a policy says of their words [ATT-26]. */
import { fromUtf8 } from '@nemea/core';
import type { AppraisalPolicy } from './policy.ts';

export interface CommandLine {
  readonly event: number;
  readonly pcr: number;
  readonly text: string;
}

export interface CommandLineFault {
  readonly line: CommandLine;
  readonly word: string;
  readonly reason: 'COMMAND_LINE_FORBIDDEN' | 'COMMAND_LINE_UNKNOWN';
  readonly why: string;
}

type Demand = NonNullable<AppraisalPolicy['firmware']['commandLine']>;

/** The first fault: a forbidden word in any of `texts`; a word that is missing, contradicted or not allowed in a line. */
export function findCommandLineFault(
  lines: readonly CommandLine[],
  texts: readonly CommandLine[],
  { required, allowed, forbidden }: Demand,
): CommandLineFault | null {
  for (const line of texts) {
    const word = readings(line.text).find((it) => isAmong(forbidden, it));
    if (word !== undefined)
      return { line, word, reason: 'COMMAND_LINE_FORBIDDEN', why: 'the policy forbids' };
  }
  const unknown = (line: CommandLine, word: string, why: string): CommandLineFault => ({
    line,
    word,
    reason: 'COMMAND_LINE_UNKNOWN',
    why,
  });
  for (const line of lines) {
    const parameters = kernelParameters(line.text);
    const named = [...(allowed ?? []), ...required];
    const stranger =
      allowed === null ? undefined : commandLineWords(line.text).find((it) => !isAmong(named, it));
    if (stranger !== undefined) return unknown(line, stranger, 'the policy does not allow');
    const missing = required.find((pattern) => !parameters.some((it) => matches(pattern, it)));
    if (missing !== undefined) return unknown(line, missing, 'the policy demands');
    // Of a parameter that is there twice the kernel takes the last value.
    const contrary = parameters.find(
      (it) => !isAmong(named, it) && required.some((want) => isNamesake(want, it)),
    );
    if (contrary !== undefined) return unknown(line, contrary, 'the policy demands another value than');
  }
  return null;
}

/** What stands between blanks, quotes and all: how a policy's list of words is learnt and checked. */
export function commandLineWords(text: string): string[] {
  return toLatin1(text)
    .split(BLANKS)
    .filter((word) => word !== '')
    .map(fromLatin1);
}

/** isspace() of the kernel, which takes a byte 0xa0 within a UTF-8 character for a blank (lib/ctype.c). */
const BLANKS = /[\t\n\v\f\r \xa0]+/;

/** Every way in which a word may be read: by the kernel, and by init programs that take out quotes and backslashes. */
function readings(text: string): string[] {
  const bare = commandLineWords(text.replace(/["'\\]/g, ''));
  const split = commandLineWords(text.replace(/["'\\]/g, ' '));
  return [...parametersOf(text), ...bare, ...split];
}

/** The parameters that are the kernel's: those behind `--` are for init. */
function kernelParameters(text: string): string[] {
  const parameters = parametersOf(text);
  const end = parameters.indexOf('--');
  return end === -1 ? parameters : parameters.slice(0, end);
}

/** As next_arg() of the kernel (lib/cmdline.c): a blank within double quotes ends nothing, and outer quotes go. */
function parametersOf(text: string): string[] {
  const parameters: string[] = [];
  let word = '';
  let isQuoted = false;
  for (const character of `${toLatin1(text)} `) {
    if (isQuoted || !BLANKS.test(character)) {
      word += character;
      if (character === '"') isQuoted = !isQuoted;
    } else if (word !== '') {
      parameters.push(unquote(word));
      word = '';
    }
  }
  // A quote that nobody closes takes in the rest.
  if (word !== '') parameters.push(unquote(word.slice(0, -1)));
  return parameters.map(fromLatin1);
}

function unquote(word: string): string {
  const match = /^"(.*?)"?$/s.exec(word) ?? /^([^=]*=)"(.*?)"?$/s.exec(word);
  return match === null ? word : `${match[1]}${match[2] ?? ''}`;
}

function isAmong(patterns: readonly string[], word: string): boolean {
  return patterns.some((pattern) => matches(pattern, word));
}

/** `name=*` stands for any value; nothing else is special. The kernel reads `-` and `_` in names alike. */
function matches(pattern: string, word: string): boolean {
  if (!pattern.endsWith('=*')) return fold(word) === fold(pattern);
  return fold(word).startsWith(fold(pattern.slice(0, -1)));
}

/** Whether both give a value to one parameter. */
function isNamesake(pattern: string, word: string): boolean {
  const at = pattern.indexOf('=');
  return at !== -1 && fold(word).startsWith(fold(pattern.slice(0, at + 1)));
}

function fold(word: string): string {
  const end = word.indexOf('=');
  return end === -1 ? word.replaceAll('-', '_') : word.slice(0, end).replaceAll('-', '_') + word.slice(end);
}

/** One character a byte, since the kernel knows bytes only. */
function toLatin1(text: string): string {
  let out = '';
  for (const byte of fromUtf8(text)) out += String.fromCharCode(byte);
  return out;
}

function fromLatin1(text: string): string {
  return new TextDecoder().decode(Uint8Array.from(text, (character) => character.charCodeAt(0)));
}
