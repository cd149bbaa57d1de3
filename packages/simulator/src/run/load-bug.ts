/** Preloaded into the workers of a mutation run: puts one bug into production code while it is loaded. */
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { BUGS, mutate, pathOf } from './bugs.ts';

const bug = BUGS.find(({ name }) => name === process.env.NEMEA_SIMULATE_BUG);
if (bug !== undefined) {
  const path = pathOf(bug);
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      if (!url.startsWith('file:') || fileURLToPath(url) !== path) return loaded;
      return { ...loaded, source: mutate(bug, String(loaded.source)) };
    },
  });
}
