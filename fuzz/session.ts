import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { assert, fromHex, sha256, toHex } from '@nemea/core';
import { Explorer, type Finding } from './explorer.ts';
import type { Feedback } from './feedback.ts';
import { toTokens } from './mutate.ts';
import { STATE, type WorkerData } from './run.ts';
import { finds, loadTarget } from './targets/index.ts';

/** Explores one target until the time is over. Reports findings as messages, and how far it is in the shared state. */
export async function runSession(data: WorkerData, feedback: Feedback): Promise<void> {
  const { target: name, seconds, seed, corpus, shared } = data;
  const port = parentPort;
  assert(port !== null, 'runs in a worker');
  const target = await loadTarget(name);
  const state = new Int32Array(shared.state);
  const buffer = new Uint8Array(shared.input);
  const explorer = new Explorer(target, feedback, {
    seed,
    tokens: toTokens(feedback.registry.literals),
    onInput: (input) => {
      buffer.set(input.subarray(0, buffer.length));
      Atomics.store(state, STATE.inputBytes, Math.min(input.length, buffer.length));
      Atomics.add(state, STATE.executions, 1);
    },
  });
  const report = (finding: Finding | null): void => {
    if (finding !== null) port.postMessage(finding);
    Atomics.store(state, STATE.accepted, explorer.accepted);
    Atomics.store(state, STATE.corpus, explorer.corpus.length);
    Atomics.store(state, STATE.blocks, feedback.blocks);
  };

  const found = finds().flatMap((find) => (find.target === name ? [fromHex(find.input)] : []));
  for (const input of [...target.seeds, ...found, ...readCorpus(corpus)]) report(explorer.addSeed(input));
  const end = performance.now() + seconds * 1000;
  // Asked between a few steps only: asking costs too.
  while (performance.now() < end && Atomics.load(state, STATE.stop) === 0) {
    for (let i = 0; i < 64; i++) {
      const finding = explorer.step();
      if (finding !== null) report(finding);
    }
    report(null);
  }
  writeCorpus(corpus, explorer.corpus);
}

function readCorpus(folder: string | null): Uint8Array[] {
  if (folder === null || !existsSync(folder)) return [];
  return readdirSync(folder).map((name) => Uint8Array.from(readFileSync(join(folder, name))));
}

function writeCorpus(folder: string | null, inputs: readonly Uint8Array[]): void {
  if (folder === null) return;
  mkdirSync(folder, { recursive: true });
  for (const input of inputs) writeFileSync(join(folder, toHex(sha256(input).subarray(0, 16))), input);
}
