import { defineConfig } from 'vitest/config';

// Long runs that are started by hand: whole networks, many seeds, large inputs.
export default defineConfig({
  test: {
    include: ['{packages,apps,scripts,examples}/**/*.slow.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 1_800_000,
    hookTimeout: 300_000,
  },
});
