import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Repository, readRepository } from './tidy/files.ts';
import { longestFunctions } from './tidy/longest.ts';
import { tidy } from './tidy.ts';

/** A small tidy house; each test spoils one thing. */
const HOUSE: Readonly<Record<string, string>> = {
  'ARCHITECTURE.md':
    '# Plan\n```\napps/\n  cli/\npackages/\n  core/\n  tpm/\n  vrf/\n  node/\nscripts/\n```\n',
  'package.json': '{"devDependencies":{"vitest":"1.0.0"}}',
  'package-lock.json': '{"packages":{"":{"devDependencies":{"vitest":"1.0.0"}}}}',
  'apps/cli/src/main.ts': "import { start } from '@nemea/node';\nstart();\n",
  'apps/cli/package.json': '{"dependencies":{"@nemea/node":"0.1.0"}}',
  'packages/core/src/index.ts': "/** Bytes. */\nexport { bytes } from './bytes.ts';\n",
  'packages/core/src/bytes.ts': 'export const bytes = 1;\n',
  'packages/core/package.json': '{}',
  'packages/tpm/src/index.ts': "/** TPM. */\nexport * from './quote.ts';\n",
  'packages/tpm/src/quote.ts': "import { bytes } from '@nemea/core';\nexport const quote = bytes;\n",
  'packages/tpm/package.json': '{"dependencies":{"@nemea/core":"0.1.0"}}',
  'packages/vrf/src/prove.ts': 'export const prove = 1;\n',
  'packages/vrf/package.json': '{"dependencies":{"@nemea/core":"0.1.0","@nemea/tpm":"0.1.0"}}',
  'packages/node/src/loop.ts': 'export const start = (): void => undefined;\n',
  'packages/node/src/adapters/journal.ts': "import { open } from 'node:fs/promises';\nexport { open };\n",
  'packages/node/package.json': '{"dependencies":{"viem":"1.0.0"}}',
  'scripts/setup.ts':
    "import { quote } from '@nemea/tpm';\nimport { rm } from 'node:fs';\nrm(String(quote), () => undefined);\n",
};
const LOCKED: Readonly<Record<string, string>> = { 'package-lock.json': lockfileFor(HOUSE) };

function lockfileFor(house: Readonly<Record<string, string>>, extra: Record<string, unknown> = {}): string {
  const packages: Record<string, unknown> = { ...extra };
  for (const [path, text] of Object.entries(house)) {
    if (path.endsWith('package.json')) packages[path.replace(/\/?package\.json$/, '')] = JSON.parse(text);
  }
  return JSON.stringify({ packages });
}

function house(changes: Readonly<Record<string, string | undefined>> = {}): Repository {
  const texts: Record<string, string | undefined> = { ...HOUSE, ...LOCKED, ...changes };
  const files = Object.entries(texts).flatMap(([path, text]) => (text === undefined ? [] : [{ path, text }]));
  const paths = new Set<string>();
  for (const { path } of files) {
    for (
      let part = path;
      part !== '';
      part = part.includes('/') ? part.slice(0, part.lastIndexOf('/')) : ''
    ) {
      paths.add(part);
    }
  }
  return { files, paths };
}

/** `rule path:line` of every problem. */
function problems(changes: Readonly<Record<string, string | undefined>>): string[] {
  return tidy(house(changes)).map(({ rule, path, line }) => `${rule} ${path}:${line}`);
}

const SPEC = `# Rules
- **[TPM-1]** One.
- **[TPM-2]** Two.

| rule | what must hold |
|---|---|
| RUN-1 | A run ends. |
`;
const KEPT = {
  'ARCHITECTURE.md': `${HOUSE['ARCHITECTURE.md']?.replace('scripts/\n', 'scripts/\ndocs/\n')}`,
  'docs/spec/tpm.md': SPEC,
  'packages/tpm/src/rules.ts': '/** One [TPM-1], and two [TPM-2]. */\nexport const rules = 2;\n',
  'packages/tpm/src/rules.test.ts': "test('one [TPM-1]', one);\ntest('a run ends [RUN-1]', run);\n",
  'scripts/matrix/quote.ts': "export const row = ['flipped', 'TPM_REFUSED', 'TPM-2'];\n",
};

