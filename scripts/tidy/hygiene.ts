import { isTestFile, isTypeScript, lineAt, type Problem, type Repository, type TextFile } from './files.ts';
import { scan } from './source.ts';

type Rule = {
  readonly name: string;
  /** Written so that it does not match itself. */
  readonly pattern: RegExp;
  readonly message: string;
  readonly applies: (path: string) => boolean;
  /** Look only at code, not at comments and strings. */
  readonly codeOnly?: boolean;
};

const isProse = (path: string): boolean => path.endsWith('.md');
const isCode = (path: string): boolean => !isProse(path) && path !== 'package-lock.json';
const everywhere = (path: string): boolean => path !== 'package-lock.json';

const RULES: readonly Rule[] = [
  {
    name: 'loose-end',
    pattern: /\b(?:TO[D]O|FIX[M]E|XX[X])\b(?!.{0,12}#\d+)/g,
    message: 'a loose end names its issue, as in (#12)',
    applies: isCode,
  },
  {
    name: 'machine-path',
    pattern: /(?<![\w.$}\])*~-])\/(?:work|home|root|farm|Users)\/[\w.-]/g,
    message: "a path of one person's machine",
    applies: everywhere,
  },
  {
    name: 'registry-address',
    // RFC 2606 reserves .example and .test for examples.
    pattern:
      /https?:\/\/(?![^\s'"`)/]*\.(?:example|test)\b)[^\s'"`)/]*(?:registry|artifact|verdaccio|nexus|mirror)[^\s'"`)]*/gi,
    message: "a registry's address: the machine's own npm and apt settings name it",
    applies: everywhere,
  },
  {
    name: 'test-left-out',
    pattern:
      /(?<![\w$.])(?:(?:describe|it|test|suite|bench)\.(?:concurrent\.|sequential\.)?(?:only|skip|skipIf|runIf|todo|fails)|[xf](?:it|describe)\s*\()/g,
    message: 'every test runs, and runs with all others',
    applies: isTestFile,
    codeOnly: true,
  },
  {
    name: 'test-left-out',
    pattern: /\bvm\s*\.\s*skip\s*\(/g,
    message: 'every test runs, and runs with all others',
    applies: (path) => path.endsWith('.t.sol'),
  },
  {
    name: 'type-lie',
    pattern: /\bas\s+unknown\s+as\b/g,
    message: 'a cast through unknown hides what the types would say',
    applies: isTypeScript,
    codeOnly: true,
  },
  {
    name: 'type-lie',
    pattern: /@ts-(?:ignore|nocheck)\b/g,
    message: 'a silenced type error hides what the types would say',
    applies: (path) => isTypeScript(path) && path !== 'scripts/tidy/hygiene.ts',
  },
];

const FILE_NAME = /^(?:\.?[a-z0-9]+(?:-[a-z0-9]+)*)(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)*$/;
/** What compilers and profilers leave where they are started. */
const LEFTOVER = /\.(?:log|cpuprofile|heapsnapshot|heapprofile|orig|rej|bak|tmp)$/;
const HEAD_COMMENT = /^(?:#![^\n]*\n)?\s*\/\*\*/;

/** What no file may contain, and what files are called. */
export function checkHygiene(repository: Repository): Problem[] {
  const problems: Problem[] = [...repository.paths]
    .filter((path) => LEFTOVER.test(path))
    .map((path) => ({ rule: 'leftover', path, line: 0, message: 'a file that a tool has left behind' }));
  for (const file of repository.files) {
    problems.push(...checkText(file));
    if (isTypeScript(file.path)) problems.push(...checkShape(file));
    if (file.path === 'package-lock.json') problems.push(...checkLockfile(file, repository));
  }
  return problems;
}

function checkText(file: TextFile): Problem[] {
  const rules = RULES.filter((rule) => rule.applies(file.path));
  const bare = rules.some((rule) => rule.codeOnly === true) ? scan(file.text).bare : '';
  return rules.flatMap((rule) =>
    [...(rule.codeOnly === true ? bare : file.text).matchAll(rule.pattern)].map((match) => ({
      rule: rule.name,
      path: file.path,
      line: lineAt(file.text, match.index),
      message: `${match[0].trim()}: ${rule.message}`,
    })),
  );
}

function checkShape(file: TextFile): Problem[] {
  const problems: Problem[] = [];
  const report = (rule: string, message: string): void => {
    problems.push({ rule, path: file.path, line: 0, message });
  };
  const name = file.path.split('/').at(-1) ?? '';
  if (!FILE_NAME.test(name)) report('file-name', `${name}: file names are kebab-case`);
  if (/^packages\/[^/]+\/src\/index\.ts$/.test(file.path)) {
    if (!HEAD_COMMENT.test(file.text)) {
      report('index-head', 'a package opens with a comment: what it is, what it trusts, what it does not do');
    }
    const rest = scan(file.text).code.replace(
      /export\s+(?:type\s+)?(?:\*|\*\s+as\s+\w+|\{[^}]*\})\s+from\s+(['"])[^'"]+\1\s*;?/g,
      '',
    );
    if (rest.trim() !== '') report('index-code', 'an index only re-exports');
  }
  return problems;
}

type Lockfile = {
  readonly packages: Record<
    string,
    { readonly resolved?: string; readonly link?: boolean } & Record<string, unknown>
  >;
};
const DEPENDENCY_KINDS = ['dependencies', 'devDependencies', 'optionalDependencies'];

/** A lockfile that names one registry does not install from another; one that lags does not pin. */
function checkLockfile(file: TextFile, repository: Repository): Problem[] {
  const problems: Problem[] = [];
  const report = (rule: string, message: string): void => {
    problems.push({ rule, path: file.path, line: 0, message });
  };
  const { packages } = JSON.parse(file.text) as Lockfile;
  for (const [path, entry] of Object.entries(packages)) {
    if (entry.resolved !== undefined && entry.link !== true) {
      report('lockfile-address', `${path} is resolved to an address`);
    }
  }
  for (const manifest of repository.files) {
    if (!/^(?:(?:packages|apps)\/[^/]+\/)?package\.json$/.test(manifest.path)) continue;
    const room = manifest.path.replace(/\/?package\.json$/, '');
    const wanted = JSON.parse(manifest.text) as Record<string, unknown>;
    for (const kind of DEPENDENCY_KINDS) {
      const got = packages[room]?.[kind] ?? {};
      if (sortedJson(got) !== sortedJson(wanted[kind] ?? {})) {
        report('lockfile-stale', `${kind} of ${manifest.path} are not the locked ones: run npm install`);
      }
    }
  }
  return problems;
}

function sortedJson(record: unknown): string {
  return JSON.stringify(
    Object.entries(record as Record<string, string>).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}
