import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';

/** What the numbers depend on beside the code. Load tells how much of the machine others used. */
export interface Environment {
  readonly date: string;
  readonly commit: string;
  readonly node: string;
  readonly openssl: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly loadBefore: number;
  readonly loadAfter: number;
  /** Share of the run in which work waited for a processor; null where the kernel does not tell. */
  readonly waitingShare: number | null;
}

/** Call at the start; the function it returns, at the end. */
export function observeMachine(): () => Environment {
  const commit = commitOf();
  const loadBefore = load();
  const stalledBeforeUs = stalledUs();
  const startMs = performance.now();
  return () => {
    const stalledAfterUs = stalledUs();
    const waitingShare =
      stalledBeforeUs === null || stalledAfterUs === null
        ? null
        : (stalledAfterUs - stalledBeforeUs) / 1000 / (performance.now() - startMs);
    return {
      date: new Date().toISOString().slice(0, 16),
      commit,
      node: process.versions.node,
      openssl: process.versions.openssl,
      processor: cpus()[0]?.model ?? 'unknown',
      cores: availableParallelism(),
      memoryGb: Math.round(totalmem() / 2 ** 30),
      loadBefore,
      loadAfter: load(),
      waitingShare,
    };
  };
}

function load(): number {
  return loadavg()[0] ?? Number.NaN;
}

/** Pressure stall information (Linux 4.20): time in which at least one task waited for a processor. */
function stalledUs(): number | null {
  try {
    const total = /^some .*total=(\d+)/m.exec(readFileSync('/proc/pressure/cpu', 'utf8'))?.[1];
    return total === undefined ? null : Number(total);
  } catch {
    // A kernel without it, or one that hides it from containers.
    return null;
  }
}

function commitOf(): string {
  const options = { cwd: import.meta.dirname, encoding: 'utf8' } as const;
  const head = execFileSync('git', ['rev-parse', '--short', 'HEAD'], options).trim();
  const changes = execFileSync('git', ['status', '--porcelain', '--untracked-files=no'], options).trim();
  return changes === '' ? head : `${head} with changes`;
}