describe('rules of docs/spec', () => {
  it('are kept by code and shown by tests; those in tables are shown by tests', () => {
    expect(problems(KEPT)).toEqual([]);
  });

  it('are missed where no code, or no test, cites them', () => {
    expect(
      problems({ ...KEPT, 'packages/tpm/src/rules.ts': '/** [TPM-1] */\nexport const one = 1;\n' }),
    ).toEqual(['rule-unkept docs/spec/tpm.md:3']);
    expect(problems({ ...KEPT, 'scripts/matrix/quote.ts': 'export const row = 1;\n' })).toEqual([
      'rule-untested docs/spec/tpm.md:3',
    ]);
    expect(problems({ ...KEPT, 'packages/tpm/src/rules.test.ts': "test('one [TPM-1]', one);\n" })).toEqual([
      'rule-untested docs/spec/tpm.md:7',
    ]);
  });

  it('are not cited by a number that there is not, nor given twice', () => {
    expect(
      problems({ ...KEPT, 'packages/vrf/src/prove.ts': '// [TPM-9]\nexport const prove = 1;\n' }),
    ).toEqual(['rule-unknown packages/vrf/src/prove.ts:1']);
    expect(problems({ ...KEPT, 'docs/spec/tpm.md': `${SPEC}\n- **[TPM-1]** Again.\n` })).toEqual([
      'rule-twice docs/spec/tpm.md:9',
    ]);
  });
});

describe('what strangers may import from published packages', () => {
  const entry = (text: string, rest: Readonly<Record<string, string>> = {}) => ({
    'packages/tpm/package.json': '{"exports":{".":"./src/index.ts","./testing":"./src/testing.ts"}}',
    'packages/tpm/src/index.ts': `/** TPM. */\n${text}`,
    'packages/tpm/src/testing.ts': 'export const helper = 1;\n',
    ...rest,
  });
  const undocumented = (changes: Readonly<Record<string, string>>): string[] =>
    problems({ ...changes, 'package-lock.json': lockfileFor({ ...HOUSE, ...changes }) });

  it('has a docstring where it is declared, whoever passes it on', () => {
    const quote = '/** A quote. */\nexport type Quote = string;\nexport const bare = 1;\n';
    const rest = { 'packages/tpm/src/quote.ts': quote };
    expect(undocumented(entry("export { type Quote } from './quote.ts';\n", rest))).toEqual([]);
    const found = ['export-undocumented packages/tpm/src/quote.ts:3'];
    expect(undocumented(entry("export * from './quote.ts';\n", rest))).toEqual(found);
    expect(undocumented(entry("export { type Quote, bare as other } from './quote.ts';\n", rest))).toEqual(
      found,
    );
  });

  it('is found through other files that pass it on', () => {
    const rest = {
      'packages/tpm/src/all.ts': "export * from './quote.ts';\n",
      'packages/tpm/src/quote.ts': 'const quiet = 1;\nexport async function* bare(): void {}\n',
    };
    expect(undocumented(entry("export * from './all.ts';\n", rest))).toEqual([
      'export-undocumented packages/tpm/src/quote.ts:2',
    ]);
  });
});

describe('this repository', () => {
  it('keeps its own house rules', () => {
    const found = tidy(readRepository(join(import.meta.dirname, '..')));
    expect(found.map(({ path, line, message, rule }) => `${path}:${line} ${message} [${rule}]`)).toEqual([]);
  });
});

