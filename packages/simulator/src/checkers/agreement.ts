import { type CheckpointProof, parseDecision, parseHeader, parseTransfer } from '@nemea/consensus';
import { sha256, toHex } from '@nemea/core';
import { snapshotCodec } from '@nemea/node/protocol';
import type { Host, HostChecks } from '../world/host.ts';
import type { Verdicts } from './checker.ts';

/**
 * No two honest replicas decide differently at one height [CONS-10], in any of their lives, and what one has decided is
 * on its disk in order, without a gap. No operation is decided twice [CONS-12].
 */
export function checkAgreement({
  world,
  honest,
  fail,
}: Verdicts): Pick<HostChecks, 'onAppend'> & { readonly decisions: number } {
  const decided = new Map<number, { by: string; digest: string }>();
  const snapshots = new Map<number, { by: string; digest: string }>();
  const last = new Map<string, number>();
  const executed = new Map<string, number>();
  const checkOnce = (sequence: number, batch: readonly Uint8Array[]): void => {
    for (const operation of batch) {
      const id = toHex(sha256(operation));
      const before = executed.get(id);
      if (before !== undefined)
        fail('exactly-once', `an operation of ${before} is decided again at ${sequence}`);
      executed.set(id, sequence);
    }
  };
  /** Who goes on from a snapshot has the state that all have there [CONS-27], and lacks the decisions before it. */
  const takeOver = (name: string, record: Uint8Array): void => {
    const { transfer, state } = snapshotCodec.parse(record);
    const { sequence } = parseHeader((parseTransfer(transfer).proofs.at(-1) as CheckpointProof).header);
    const digest = toHex(sha256(state)).slice(0, 16);
    const known = snapshots.get(sequence) ?? { by: name, digest };
    snapshots.set(sequence, known);
    if (known.digest !== digest)
      fail('agreement', `the state at ${sequence} is ${digest} for ${name}, ${known.digest} for ${known.by}`);
    last.set(name, Math.max(last.get(name) ?? 0, sequence));
  };
  return {
    get decisions() {
      return decided.size;
    },
    onAppend(host: Host, kind: string, records: readonly Uint8Array[]) {
      if (!honest.has(host.name)) return;
      if (kind === 'snapshot') for (const record of records) takeOver(host.name, record);
      if (kind !== 'decision') return;
      for (const record of records) {
        const { sequence, batch } = parseDecision(record);
        const digest = digestOf(batch);
        world.kernel.note(host.name, `decides ${sequence}: ${digest}`);
        const known = decided.get(sequence);
        if (known === undefined) {
          decided.set(sequence, { by: host.name, digest });
          checkOnce(sequence, batch);
        } else if (known.digest !== digest)
          fail('agreement', `at ${sequence} ${host.name} decides ${digest}, ${known.by} ${known.digest}`);
        const before = last.get(host.name) ?? 0;
        if (sequence !== before + 1)
          fail('journal', `${host.name} writes decision ${sequence} after ${before}`);
        last.set(host.name, sequence);
      }
    },
  };
}

function digestOf(batch: readonly Uint8Array[]): string {
  const lengths = batch.map((operation) => operation.length).join();
  return toHex(sha256(Buffer.concat([Buffer.from(lengths), ...batch]))).slice(0, 16);
}
