import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { BUNDLE_BYTES_MAX, verifyingBundleBytes } from './bundle.ts';
import { checkVectors } from './vector-checks.ts';

test('the verifying half bundles for a browser without any Node module, within its size limit', async () => {
  const bytes = await verifyingBundleBytes();
  console.log(`verifying half: ${bytes} bytes minified and gzipped, at most ${BUNDLE_BYTES_MAX}`);
  expect(bytes).toBeLessThanOrEqual(BUNDLE_BYTES_MAX);
});

test('the vectors that the browser test checks hold in Node too', async () => {
  const read = (path: string) => readFile(new URL(`../../vectors/${path}`, import.meta.url));
  const { checked, wrong } = await checkVectors(async (path) => new Uint8Array(await read(path)));
  expect(wrong).toEqual([]);
  expect(checked).toBeGreaterThan(50);
});
