import { ImaError } from './errors.ts';

export const GLOB_LENGTH_MAX = 1024;
/** Twice PATH_MAX of Linux; what is longer matches no pattern. */
const PATH_LENGTH_MAX = 8192;

/** A pattern of paths: `*` is any run of characters but `/`, `**` of any characters, `?` one but `/`; `\` takes the next literally. */
export interface Glob {
  readonly text: string;
  /** What a path must start with, up to the first wildcard. */
  readonly prefix: string;
  readonly tokens: readonly Token[];
}

type Token = { readonly kind: 'literal'; readonly character: string } | { readonly kind: '?' | '*' | '**' };

/** Throws `IMA_POLICY_INVALID`. */
export function parseGlob(text: string): Glob {
  if (text.length === 0 || text.length > GLOB_LENGTH_MAX) {
    throw new ImaError('IMA_POLICY_INVALID', `pattern: got ${text.length} characters`);
  }
  const tokens: Token[] = [];
  for (let i = 0; i < text.length; i++) {
    const character = text[i] as string;
    if (character === '*') {
      const any = text[i + 1] === '*';
      if (any) i++;
      tokens.push({ kind: any ? '**' : '*' });
    } else if (character === '?') {
      tokens.push({ kind: '?' });
    } else {
      if (character === '\\') i++;
      const literal = text[i];
      if (literal === undefined)
        throw new ImaError('IMA_POLICY_INVALID', `pattern ${text}: ends in a backslash`);
      tokens.push({ kind: 'literal', character: literal });
    }
  }
  return { text, prefix: prefixOf(tokens), tokens };
}

function prefixOf(tokens: readonly Token[]): string {
  let prefix = '';
  for (const token of tokens) {
    if (token.kind !== 'literal') break;
    prefix += token.character;
  }
  return prefix;
}

/** Steps are at most length of path times length of pattern, whatever both are. */
export function matchesGlob({ prefix, tokens }: Glob, path: string): boolean {
  if (path.length > PATH_LENGTH_MAX || !path.startsWith(prefix)) return false;
  const rest = tokens.slice(prefix.length);
  if (rest.length === 1 && rest[0]?.kind === '**') return true;
  // Which starts of the pattern match what was read so far.
  let states = reachable(rest, [true]);
  for (let i = prefix.length; i < path.length; i++) {
    const character = path[i] as string;
    const next: boolean[] = [];
    for (let at = 0; at < rest.length; at++) {
      if (!states[at]) continue;
      const token = rest[at] as Token;
      if (token.kind === '**' || (token.kind === '*' && character !== '/')) next[at] = true;
      if (token.kind === '?' && character !== '/') next[at + 1] = true;
      if (token.kind === 'literal' && character === token.character) next[at + 1] = true;
    }
    if (next.length === 0) return false;
    states = reachable(rest, next);
  }
  return states[rest.length] === true;
}

/** A wildcard may also match nothing. */
function reachable(tokens: readonly Token[], states: boolean[]): boolean[] {
  for (let at = 0; at < tokens.length; at++) {
    const kind = tokens[at]?.kind;
    if (states[at] && (kind === '*' || kind === '**')) states[at + 1] = true;
  }
  return states;
}
