import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Finding } from './explorer.ts';

export interface RunOptions {
  readonly target: string;
  readonly seconds: number;
  readonly seed: number;
  /** Where inputs are kept from run to run. */
  readonly corpus: string | null;
  /** Stop at the first finding. */
  readonly first?: boolean;
  /** Without a new execution for so long, the last one hangs; the machine may be busy. */
  readonly hangMs?: number;
}

export interface Report {
  readonly executions: number;
  readonly accepted: number;
  readonly corpus: number;
  readonly blocks: number;
  readonly seconds: number;
  readonly findings: readonly Finding[];
}

/** What a worker is started with. */
export interface WorkerData extends RunOptions {
  /** Modules below these folders are instrumented. */
  readonly folders: readonly string[];
  /** Written by the worker as it goes, read when it is dead. */
  readonly shared: { readonly state: SharedArrayBuffer; readonly input: SharedArrayBuffer };
}

/** Places in the shared state. */
export const STATE = { inputBytes: 0, executions: 1, accepted: 2, corpus: 3, blocks: 4, stop: 5 } as const;

const ROOT = join(import.meta.dirname, '..');
/** Our own code, and the libraries that take foreign bytes apart for it. */
const FOLDERS = [
  'packages/',
  'fuzz/planted/',
  'node_modules/cborg/',
  'node_modules/@ipld/dag-cbor/',
  'node_modules/zod/v4/core/',
  'node_modules/@marcbachmann/cel-js/',
];
const INPUT_BYTES_MAX = 1 << 20;
const HEAP_MIB_MAX = 512;
const STACK_MIB = 4;
const WATCH_MS = 500;
const HANG_MS = 30_000;

/** Explores one target in a worker. A worker that hangs or runs out of memory is a finding, and ends the run. */
export async function runTarget(options: RunOptions): Promise<Report> {
  const shared = {
    state: new SharedArrayBuffer(4 * Object.keys(STATE).length),
    input: new SharedArrayBuffer(INPUT_BYTES_MAX),
  };
  const state = new Int32Array(shared.state);
  const read = (place: keyof typeof STATE): number => Atomics.load(state, STATE[place]);
  const findings: Finding[] = [];
  const startedMs = performance.now();
  const workerData: WorkerData = { ...options, shared, folders: FOLDERS.map((folder) => join(ROOT, folder)) };
  const worker = new Worker(join(import.meta.dirname, 'worker.ts'), {
    workerData,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX, stackSizeMb: STACK_MIB },
  });
  const lastInput = (): Uint8Array => new Uint8Array(shared.input).slice(0, read('inputBytes'));
  const hangMs = options.hangMs ?? HANG_MS;
  const watch = watchProgress(
    hangMs,
    () => read('executions'),
    () => {
      findings.push({ message: `hangs: no end within ${hangMs} ms`, input: lastInput() });
      void worker.terminate();
    },
  );
  worker.on('message', (finding: Finding) => {
    findings.push(finding);
    if (options.first === true) Atomics.store(state, STATE.stop, 1);
  });
  await new Promise<void>((resolve, reject) => {
    worker.once('error', (error: Error & { code?: string }) => {
      if (read('executions') === 0)
        reject(error); // the target itself is broken
      else findings.push({ message: `the thread died: ${error.code ?? error.stack}`, input: lastInput() });
    });
    worker.once('exit', () => resolve());
  }).finally(() => clearInterval(watch));
  return {
    executions: read('executions'),
    accepted: read('accepted'),
    corpus: read('corpus'),
    blocks: read('blocks'),
    seconds: (performance.now() - startedMs) / 1000,
    findings,
  };
}

function watchProgress(hangMs: number, progress: () => number, onHang: () => void): NodeJS.Timeout {
  let [last, sinceMs] = [-1, performance.now()];
  const timer = setInterval(() => {
    // Before the first execution the modules are being loaded.
    if (progress() === 0 || progress() !== last) [last, sinceMs] = [progress(), performance.now()];
    else if (performance.now() - sinceMs > hangMs) {
      clearInterval(timer);
      onHang();
    }
  }, WATCH_MS);
  return timer;
}
