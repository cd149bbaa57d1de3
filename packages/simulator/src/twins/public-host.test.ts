import { createEd25519Signer } from '@nemea/consensus/ed25519';
import { fromUtf8, sha256 } from '@nemea/core';
import { peerIdOf } from '@nemea/node/peers';
import { type PublicHostGround, publicHostCompliance } from '@nemea/node/ports/testing';
import { describe, it } from 'vitest';
import { Kernel } from '../kernel/kernel.ts';
import { Life } from './life.ts';
import { SimulatedNetwork } from './network.ts';
import { PublicHostTwin } from './public-host.ts';
import { drive } from './testing.ts';

/** The rules of the port, kept by the twin on a day without faults. */
describe('simulated receptions and those who ask them', () => {
  const ground = async (): Promise<PublicHostGround> => {
    const kernel = new Kernel('public host');
    const weather = { fate: () => [kernel.random.integer(1, 5)], isReordering: () => false };
    const network = new SimulatedNetwork<PublicHostTwin>(kernel, weather);
    const placeOf = (name: string) => ({
      name,
      peer: peerIdOf(createEd25519Signer(sha256(fromUtf8(name))).publicKey),
      life: new Life(),
      network,
    });
    return {
      openReception: async (index, options) =>
        new PublicHostTwin(
          { listen: `/ip4/127.0.0.1/tcp/${1_000 + index}`, ...options },
          placeOf(`n${index}`),
        ),
      openOutward: async (options) => new PublicHostTwin({ protocols: {}, ...options }, placeOf('asker')),
      drive: (work) => drive(kernel, work),
    };
  };
  for (const { title, run } of publicHostCompliance(ground)) it(title, run);
});
