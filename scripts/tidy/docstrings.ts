import { posix } from 'node:path';
import { lineAt, type Problem, type Repository, type TextFile } from './files.ts';

/** The packages that strangers install; `npm run docs:api` writes their reference. */
const PUBLISHED = ['packages/tpm', 'packages/attestation'];
const RE_EXPORT =
  /^export\s+(?:type\s+)?(?:(?<all>\*)|\{(?<names>[^}]*)\})\s+from\s+'(?<specifier>\.[^']+)';?/gm;
const DECLARATION =
  /^export\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:function\*?|const|let|class|type|interface)\s+(?<name>\w+)/gm;

/** Whatever an entry of a published package exports says in a sentence what it is: the reference has no blank lines. */
export function checkDocstrings({ files }: Repository): Problem[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const problems = new Map<string, Problem>();
  for (const room of PUBLISHED) {
    const manifest = byPath.get(`${room}/package.json`);
    if (manifest === undefined) continue;
    const { exports = {} } = JSON.parse(manifest.text) as { exports?: Record<string, string> };
    for (const [entry, source] of Object.entries(exports)) {
      if (entry.endsWith('/testing')) continue;
      for (const found of declarations(byPath, posix.join(room, source))) {
        if (!found.isDocumented) problems.set(`${found.path} ${found.name}`, problemOf(found));
      }
    }
  }
  return [...problems.values()];
}

interface Declared {
  readonly name: string;
  readonly path: string;
  readonly line: number;
  readonly isDocumented: boolean;
}

/** What a module exports, its own and what it passes on, where it is declared. */
function declarations(files: ReadonlyMap<string, TextFile>, path: string): Declared[] {
  const file = files.get(path);
  if (file === undefined) return [];
  const own = [...file.text.matchAll(DECLARATION)].map(({ index, groups }) => ({
    name: groups?.name ?? '',
    path,
    line: lineAt(file.text, index),
    isDocumented: file.text.slice(0, index).trimEnd().endsWith('*/'),
  }));
  const passed = [...file.text.matchAll(RE_EXPORT)].flatMap((match) => {
    const { names, specifier = '' } = match.groups ?? {};
    const all = declarations(files, posix.join(posix.dirname(path), specifier));
    if (names === undefined) return all;
    const wanted = names.split(',').map(
      (name) =>
        name
          .trim()
          .replace(/^type\s+/, '')
          .split(/\s+as\s+/)[0],
    );
    return all.filter(({ name }) => wanted.includes(name));
  });
  return [...own, ...passed];
}

function problemOf({ name, path, line }: Declared): Problem {
  const message = `${name} is exported to strangers without a docstring`;
  return { rule: 'export-undocumented', path, line, message };
}
