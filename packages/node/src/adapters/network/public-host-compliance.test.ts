import { afterEach, describe, it } from 'vitest';
import { type PublicHostGround, publicHostCompliance } from '../../ports/testing/index.ts';
import { openOutward } from './outward.ts';
import { openReception } from './reception.ts';
import { LISTEN, seedOf } from './test/support.ts';

/** The rules of the port, kept by libp2p over TCP. */
describe('receptions and those who ask them', () => {
  const open: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((host) => host.close()));
  });
  const keep = <T extends { close(): Promise<void> }>(host: T): T => {
    open.push(host);
    return host;
  };

  const ground = async (): Promise<PublicHostGround> => ({
    openReception: async (index, options) =>
      keep(await openReception({ privateKey: seedOf(index), listen: LISTEN, ...options })),
    openOutward: async (options) => keep(await openOutward(options)),
    drive: (work) => work,
  });
  for (const { title, run } of publicHostCompliance(ground)) it(title, run);
});
