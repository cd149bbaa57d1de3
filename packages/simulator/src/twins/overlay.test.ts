import { createEd25519Signer } from '@nemea/consensus/ed25519';
import { fromUtf8, sha256 } from '@nemea/core';
import { peerIdOf } from '@nemea/node/peers';
import { type OverlayGround, overlayCompliance } from '@nemea/node/ports/testing';
import { describe, it } from 'vitest';
import { Kernel } from '../kernel/kernel.ts';
import { Life } from './life.ts';
import { SimulatedNetwork } from './network.ts';
import { OverlayTwin } from './overlay.ts';
import { drive } from './testing.ts';

const PATIENCE_MS = 60_000;

/** The rules of the port, kept by the twin on a day without faults. */
describe('the simulated overlay', () => {
  const ground = async (): Promise<OverlayGround> => {
    const kernel = new Kernel('overlay');
    const weather = { fate: () => [kernel.random.integer(1, 5)], isReordering: () => false };
    const network = new SimulatedNetwork<OverlayTwin>(kernel, weather);
    return {
      open: async (index, options) => {
        const privateKey = sha256(fromUtf8(`peer ${index}`));
        const peer = peerIdOf(createEd25519Signer(privateKey).publicKey);
        const own = {
          privateKey,
          listen: `/ip4/127.0.0.1/tcp/${1_000 + index}`,
          networkId: new Uint8Array(32),
        };
        const name = `n${index}`;
        const random = kernel.random.fork(name);
        const route = ([host]: readonly OverlayTwin[]) => host;
        return new OverlayTwin(
          { ...own, ...options },
          { name, peer, life: new Life(), network, random, route },
        );
      },
      drive: (work) => drive(kernel, work),
      async until(holds) {
        if (!(await kernel.runUntil(kernel.nowMs + PATIENCE_MS, holds)))
          throw new Error('it never came to hold');
      },
    };
  };
  for (const { title, run } of overlayCompliance(ground)) it(title, run);
});
