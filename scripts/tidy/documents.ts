import { dirname, posix } from 'node:path';
import { lineAt, type Problem, type Repository, type TextFile } from './files.ts';

const HOUSE_PLAN = 'ARCHITECTURE.md';
const GUIDES: readonly string[] = ['README.md', 'CONTRIBUTING.md'];
const NPM_SCRIPT = /\bnpm (?:test\b|run (?:-s )?(?<name>[a-z][\w:-]*))/g;
const LINK = /\]\((?<target>[^)\s#]+)(?:#[^)]*)?\)/g;
const INLINE_CODE = /`(?<path>[\w.-]+(?:\/[\w.-]+)*\/?)`/g;
/** A folder line of the layout block: indentation, then a name that ends in a slash. */
const FOLDER_LINE = /^(?<indent> *)(?<name>[\w.-]+(?:\/[\w.-]+)*)\/(?=\s|$)/;

/** The plan of the house names every room and no room that is gone; no document links to nothing. */
export function checkDocuments(repository: Repository): Problem[] {
  const problems: Problem[] = [];
  for (const file of repository.files) {
    if (file.path.endsWith('.md')) problems.push(...checkLinks(file, repository));
  }
  problems.push(...checkScripts(repository));
  const plan = repository.files.find((file) => file.path === HOUSE_PLAN);
  if (plan === undefined) {
    problems.push({ rule: 'plan-missing', path: HOUSE_PLAN, line: 0, message: 'the house has no plan' });
  } else {
    problems.push(...checkPlan(plan, repository));
  }
  return problems;
}

/** A command that no guide tells of is found by nobody; one that is gone misleads. */
function checkScripts({ files }: Repository): Problem[] {
  const manifest = files.find(({ path }) => path === 'package.json');
  if (manifest === undefined) return [];
  const { scripts = {} } = JSON.parse(manifest.text) as { scripts?: Record<string, string> };
  const guides = files.filter(({ path }) => GUIDES.includes(path));
  const told = guides.flatMap(({ path, text }) =>
    [...text.matchAll(NPM_SCRIPT)].map((match) => ({
      path,
      line: lineAt(text, match.index),
      name: match.groups?.name ?? 'test',
    })),
  );
  const untold = Object.keys(scripts).filter((name) => !told.some((it) => it.name === name));
  const gone = told.filter(({ name }) => !Object.hasOwn(scripts, name));
  return [
    ...untold.map((name) => ({
      rule: 'script-untold',
      path: manifest.path,
      line: 0,
      message: `no guide tells of npm run ${name}`,
    })),
    ...gone.map(({ path, line, name }) => ({
      rule: 'script-gone',
      path,
      line,
      message: `there is no npm run ${name}`,
    })),
  ];
}

function checkLinks(file: TextFile, { paths }: Repository): Problem[] {
  const problems: Problem[] = [];
  for (const match of file.text.matchAll(LINK)) {
    const target = match.groups?.target ?? '';
    if (/^(?:[a-z][a-z0-9+.-]*:|#)/i.test(target)) continue;
    const path = posix.normalize(posix.join(dirname(file.path), target)).replace(/\/$/, '');
    if (path === '.' || paths.has(path)) continue;
    const line = lineAt(file.text, match.index);
    problems.push({ rule: 'link-dead', path: file.path, line, message: `${target} is not there` });
  }
  return problems;
}

function checkPlan(plan: TextFile, { paths }: Repository): Problem[] {
  const problems: Problem[] = [];
  const report = (rule: string, line: number, message: string): void => {
    problems.push({ rule, path: plan.path, line, message });
  };
  const named = new Map(plannedFolders(plan.text).map((folder) => [folder.path, folder.line]));
  for (const [path, line] of named) {
    if (!paths.has(path)) report('plan-stale', line, `${path}/ is gone`);
  }
  for (const room of rooms(paths)) {
    if (!named.has(room)) report('plan-incomplete', 0, `${room}/ is not in the layout`);
  }
  for (const match of plan.text.matchAll(INLINE_CODE)) {
    const path = (match.groups?.path ?? '').replace(/\/$/, '');
    const top = path.split('/')[0] ?? '';
    if (!path.includes('/') || !paths.has(top) || paths.has(path)) continue;
    report('plan-stale', lineAt(plan.text, match.index), `${path} is gone`);
  }
  return problems;
}

/** Every top-level folder, and every package and app: the rooms that a newcomer must be able to find. */
function rooms(paths: ReadonlySet<string>): string[] {
  const folders = new Set<string>();
  for (const path of paths) {
    const [top = '', second = '', third] = path.split('/');
    if (second !== '') folders.add(top);
    if ((top === 'packages' || top === 'apps') && third !== undefined) folders.add(`${top}/${second}`);
  }
  return [...folders].sort();
}

type PlannedFolder = { readonly path: string; readonly line: number };

/** The folders of the first fenced block, nested by indentation. */
export function plannedFolders(text: string): PlannedFolder[] {
  const folders: PlannedFolder[] = [];
  const open: { indent: number; path: string }[] = [];
  let fenced = false;
  for (const [index, line] of text.split('\n').entries()) {
    if (line.startsWith('```')) {
      if (fenced) break;
      fenced = true;
      continue;
    }
    const match = fenced ? FOLDER_LINE.exec(line) : null;
    if (match === null) continue;
    const indent = match.groups?.indent?.length ?? 0;
    while ((open.at(-1)?.indent ?? -1) >= indent) open.pop();
    const parent = open.at(-1)?.path;
    const name = match.groups?.name ?? '';
    const path = parent === undefined ? name : `${parent}/${name}`;
    open.push({ indent, path });
    folders.push({ path, line: index + 1 });
  }
  return folders;
}
