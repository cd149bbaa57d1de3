import { randomBytes } from 'node:crypto';

export interface Load {
  readonly clients: number;
  readonly durationMs: number;
  readonly valueBytes: number;
}

export interface LoadResult {
  readonly operations: number;
  readonly perS: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export type PutValue = (key: string, value: Uint8Array) => Promise<void>;

/** So many clients, each of which writes its own key again and again as soon as it is told that the last is done. */
export async function run(put: PutValue, { clients, durationMs, valueBytes }: Load): Promise<LoadResult> {
  const latenciesMs: number[] = [];
  const startMs = performance.now();
  const endMs = startMs + durationMs;
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let sentMs = performance.now(); sentMs < endMs; ) {
        await put(`client ${client}`, randomBytes(valueBytes));
        const doneMs = performance.now();
        latenciesMs.push(doneMs - sentMs);
        sentMs = doneMs;
      }
    }),
  );
  latenciesMs.sort((a, b) => a - b);
  const at = (share: number): number =>
    latenciesMs[Math.floor(share * (latenciesMs.length - 1))] ?? Number.NaN;
  return {
    operations: latenciesMs.length,
    perS: (latenciesMs.length * 1000) / (performance.now() - startMs),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}
