import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';

const root = join(import.meta.dirname, '../..');
export const BUNDLE_BYTES_MAX = 200_000;

/** Bundles a module for browsers. A Node-only import fails here. */
export async function bundleForBrowser(input: string): Promise<string> {
  const bundle = await rolldown({
    input,
    cwd: root,
    platform: 'browser',
    onwarn: (warning) => fail(warning.message),
  });
  const { output } = await bundle.generate({ format: 'esm', minify: true, codeSplitting: false });
  await bundle.close();
  return output[0].code;
}

function fail(message: string | undefined): never {
  throw new Error(`bundling for a browser: ${message}`);
}

/** Size on the wire of everything that the verifying half exports. */
export async function verifyingBundleBytes(): Promise<number> {
  const code = await bundleForBrowser('scripts/browser/verifying.ts');
  return gzipSync(code, { level: 9 }).length;
}
