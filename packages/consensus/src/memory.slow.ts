import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { fromUtf8 } from '@nemea/core';
import { expect, test } from 'vitest';
import { authenticate } from './authenticate.ts';
import { drive, type Outbound, type SigningReplica, settle } from './driver.ts';
import type { SignedMessage } from './message.ts';
import { createReplica } from './replica.ts';
import { createCheapSigner, verifyCheaply } from './testing/signatures.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

const DECISIONS = Number(process.env.NEMEA_DECISIONS ?? 1_000_000);
const networkId = new Uint8Array(32).fill(1);
const IDS = ['a', 'b', 'c', 'd'];

test('a million decisions leave no more behind than a hundred thousand [CONS-23]', {
  timeout: 3_600_000,
}, () => {
  const members = IDS.map((id) => ({ id, publicKey: createCheapSigner(id).publicKey, weight: 1 }));
  const queue: { to: SigningReplica; message: SignedMessage | null; sequence: number }[] = [];
  const journals = new Map<string, number>();
  const replicas: SigningReplica[] = [];
  const perform = (replica: SigningReplica, effects: readonly Outbound[]) => {
    for (const effect of effects) {
      const { id } = replica.state;
      if (effect.type === 'persist') {
        journals.set(id, effect.record.type === 'base' ? 1 : (journals.get(id) ?? 0) + 1);
      } else if (effect.type === 'transmit') {
        for (const to of replicas) {
          if (to !== replica && (effect.to === null || effect.to === to.state.id))
            queue.push({ to, message: effect.message, sequence: 0 });
        }
      } else if (effect.type === 'commit') {
        queue.push({ to: replica, message: null, sequence: effect.decision.sequence });
      }
    }
  };
  const publicKeyOf = (id: string) => members.find((member) => member.id === id)?.publicKey;
  const drain = () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { to, message, sequence } = next;
      const input =
        message === null
          ? ({ type: 'executed', sequence, members: null } as const)
          : ({
              type: 'message',
              statement: authenticate({ networkId, message, publicKeyOf, verify: verifyCheaply }),
            } as const);
      perform(to, drive(to, input));
    }
  };
  for (const id of IDS) {
    const { state, effects } = createReplica({ id, networkId, members, verify: verifyCheaply });
    const replica = { state, sign: createCheapSigner(id).sign };
    replicas.push(replica);
    perform(replica, settle(replica, effects));
  }
  drain();
  const [first] = replicas as [SigningReplica];
  const sizes: number[] = [];
  for (let decided = 0; decided < DECISIONS; decided++) {
    const operation = fromUtf8(`operation ${decided}`);
    for (const replica of replicas) perform(replica, drive(replica, { type: 'request', operation }));
    drain();
    if ((decided + 1) % (DECISIONS / 10) !== 0) continue;
    collectGarbage();
    sizes.push(process.memoryUsage().heapUsed);
    const { ballots, proposals, places, recent, own, pending } = first.state;
    expect(places.size).toBeLessThanOrEqual(8192 + 64);
    expect(recent.length).toBeLessThanOrEqual(8192 + 64);
    for (const kept of [ballots, proposals, own, pending]) expect(kept.size).toBeLessThan(64);
    for (const records of journals.values()) expect(records).toBeLessThan(1_000);
  }
  expect(first.state.executed).toBe(DECISIONS);
  console.log(sizes.map((bytes) => `${Math.round(bytes / 1e6)} MB`).join(' '));
  expect(sizes.at(-1) as number).toBeLessThan(1.25 * (sizes[0] as number) + 16e6);
});
