import type { Reception, ReceptionOptions } from '../../ports/transport.ts';
import { PublicHost } from './public-host.ts';

/** Opens the door for strangers on its own port. It shares nothing with the overlay but the machine. */
export async function openReception(options: ReceptionOptions): Promise<Reception> {
  const host = await PublicHost.create(options);
  await host.start();
  return {
    get peerId() {
      return host.peerId;
    },
    get addresses() {
      return host.addresses;
    },
    close: () => host.close(),
  };
}