describe('import order', () => {
  it('finds nothing in a tidy house', () => {
    expect(problems({})).toEqual([]);
  });

  it('refuses a package that reaches up or sideways', () => {
    const upward = "import type { x } from '@nemea/node';\n";
    expect(problems({ 'packages/core/src/bytes.ts': upward })).toContain(
      'import-order packages/core/src/bytes.ts:1',
    );
    expect(problems({ 'packages/vrf/src/prove.ts': "\nimport { quote } from '@nemea/tpm';\n" })).toEqual([
      'import-order packages/vrf/src/prove.ts:2',
    ]);
  });

  it('refuses the same by subpath, by re-export, by call and in a test', () => {
    for (const text of [
      "import { sign } from '@nemea/tpm/commands';\n",
      "export * from '@nemea/tpm';\n",
      "export type { Quote } from '@nemea/tpm';\n",
      "import '@nemea/tpm';\n",
      "const tpm = await import('@nemea/tpm');\n",
      "import {\n  a,\n  type B,\n} from '@nemea/tpm';\n",
    ]) {
      expect(problems({ 'packages/vrf/src/prove.ts': text })).toEqual([
        'import-order packages/vrf/src/prove.ts:1',
      ]);
    }
    expect(problems({ 'packages/vrf/src/prove.test.ts': "import '@nemea/tpm';\n" })).toEqual([
      'import-order packages/vrf/src/prove.test.ts:1',
    ]);
  });

  it('refuses a relative path that leaves its package', () => {
    const text = "import { bytes } from '../../core/src/bytes.ts';\n";
    expect(problems({ 'packages/tpm/src/quote.ts': text })).toEqual([
      'import-escape packages/tpm/src/quote.ts:1',
    ]);
    const outside = "import { bytes } from '../../../../bytes.ts';\n";
    expect(problems({ 'packages/tpm/src/quote.ts': outside })).toEqual([
      'import-escape packages/tpm/src/quote.ts:1',
    ]);
  });

  it('refuses a name that its package does not declare, or that nothing has', () => {
    expect(problems({ 'packages/tpm/src/quote.ts': "import 'left-pad';\n" })).toEqual([
      'import-undeclared packages/tpm/src/quote.ts:1',
    ]);
    expect(problems({ 'packages/tpm/src/quote.ts': "import './gone.ts';\n" })).toEqual([
      'import-missing packages/tpm/src/quote.ts:1',
    ]);
  });

  it('lets tests use the tools of the root, and only tests use test helpers', () => {
    expect(problems({ 'packages/tpm/src/quote.test.ts': "import { it } from 'vitest';\n" })).toEqual([]);
    expect(
      problems({
        'packages/tpm/src/testing.ts': 'export const fake = 1;\n',
        'packages/tpm/src/quote.ts': "export { fake } from './testing.ts';\n",
      }),
    ).toEqual(['import-testing packages/tpm/src/quote.ts:1']);
  });

  it('is not misled by comments, strings and regular expressions', () => {
    const text = [
      "// import '@nemea/node';",
      "/* import '@nemea/node'; */",
      'const a = "import \'@nemea/node\';";',
      `const b = \`import '@nemea/node'; \${\`x\` + 1}\`;`,
      "const c = /['\"`]/.test(a + b) ? a.length / 2 / 1 : 0; // it's",
      'export const quote = c;',
      '',
    ].join('\n');
    expect(problems({ 'packages/tpm/src/quote.ts': text })).toEqual([]);
  });
});

