import { afterEach, describe, it } from 'vitest';
import type { CapsuleStore } from '../../ports/block-store.ts';
import { type CapsuleStoreGround, capsuleStoreCompliance } from '../../ports/testing/index.ts';
import { LISTEN, NETWORK, seedOf } from '../network/test/support.ts';
import { openCapsuleStore } from './capsule-store.ts';

/** The rules of the port, kept by helia over TCP. */
describe('the capsule store of helia', () => {
  const open: CapsuleStore[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((store) => store.close()));
  });

  const ground = async (): Promise<CapsuleStoreGround> => ({
    open: async (index, options) => {
      const own = { privateKey: seedOf(index), listen: LISTEN, networkId: NETWORK };
      const store = await openCapsuleStore({ ...own, ...options });
      open.push(store);
      return store;
    },
    drive: (work) => work,
  });
  for (const { title, run } of capsuleStoreCompliance(ground)) it(title, run);
});
