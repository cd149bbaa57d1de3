import { execFile, spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, normalize } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleForBrowser } from './bundle.ts';
import type { Outcome } from './vector-checks.ts';

const VECTORS = join(import.meta.dirname, '../../vectors');
const PAGE = '<!doctype html><body><script type="module" src="page.js"></script></body>';
const run = promisify(execFile);
let server: Server;

beforeAll(async () => {
  installChromium();
  const script = await bundleForBrowser('scripts/browser/page.ts');
  server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(request.url ?? '/'));
    if (path === '/') response.setHeader('content-type', 'text/html').end(PAGE);
    else if (path === '/page.js') response.setHeader('content-type', 'text/javascript').end(script);
    else if (path.startsWith('/vectors/'))
      response.end(await readFile(join(VECTORS, path.slice('/vectors/'.length))));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterAll(() => new Promise((resolve) => server.close(resolve)));

test('every vector of the verifying half holds in headless Chromium', async () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  // No sandbox: root may not have one, and the page is our own. Virtual time waits for the page's own work.
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--virtual-time-budget=600000', '--dump-dom'];
  const { stdout } = await run('chromium', [...flags, url], { maxBuffer: 1 << 24 });
  const body = /<body>([\s\S]*?)<\/body>/.exec(stdout)?.[1] ?? '';
  expect(body).toMatch(/^\{/);
  const { checked, wrong } = JSON.parse(body) as Outcome;
  expect(wrong).toEqual([]);
  expect(checked).toBeGreaterThan(50);
  const version = spawnSync('chromium', ['--version'], { encoding: 'utf8' }).stdout.trim();
  console.log(`${checked} checks of vectors hold in ${version}`);
});

/** Not part of set-up: no other command needs a browser. */
function installChromium(): void {
  if (spawnSync('chromium', ['--version']).status === 0) return;
  console.log('installing chromium ...');
  const apt = ['install', '-q', '-y', '--no-install-recommends', 'chromium'];
  const { status, stderr } = spawnSync('apt-get', apt, {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (status !== 0) throw new Error(`chromium is missing and apt cannot install it: ${stderr}`);
}
