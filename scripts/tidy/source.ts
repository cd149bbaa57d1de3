/** TypeScript text with parts blanked out by spaces: offsets and line breaks stay as they were. */
export type Source = {
  /** Without comments. */
  readonly code: string;
  /** Without comments and without the contents of strings, templates and regular expressions. */
  readonly bare: string;
};

export type Import = {
  readonly specifier: string;
  /** The names between braces, or the whole clause; empty for `import './x.ts'` and `import('./x.ts')`. */
  readonly clause: string;
  readonly typeOnly: boolean;
  readonly offset: number;
};

/** What may stand before a `/` that starts a regular expression; after anything else it divides. */
const BEFORE_REGEX =
  /(?:^|[=(,[:!&|?{};<>+\-*%~^]|\b(?:return|typeof|case|in|of|void|delete|throw|yield|await))\s*$/;
const STATIC_IMPORT =
  /(?<![\w$.])(?:import|export)\s+(?<clause>(?:type\s+)?[\w$*{][\w$\s*,{}]*?)\s*from\s*(?<quote>['"])(?<specifier>[^'"\n]+)\k<quote>/g;
const BARE_IMPORT = /(?<![\w$.])import\s*(?<quote>['"])(?<specifier>[^'"\n]+)\k<quote>/g;
const CALLED_IMPORT =
  /(?<![\w$])(?:import|require|import\.meta\.resolve)\s*\(\s*(?<quote>['"`])(?<specifier>[^'"`\n]+)\k<quote>/g;

/** A scanner, not a parser: enough to tell code from what is only text. */
export function scan(text: string): Source {
  const code = [...text];
  const bare = [...text];
  const chars = [...text];
  if (chars.length !== text.length) return scan(text.replace(/[\u{10000}-\u{10ffff}]/gu, '  '));
  const blank = (target: string[], from: number, to: number): void => {
    for (let i = from; i < to; i++) if (target[i] !== '\n') target[i] = ' ';
  };
  /** Depth of braces inside each open `${`. */
  const templates: number[] = [];
  let at = 0;

  const skipQuoted = (end: string): void => {
    const from = at + 1;
    at++;
    let inClass = false;
    while (at < text.length) {
      const char = text[at];
      if (char === '\\') at++;
      else if (char === '\n') break;
      else if (end === '/' && char === '[') inClass = true;
      else if (end === '/' && char === ']') inClass = false;
      else if (char === end && !inClass) break;
      at++;
    }
    blank(bare, from, Math.min(at, text.length));
    at++;
  };
  const skipTemplate = (): void => {
    const from = at;
    while (at < text.length) {
      if (text[at] === '\\') at++;
      else if (text[at] === '`') break;
      else if (text.startsWith('${', at)) {
        blank(bare, from, at);
        templates.push(0);
        at += 2;
        return;
      }
      at++;
    }
    blank(bare, from, Math.min(at, text.length));
    at++;
  };

  while (at < text.length) {
    const char = text[at];
    const depth = templates.at(-1);
    if (text.startsWith('//', at) || text.startsWith('/*', at)) {
      const close = text[at + 1] === '/' ? text.indexOf('\n', at) : text.indexOf('*/', at + 2) + 2;
      const end = close <= at ? text.length : close;
      blank(code, at, end);
      blank(bare, at, end);
      at = end;
    } else if (char === "'" || char === '"') skipQuoted(char);
    else if (char === '/' && BEFORE_REGEX.test(bare.slice(Math.max(0, at - 40), at).join('')))
      skipQuoted('/');
    else if (char === '`') {
      at++;
      skipTemplate();
    } else if (char === '}' && depth === 0) {
      templates.pop();
      at++;
      skipTemplate();
    } else {
      if (depth !== undefined && char === '{') templates[templates.length - 1] = depth + 1;
      if (depth !== undefined && char === '}') templates[templates.length - 1] = depth - 1;
      at++;
    }
  }
  return { code: code.join(''), bare: bare.join('') };
}

/** Every module that the text names, statically or by a call with a literal. */
export function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  for (const pattern of [STATIC_IMPORT, BARE_IMPORT, CALLED_IMPORT]) {
    for (const match of source.code.matchAll(pattern)) {
      // The same letters inside a string are not an import.
      if (source.bare[match.index] !== source.code[match.index]) continue;
      const clause = match.groups?.clause ?? '';
      found.push({
        specifier: match.groups?.specifier ?? '',
        clause,
        typeOnly: /^type\s/.test(clause) && !/^type\s*$/.test(clause),
        offset: match.index,
      });
    }
  }
  return found.sort((a, b) => a.offset - b.offset);
}
