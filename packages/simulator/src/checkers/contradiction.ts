import { authenticate, type Content, parseMessage } from '@nemea/consensus';
import { createEd25519Verifier } from '@nemea/consensus/ed25519';
import { sha256, toHex } from '@nemea/core';
import { PROTOCOLS } from '@nemea/node/protocol';
import { networkIdOf } from '@nemea/sdk';
import type { Observer } from '../twins/network.ts';
import type { Verdicts } from './checker.ts';

/**
 * No honest replica says two things that contradict each other [CONS-21], whatever it forgot between them; and none votes
 * in a view that it has given up [CONS-14].
 */
export function checkContradiction({ world, honest, fail }: Verdicts): Observer {
  const { network } = world.chain.state;
  const networkId = networkIdOf(network.chainId, network.contracts.nodeRegistry);
  const keys = new Map(world.hosts.map(({ account, machine }) => [account, machine.peerKey]));
  const accounts = new Map(world.hosts.map(({ name, account }) => [name, account]));
  const verify = createEd25519Verifier();
  const said = new Map<string, string>();
  const givenUpTo = new Map<string, number>();
  const lookedAt = new WeakSet<Uint8Array>();
  return {
    onMessage({ from, protocol, bytes }) {
      if (protocol !== PROTOCOLS.consensus || !honest.has(from) || lookedAt.has(bytes)) return;
      lookedAt.add(bytes);
      const message = parseMessage(bytes);
      const publicKeyOf = (account: string) => keys.get(account);
      const { content } = authenticate({ networkId, message, publicKeyOf, verify });
      const slot = slotOf(content);
      if (slot === undefined) return;
      // Honest members pass on what faulty ones have signed, as proof of it: only what a member says itself counts.
      if (accounts.get(from) !== message.sender) return;
      const key = `${message.sender} ${slot}`;
      const digest = 'digest' in content ? content.digest : sha256(message.payload);
      const value = toHex(digest).slice(0, 16);
      const before = said.get(key);
      if (before !== undefined) {
        if (before !== value) fail('contradiction', `${from}: ${slot} said ${before}, then ${value}`);
        return;
      }
      said.set(key, value);
      if (!('view' in content && 'epoch' in content)) return;
      const inEpoch = `${message.sender} ${content.epoch}`;
      const lowest = givenUpTo.get(inEpoch) ?? 0;
      if (content.view < lowest)
        fail('contradiction', `${from}: ${slot}, after it has gone on to view ${lowest}`);
      if (content.kind === 'view-change') givenUpTo.set(inEpoch, content.view);
    },
  };
}

/** Where a statement can be made once only. */
function slotOf(content: Content): string | undefined {
  const epoch = 'epoch' in content ? String(content.epoch) : '-';
  switch (content.kind) {
    case 'pre-prepare':
    case 'prepare':
    case 'commit':
      return `epoch ${epoch} view ${content.view} sequence ${content.sequence}`;
    case 'view-change':
    case 'new-view':
      return `epoch ${epoch} ${content.kind} ${content.view}`;
    case 'checkpoint':
      return `checkpoint ${content.sequence}`;
    default:
      return undefined;
  }
}
