import type { Outward, OutwardOptions } from '../../ports/transport.ts';
import { PublicHost } from './public-host.ts';

/** Opens a host that only dials: it asks receptions and key agents, and nobody can ask it. */
export async function openOutward(options: OutwardOptions): Promise<Outward> {
  const host = await PublicHost.create({ ...options, protocols: {} });
  await host.start();
  return {
    get peerId() {
      return host.peerId;
    },
    request: (address, protocol, message, requestOptions) =>
      host.request(address, protocol, message, requestOptions),
    close: () => host.close(),
  };
}