describe('purity', () => {
  it('refuses I/O outside the adapters', () => {
    for (const text of [
      "import { readFile } from 'node:fs/promises';\n",
      "import net from 'node:net';\n",
      "import { createPublicClient } from 'viem';\n",
      "const text = await fetch('x');\n",
    ]) {
      expect(problems({ 'packages/node/src/loop.ts': text })).toEqual([
        'io-outside-adapters packages/node/src/loop.ts:1',
      ]);
    }
  });

  it('lets code have a method that is called like the global', () => {
    const text =
      'interface Peer {\n  fetch(from: string): Promise<void>;\n}\nexport const f = (p: Peer) => p.fetch("x");\n';
    expect(problems({ 'packages/node/src/loop.ts': text })).toEqual([]);
  });

  it('lets code compute with a library that can also do I/O', () => {
    expect(problems({ 'packages/node/src/loop.ts': "import { keccak256 } from 'viem';\n" })).toEqual([]);
  });

  it('refuses clocks, timers and randomness in a machine, but not in its tests', () => {
    for (const text of ['const now = Date.now();\n', 'setTimeout(f, 1);\n', 'const r = Math.random();\n']) {
      expect(problems({ 'packages/vrf/src/prove.ts': text })).toEqual([
        'impure-machine packages/vrf/src/prove.ts:1',
      ]);
      expect(problems({ 'packages/vrf/src/prove.test.ts': text })).toEqual([]);
      expect(problems({ 'packages/tpm/src/queue.ts': text })).toEqual([]);
    }
  });

  it('lets time, randomness and adapters reach a node through its ports only', () => {
    for (const text of ['const now = performance.now();\n', 'const nonce = randomBytes(32);\n']) {
      expect(problems({ 'packages/node/src/votes.ts': text })).toEqual([
        'impure-machine packages/node/src/votes.ts:1',
      ]);
      expect(problems({ 'packages/node/src/adapters/clock/system-clock.ts': text })).toEqual([]);
    }
    const text = "import { openOverlay } from './adapters/overlay.ts';\n";
    const overlay = { 'packages/node/src/adapters/overlay.ts': '' };
    expect(problems({ ...overlay, 'packages/node/src/votes.ts': text })).toEqual([
      'adapter-outside-composition packages/node/src/votes.ts:1',
    ]);
    expect(problems({ ...overlay, 'packages/node/src/production.ts': text })).toEqual([]);
  });

  it('keeps Node out of what runs in browsers', () => {
    expect(problems({ 'packages/core/src/bytes.ts': "import { hash } from 'node:crypto';\n" })).toEqual([
      'io-in-browser-code packages/core/src/bytes.ts:1',
    ]);
  });
});

describe('documents', () => {
  it('miss a room, or name one that is gone', () => {
    expect(problems({ 'bench/main.ts': 'export {};\n' })).toEqual(['plan-incomplete ARCHITECTURE.md:0']);
    expect(problems({ 'packages/chain/src/block.ts': 'export {};\n' })).toContain(
      'plan-incomplete ARCHITECTURE.md:0',
    );
    const plan = `${HOUSE['ARCHITECTURE.md']}`.replace('scripts/', 'scripts/\nsimulator/');
    expect(problems({ 'ARCHITECTURE.md': plan })).toEqual(['plan-stale ARCHITECTURE.md:11']);
    const text = `${HOUSE['ARCHITECTURE.md']}See \`packages/tpm/src/gone.ts\` and \`packages/tpm/src/quote.ts\`.\n`;
    expect(problems({ 'ARCHITECTURE.md': text })).toEqual(['plan-stale ARCHITECTURE.md:12']);
  });

  it('tell of every npm script, and of none that is gone', () => {
    const manifest = '{"scripts":{"test":"x","soak":"x"},"devDependencies":{"vitest":"1.0.0"}}';
    const guide = 'npm test\nnpm run soak\n';
    expect(problems({ 'package.json': manifest, 'CONTRIBUTING.md': guide })).toEqual([]);
    expect(problems({ 'package.json': manifest, 'README.md': 'npm test\nnpm run -s gone\n' })).toEqual([
      'script-untold package.json:0',
      'script-gone README.md:2',
    ]);
  });

  it('link to nothing', () => {
    expect(
      problems({ 'README.md': 'See [the plan](ARCHITECTURE.md#plan) and [more](docs/more.md).\n' }),
    ).toEqual(['link-dead README.md:1']);
  });
});

