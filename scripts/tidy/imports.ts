import { dirname, posix } from 'node:path';
import { isTestFile, isTypeScript, lineAt, type Problem, type Repository, type TextFile } from './files.ts';
import { importsOf, scan } from './source.ts';

/** Who may import whom directly (ARCHITECTURE.md); what is allowed to a room is allowed to those that use it. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  'packages/core': [],
  'packages/tpm': ['packages/core'],
  'packages/vrf': ['packages/core'],
  'packages/consensus': ['packages/core'],
  'packages/attestation': ['packages/tpm'],
  'packages/capsule': ['packages/attestation'],
  'packages/membership': ['packages/attestation', 'packages/vrf', 'packages/consensus'],
  'packages/sdk': ['packages/membership', 'packages/capsule', 'contracts'],
  'packages/node': ['packages/sdk', 'contracts'],
  'apps/cli': ['packages/node'],
  'packages/simulator': ['packages/node'],
  contracts: ['packages/core'],
};

/** Rooms that start, record or measure everything else; nothing imports them. */
const FREE_ROOMS = ['scripts', 'bench', 'fuzz', 'images', 'examples', 'vectors'];
const SCOPE = '@nemea/';

export function allowedImports(room: string): ReadonlySet<string> {
  const allowed = new Set<string>();
  const add = (name: string): void => {
    for (const next of ARROWS[name] ?? []) {
      if (allowed.has(next)) continue;
      allowed.add(next);
      add(next);
    }
  };
  add(room);
  return allowed;
}

/** `packages/tpm/src/quote.ts` -> `packages/tpm`; `scripts/tidy.ts` -> `scripts`. */
export function roomOf(path: string): string {
  const [top = '', second = ''] = path.split('/');
  return top === 'packages' || top === 'apps' ? `${top}/${second}` : path.includes('/') ? top : '';
}

type Manifest = {
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
};

export function checkImports(repository: Repository): Problem[] {
  const manifests = new Map<string, Manifest>();
  for (const file of repository.files) {
    if (/^(?:(?:packages|apps)\/[^/]+\/)?package\.json$/.test(file.path)) {
      manifests.set(file.path.replace(/\/?package\.json$/, ''), JSON.parse(file.text) as Manifest);
    }
  }
  return repository.files
    .filter((file) => isTypeScript(file.path) && roomOf(file.path) !== '')
    .flatMap((file) => checkFile(file, repository, manifests));
}

function checkFile(file: TextFile, repository: Repository, manifests: Map<string, Manifest>): Problem[] {
  const problems: Problem[] = [];
  const room = roomOf(file.path);
  const source = scan(file.text);
  for (const { specifier, offset } of importsOf(source)) {
    const report = (rule: string, message: string): void => {
      problems.push({ rule, path: file.path, line: lineAt(file.text, offset), message });
    };
    if (specifier.startsWith('.')) {
      const target = posix.normalize(posix.join(dirname(file.path), specifier));
      if (target.startsWith('..')) report('import-escape', `${specifier} leaves the repository`);
      else if (!repository.paths.has(target) && !isGenerated(target)) {
        report('import-missing', `${specifier} names no file: ${target}`);
      } else if (roomOf(target) !== room) checkRoom(room, roomOf(target), target, report);
      // The room of benchmarks is measured by one command, which imports them all.
      const isOwnBench = room === 'bench' && roomOf(target) === 'bench';
      if (isTestFile(target) && !isTestFile(file.path) && !isOwnBench) {
        report('import-testing', `${specifier} is for tests only`);
      }
    } else if (specifier.startsWith(SCOPE)) {
      const name = specifier.slice(SCOPE.length).split('/')[0] ?? '';
      const target = manifests.has(`apps/${name}`) ? `apps/${name}` : `packages/${name}`;
      if (target === room) report('import-self', `${specifier} is this package: use a relative path`);
      else checkRoom(room, target, specifier, report);
      checkDeclared(file.path, room, `${SCOPE}${name}`, manifests, report);
    } else if (!specifier.startsWith('node:')) {
      const parts = specifier.split('/');
      const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
      checkDeclared(file.path, room, name, manifests, report);
    }
  }
  return problems;
}

type Report = (rule: string, message: string) => void;

/** A relative path may leave its room only for the contracts: packages are reached by their names. */
function checkRoom(room: string, target: string, named: string, report: Report): void {
  if (FREE_ROOMS.includes(room)) return;
  if (!allowedImports(room).has(target)) {
    report('import-order', `${room} may not import ${target} (${named})`);
  } else if (!named.startsWith('@') && target !== 'contracts') {
    report('import-escape', `${named} is reached by a path: import ${SCOPE}${target.split('/')[1]} instead`);
  }
}

/** An undeclared package works only by luck of hoisting. Rooms without a manifest share the root's node_modules. */
function checkDeclared(
  path: string,
  room: string,
  name: string,
  manifests: Map<string, Manifest>,
  report: Report,
): void {
  const own = manifests.get(room);
  if (own === undefined) return;
  const root = manifests.get('');
  const forTests = isTestFile(path) ? { ...root?.devDependencies, ...own.devDependencies } : {};
  if (name in { ...own.dependencies, ...forTests }) return;
  report('import-undeclared', `${name} is not among the dependencies in ${room}/package.json`);
}

function isGenerated(path: string): boolean {
  return /(?:^|\/)node_modules\//.test(path);
}
