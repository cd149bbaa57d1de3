import { isTestFile, isTypeScript, lineAt, type Problem, type Repository, type TextFile } from './files.ts';
import { type Import, importsOf, scan } from './source.ts';

/** Where bytes may meet the world (ARCHITECTURE.md). Apps, scripts, benchmarks and tests are free as well. */
const IO_ROOMS =
  /^packages\/(?:node\/src\/adapters\/|simulator\/src\/(?:run\/|world\/logger)|sdk\/src\/client(?:\/|\.ts$)|tpm\/src\/channel)/;
const IO_MODULES =
  /^(?:node:(?:fs|fs\/promises|net|tls|http|https|http2|dgram|dns|dns\/promises|child_process|cluster|worker_threads|sqlite|os|readline|readline\/promises|inspector|repl)|libp2p|helia|blockstore-fs|pino)$/;
/** libp2p and helia are the network, but for the parts that only compute. */
const IO_SCOPES = /^@(?:libp2p|helia)\//;
const PURE_SCOPED = new Set(['@libp2p/crypto', '@libp2p/peer-id', '@libp2p/interface']);
const VIEM_CLIENTS =
  /\b(?:http|webSocket|ipc|custom|fallback|createClient|createPublicClient|createWalletClient|createTestClient)\b/;

/** The globals, called; a method or a function of one's own by that name is declared or called by another spelling. */
const GLOBAL_IO =
  /(?<=(?:\bawait|\breturn|\bvoid|[=(,?:>[])\s*)fetch\(|\bglobalThis\.fetch\b|\bnew WebSocket\(/g;

/** Machines that must give the same effects for the same inputs, on every node and in every replay. */
const PURE_ROOMS =
  /^packages\/(?:core|vrf|consensus|membership)\/src\/|^packages\/attestation\/src\/appraise/;
/** A node's own code, and the simulator that it runs in whole: time and randomness come through ports, from one seed. */
const PORTED_ROOMS = /^packages\/(?:node\/src\/(?!adapters\/)|simulator\/src\/(?!run\/|kernel\/quiescence))/;
/** Where ports get their adapters. */
const COMPOSITIONS = new Set(['packages/node/src/index.ts', 'packages/node/src/production.ts']);
const IMPURE =
  /(?<![\w$])(?:Date\.now|new Date\(\s*\)|performance\.now|process\.hrtime|Math\.random|crypto\.(?:getRandomValues|randomUUID|randomBytes)|getRandomValues|randomBytes|randomInt|randomUUID|setTimeout|setInterval|setImmediate|queueMicrotask)(?![\w$])/g;
/** `core` also runs in browsers. */
const BROWSER_ROOMS = /^packages\/core\/src\//;

export function checkPurity(repository: Repository): Problem[] {
  return repository.files
    .filter((file) => isTypeScript(file.path) && file.path.startsWith('packages/') && !isTestFile(file.path))
    .flatMap(checkFile);
}

function checkFile(file: TextFile): Problem[] {
  const problems: Problem[] = [];
  const source = scan(file.text);
  const report = (rule: string, offset: number, message: string): void => {
    problems.push({ rule, path: file.path, line: lineAt(file.text, offset), message });
  };
  for (const item of importsOf(source)) {
    if (!IO_ROOMS.test(file.path) && meetsTheWorld(item)) {
      report('io-outside-adapters', item.offset, `${item.specifier} does I/O: take a port as an argument`);
    }
    if (BROWSER_ROOMS.test(file.path) && item.specifier.startsWith('node:')) {
      report('io-in-browser-code', item.offset, `${item.specifier} is not in a browser`);
    }
  }
  if (!IO_ROOMS.test(file.path)) {
    for (const match of source.bare.matchAll(GLOBAL_IO)) {
      report('io-outside-adapters', match.index, `${match[0]}…) does I/O: take a port as an argument`);
    }
  }
  const isPorted = PORTED_ROOMS.test(file.path);
  if (isPorted && !COMPOSITIONS.has(file.path)) {
    for (const { specifier, offset, typeOnly } of importsOf(source)) {
      if (!typeOnly && /^\.{1,2}\/(?:.*\/)?adapters\//.test(specifier))
        report('adapter-outside-composition', offset, `${specifier}: take a port as an argument`);
    }
  }
  if (PURE_ROOMS.test(file.path) || isPorted) {
    for (const match of source.bare.matchAll(IMPURE)) {
      report('impure-machine', match.index, `${match[0]}: time and randomness arrive as inputs`);
    }
  }
  return problems;
}

function meetsTheWorld({ specifier, clause, typeOnly }: Import): boolean {
  if (typeOnly) return false;
  if (IO_MODULES.test(specifier)) return true;
  if (specifier === 'viem') return VIEM_CLIENTS.test(clause);
  if (!IO_SCOPES.test(specifier)) return false;
  return !PURE_SCOPED.has(specifier.split('/').slice(0, 2).join('/'));
}
