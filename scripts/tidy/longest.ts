import { isTypeScript, lineAt, type Repository } from './files.ts';
import { scan } from './source.ts';

export type Length = { readonly name: string; readonly lines: number };

const FUNCTION_START =
  /(?<![\w$.])(?:function\s*\*?\s*(?<declared>[\w$]+)|(?:const|let)\s+(?<assigned>[\w$]+)\s*(?::[^=\n]+)?=\s*(?:async\s*)?(?=\(|<)|^ {2}(?:(?:static|async|private|protected|override|get|set)\s+)*(?<method>[#\w$]+)(?=\())/gm;
const NOT_METHODS = new Set(['if', 'for', 'while', 'switch', 'catch', 'return', 'expect', 'describe', 'it']);

/** For the eye only: no number here fails anything. */
export function longestFiles(repository: Repository, count: number): Length[] {
  return repository.files
    .filter((file) => /\.(?:ts|sol)$/.test(file.path) && file.path !== 'contracts/abi.ts')
    .map((file) => ({ name: file.path, lines: file.text.split('\n').length }))
    .sort((a, b) => b.lines - a.lines)
    .slice(0, count);
}

export function longestFunctions(repository: Repository, count: number): Length[] {
  const lengths: Length[] = [];
  for (const file of repository.files) {
    if (!isTypeScript(file.path) || /\.(?:test|slow|bench)\.ts$/.test(file.path)) continue;
    const { bare } = scan(file.text);
    for (const match of bare.matchAll(FUNCTION_START)) {
      const name = match.groups?.declared ?? match.groups?.assigned ?? match.groups?.method ?? '';
      if (match.groups?.method !== undefined && NOT_METHODS.has(name)) continue;
      const end = endOfBody(bare, match.index);
      if (end === undefined) continue;
      const first = lineAt(bare, match.index);
      lengths.push({ name: `${file.path}:${first} ${name}`, lines: lineAt(bare, end) - first + 1 });
    }
  }
  return lengths.sort((a, b) => b.lines - a.lines).slice(0, count);
}

/** The offset of the brace that closes the first body after `start`; undefined when a `;` comes first. */
function endOfBody(bare: string, start: number): number | undefined {
  let round = 0;
  let curly = 0;
  let opened = false;
  for (let at = start; at < bare.length; at++) {
    const char = bare[at];
    if (char === '(') round++;
    else if (char === ')') round--;
    else if (char === ';' && round === 0 && curly === 0) return undefined;
    else if (char === '{' && round === 0) {
      curly++;
      opened = true;
    } else if (char === '}' && round === 0) {
      curly--;
      // A brace that closes before `=>` or `{` belonged to a type, not to the body.
      if (opened && curly === 0 && !/^\s*(?:\{|=>|\||&|\[\])/.test(bare.slice(at + 1, at + 20))) return at;
    }
  }
  return undefined;
}
