import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The TypeScript programs in the README of a package, in order. */
export function readmeExamples(name: string): string[] {
  const path = join(import.meta.dirname, '../packages', name, 'README.md');
  return [...readFileSync(path, 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(
    ([, source = '']) => source,
  );
}
