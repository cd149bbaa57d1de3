import type { Verdicts } from './checker.ts';

/**
 * Nobody becomes a member whose TPM no maker vouches for, or that runs what is not approved [ATT-16] [ATT-17]; nobody whom
 * layer 1 has not registered, with a deposit, is one on layer 2 [MEMB-15].
 */
export function checkAdmission({ world, honest, impostors, fail }: Verdicts): () => void {
  const names = new Map(world.hosts.map(({ account, name }) => [account, name]));
  const isImpostor = (account: string): boolean => impostors.has(names.get(account) ?? '');
  let blocks = 0;
  return () => {
    for (const { name, node } of world.hosts) {
      if (!honest.has(name) || node === undefined) continue;
      for (const { account } of node.status().members) {
        if (isImpostor(account)) fail('admission', `${name} has ${names.get(account)} for a member`);
        if (world.chain.state.nodes.get(account)?.record === undefined)
          fail('admission', `${name} has ${names.get(account)} for a member, whom layer 1 never registered`);
      }
    }
    for (; blocks < world.chain.blocks.length; blocks++) {
      for (const event of world.chain.blocks[blocks]?.events ?? []) {
        if (event.type === 'node-admitted' && isImpostor(event.record.account))
          fail('admission', `layer 1 admits ${names.get(event.record.account)}`);
      }
    }
  };
}
