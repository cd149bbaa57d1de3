import { type Content, encodeMessage, signStatement } from '@nemea/consensus';
import { createEd25519Signer } from '@nemea/consensus/ed25519';
import { assert } from '@nemea/core';
import { PROTOCOLS } from '@nemea/node/protocol';
import { networkIdOf } from '@nemea/sdk';
import { describe, expect, it } from 'vitest';
import { World } from '../world/world.ts';
import { checkContradiction } from './contradiction.ts';

const DIGEST = new Uint8Array(32);
const OTHER = new Uint8Array(32).fill(1);

const vote = (view: number, digest = DIGEST): Content => ({
  kind: 'commit',
  epoch: 1,
  view,
  sequence: 1,
  digest,
});
const viewChange = (view: number, committed = 0): Content => ({
  kind: 'view-change',
  epoch: 1,
  view,
  committed,
  tip: null,
});

/** What the checker finds when an honest member says all of this, one after the other. */
function found(...said: readonly Content[]): string[] {
  const failures: string[] = [];
  const world = new World({ seed: 'contradiction', nodes: 4, epochMs: 6_000 });
  const { network } = world.chain.state;
  const [host] = world.hosts;
  assert(host !== undefined, 'a world of four has a member');
  const { sign } = createEd25519Signer(host.machine.peerSeed);
  const fail = (_checker: string, detail: string) => void failures.push(detail);
  const verdicts = { world, honest: new Set([host.name]), impostors: new Set<string>(), fail };
  const observer = checkContradiction(verdicts);
  const networkId = networkIdOf(network.chainId, network.contracts.nodeRegistry);
  for (const content of said) {
    const { message } = signStatement({ networkId, sender: host.account, content, batch: [], sign });
    const passing = { from: host.name, to: 'n1', protocol: PROTOCOLS.consensus, kind: 'message' } as const;
    observer.onMessage?.({ ...passing, bytes: encodeMessage(message) });
  }
  return failures;
}

describe('the checker of contradictions', () => {
  it('lets a member repeat itself, and go on to a later view', () => {
    expect(found(vote(0), vote(0), viewChange(1), viewChange(1), vote(0), vote(1, OTHER))).toEqual([]);
  });

  it('finds two votes in one slot, and two view changes to one view [CONS-6] [CONS-21]', () => {
    expect(found(vote(0), vote(0, OTHER))).toHaveLength(1);
    expect(found(viewChange(1), viewChange(1, 1))).toHaveLength(1);
  });

  it('finds a vote in a view that its member has given up, and had not said before [CONS-14]', () => {
    expect(found(viewChange(2), vote(1))).toHaveLength(1);
  });
});
