import { fromUtf8, sha256 } from '@nemea/core';
import { type CapsuleStoreGround, capsuleStoreCompliance } from '@nemea/node/ports/testing';
import { describe, it } from 'vitest';
import { Kernel } from '../kernel/kernel.ts';
import { CapsuleStoreTwin } from './capsule-store.ts';
import { Life } from './life.ts';
import { SimulatedNetwork } from './network.ts';
import type { PublicHostTwin } from './public-host.ts';
import { drive } from './testing.ts';

/** The rules of the port, kept by the twin on a day without faults. */
describe('a simulated capsule store', () => {
  const ground = async (): Promise<CapsuleStoreGround> => {
    const kernel = new Kernel('capsule store');
    const weather = { fate: () => [kernel.random.integer(1, 5)], isReordering: () => false };
    const network = new SimulatedNetwork<PublicHostTwin>(kernel, weather);
    return {
      open: async (index, { protocols }) => {
        const privateKey = sha256(fromUtf8(`store ${index}`));
        const listen = `/ip4/127.0.0.1/tcp/${1_000 + index}`;
        const place = { name: `s${index}`, life: new Life(), network, kernel };
        return new CapsuleStoreTwin({ privateKey, listen, protocols }, place);
      },
      drive: (work) => drive(kernel, work),
    };
  };
  for (const { title, run } of capsuleStoreCompliance(ground)) it(title, run);
});
