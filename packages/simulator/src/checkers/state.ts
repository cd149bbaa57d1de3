import { CREDIT_MAX } from '@nemea/membership';
import type { Verdicts } from './checker.ts';

const SEQUENCES_KEPT = 64;

/** Honest nodes that have executed as much have the same members with the same credit, within its bounds [MEMB-2] [MEMB-7]. */
export function checkState({ world, honest, fail }: Verdicts): () => void {
  const known = new Map<number, { by: string; members: string }>();
  return () => {
    for (const host of world.hosts) {
      if (!honest.has(host.name) || host.node === undefined) continue;
      const { sequence, members, epochClosed } = host.node.status();
      for (const { account, credit } of members) {
        if (!Number.isInteger(credit) || credit < 0 || credit > CREDIT_MAX)
          fail('credit', `${host.name} has ${account} at ${credit}`);
      }
      const seen = JSON.stringify([epochClosed, members.map(({ account, credit }) => [account, credit])]);
      const before = known.get(sequence);
      if (before === undefined) known.set(sequence, { by: host.name, members: seen });
      else if (before.members !== seen)
        fail('roster', `at ${sequence} ${host.name} has ${seen}, ${before.by} has ${before.members}`);
      if (known.size > SEQUENCES_KEPT) known.delete(known.keys().next().value as number);
    }
  };
}

/** Who follows the rules keeps membership and deposit: no eviction, no verdict of guilt; and what it reports is true [MEMB-23]. */
export function checkInnocence({ world, honest, fail }: Verdicts): () => void {
  const innocent = new Map(
    world.hosts.filter(({ name }) => honest.has(name)).map(({ account, name }) => [account, name]),
  );
  let blocks = 0;
  return () => {
    for (; blocks < world.chain.blocks.length; blocks++) {
      for (const event of world.chain.blocks[blocks]?.events ?? []) {
        if (event.type === 'node-evicted' && innocent.has(event.account))
          fail('innocence', `layer 1 evicts ${innocent.get(event.account)}`);
        if (event.type !== 'dispute-resolved') continue;
        const { accused = '', reporter = '' } = world.chain.state.disputes.get(event.disputeId) ?? {};
        if (!event.guilty && innocent.has(reporter))
          fail('justice', `layer 1 acquits whom ${innocent.get(reporter)} reported`);
        if (event.guilty && innocent.has(accused))
          fail('innocence', `layer 1 finds ${innocent.get(accused)} guilty`);
      }
    }
  };
}
