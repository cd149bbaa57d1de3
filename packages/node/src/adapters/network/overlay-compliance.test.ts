import { afterEach, describe, it } from 'vitest';
import { type OverlayGround, overlayCompliance } from '../../ports/testing/overlay-compliance.ts';
import type { Overlay } from '../../ports/transport.ts';
import { openOverlay } from './overlay.ts';
import { LISTEN, NETWORK, seedOf, until } from './test/support.ts';

/** The rules of the port, kept by libp2p over TCP. */
describe('the overlay', () => {
  const open: Overlay[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((overlay) => overlay.close()));
  });

  const ground = async (): Promise<OverlayGround> => ({
    open: async (index, options) => {
      const own = { privateKey: seedOf(index), listen: LISTEN, networkId: NETWORK };
      const overlay = await openOverlay({ ...own, ...options });
      open.push(overlay);
      return overlay;
    },
    drive: (work) => work,
    until,
  });
  for (const { title, run } of overlayCompliance(ground)) it(title, run);
});
