import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A text file of the repository; `path` is relative to its root and uses `/`. */
export type TextFile = { readonly path: string; readonly text: string };

/** The tree that the rules judge, handed to them whole, so that a test can make one up. */
export type Repository = {
  readonly files: readonly TextFile[];
  /** Every file and folder, text or not. */
  readonly paths: ReadonlySet<string>;
};

/** One finding. `line` is 0 when the whole file or the tree is meant. */
export type Problem = {
  readonly rule: string;
  readonly path: string;
  readonly line: number;
  readonly message: string;
};

/** Folders that tools write, as in .gitignore. */
const GENERATED =
  /^(?:.*\/)?(?:node_modules|\.git|\.nemea|coverage|dist)$|^contracts\/(?:out|cache)(?:-[^/]*)?$/;
const TEXT =
  /(?:\.(?:ts|js|mjs|cjs|json|sol|toml|md|sh|py|yml|yaml|txt)|\/(?:run|solc)|^\.(?:gitignore|npmrc))$/;

export function readRepository(root: string): Repository {
  const files: TextFile[] = [];
  const paths = new Set<string>();
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (GENERATED.test(path)) continue;
      paths.add(path);
      if (entry.isDirectory()) visit(path);
      else if (entry.isFile() && TEXT.test(path)) {
        files.push({ path, text: readFileSync(join(root, path), 'utf8') });
      }
    }
  };
  visit('');
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { files, paths };
}

export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let i = text.indexOf('\n'); i !== -1 && i < offset; i = text.indexOf('\n', i + 1)) line++;
  return line;
}

export function isTypeScript(path: string): boolean {
  return path.endsWith('.ts') && !path.endsWith('.d.ts');
}

/** Tests, slow tests, benchmarks, fuzzing, and the helpers that only they import. */
export function isTestFile(path: string): boolean {
  if (/\.(?:test|slow|bench)\.ts$/.test(path)) return true;
  if (path.startsWith('fuzz/')) return true;
  return /^(?:packages|apps)\/(?:.*\/)?(?:tests?\/|testing\/|(?:testing|compliance|test-[a-z-]+)\.ts$)/.test(
    path,
  );
}
