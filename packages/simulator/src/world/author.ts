import { fromUtf8, sha256 } from '@nemea/core';
import type { SeededRandom } from '../kernel/random.ts';
import type { World } from './world.ts';

export const AUTHOR = `0x${'a0'.repeat(20)}`;
const FEE = 10n;

/** Puts a task into escrow that no machine here can run: the network has to say so, and the fee has to come back. */
export function createTask({ chain, kernel }: World, random: SeededRandom): void {
  const digest = (name: string): Uint8Array => sha256(fromUtf8(name));
  kernel.note('author', 'puts a task into escrow');
  const { taskEscrow } = chain.state.network.contracts;
  chain.send(AUTHOR, { kind: 'approve', spender: taskEscrow, amount: FEE });
  chain.send(AUTHOR, {
    kind: 'task',
    terms: {
      codeDigest: digest('code'),
      imageDigest: digest('image'),
      capsuleIds: [],
      timeoutS: random.integer(5, 30),
      minLevel: 1,
      minCredit: 0,
      fee: FEE,
      spec: random.bytes(16),
    },
  });
}

/** Tasks whose fee still lies in escrow. */
export function tasksOpen({ chain }: World): number {
  return [...chain.state.tasks.values()].filter(({ state }) => state === 'created' || state === 'elected')
    .length;
}