describe('hygiene', () => {
  it('refuses loose ends without an issue', () => {
    const word = ['TO', 'DO'].join('');
    expect(problems({ 'packages/tpm/src/quote.ts': `// ${word}: later\nexport {};\n` })).toEqual([
      'loose-end packages/tpm/src/quote.ts:1',
    ]);
    expect(problems({ 'packages/tpm/src/quote.ts': `// ${word}(#12): later\nexport {};\n` })).toEqual([]);
  });

  it('refuses machine paths and registry addresses, also in prose', () => {
    const path = ['', 'home', 'me', 'data'].join('/');
    expect(problems({ 'README.md': `put it in ${path}\n` })).toEqual(['machine-path README.md:1']);
    expect(problems({ 'scripts/setup.ts': `export const path = \`\${root}/home/data\`;\n` })).toEqual([]);
    const address = `https://${'registry'}.npmjs.org`;
    expect(problems({ 'README.md': `npm install --registry ${address}\n` })).toEqual([
      'registry-address README.md:1',
    ]);
  });

  it('refuses what tools leave behind', () => {
    expect(problems({ 'isolate-0x11b05000-31446-v8.log': '' })).toEqual([
      'leftover isolate-0x11b05000-31446-v8.log:0',
    ]);
  });

  it('refuses tests that are left out', () => {
    for (const text of ["it.only('x', f);\n", "describe.skip('x', f);\n", "it.concurrent.skip('x', f);\n"]) {
      expect(problems({ 'packages/tpm/src/quote.test.ts': text })).toEqual([
        'test-left-out packages/tpm/src/quote.test.ts:1',
      ]);
    }
  });

  it('refuses casts through unknown', () => {
    expect(problems({ 'packages/tpm/src/quote.ts': 'export const a = 1 as unknown as string;\n' })).toEqual([
      'type-lie packages/tpm/src/quote.ts:1',
    ]);
  });

  it('refuses an index with code or without a head comment', () => {
    expect(problems({ 'packages/core/src/index.ts': "export * from './bytes.ts';\n" })).toEqual([
      'index-head packages/core/src/index.ts:0',
    ]);
    expect(problems({ 'packages/core/src/index.ts': '/** Bytes. */\nexport const x = 1;\n' })).toEqual([
      'index-code packages/core/src/index.ts:0',
    ]);
  });

  it('refuses file names that are not kebab-case', () => {
    expect(problems({ 'packages/tpm/src/evidenceLog.ts': 'export {};\n' })).toEqual([
      'file-name packages/tpm/src/evidenceLog.ts:0',
    ]);
  });

  it('refuses a lockfile that names addresses or lags behind a manifest', () => {
    const address = lockfileFor(HOUSE, {
      'node_modules/a': { version: '1.0.0', resolved: 'https://x.example/a' },
    });
    expect(problems({ 'package-lock.json': address })).toEqual(['lockfile-address package-lock.json:0']);
    const manifest = '{"dependencies":{"@nemea/core":"0.1.0","zod":"4.0.0"}}';
    expect(problems({ 'packages/tpm/package.json': manifest })).toEqual([
      'lockfile-stale package-lock.json:0',
    ]);
  });
});

describe('longestFunctions', () => {
  it('measures bodies, not signatures', () => {
    const text = [
      'export function long(options: { a: number }): { b: number } {',
      '  const text = "}";',
      '  if (options.a > 1) {',
      '    return { b: 1 };',
      '  }',
      '  return { b: text.length };',
      '}',
      'const short = (a: number): number => {',
      '  return a;',
      '};',
      '',
    ].join('\n');
    const repository = house({ 'packages/tpm/src/quote.ts': text });
    expect(longestFunctions(repository, 2)).toEqual([
      { name: 'packages/tpm/src/quote.ts:1 long', lines: 7 },
      { name: 'packages/tpm/src/quote.ts:8 short', lines: 3 },
    ]);
  });
});
