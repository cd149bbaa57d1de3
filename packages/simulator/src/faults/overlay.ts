import type { NodePorts, Overlay } from '@nemea/node/ports';

/** What a member says. */
export type Speech = Pick<Overlay, 'send' | 'request'>;

/** Changes what a node says on its overlay. */
export function withOverlay(ports: NodePorts, change: (overlay: Overlay) => Speech): NodePorts {
  return {
    ...ports,
    openOverlay: async (options) => {
      const overlay = await ports.openOverlay(options);
      const own: Overlay = {
        peerId: overlay.peerId,
        addresses: overlay.addresses,
        counters: overlay.counters,
        connect: (address) => overlay.connect(address),
        send: (peer, protocol, message) => overlay.send(peer, protocol, message),
        request: (peer, protocol, message, timing) => overlay.request(peer, protocol, message, timing),
        setMembers: (members) => overlay.setMembers(members),
        evict: (peer) => overlay.evict(peer),
        readmit: (peer) => overlay.readmit(peer),
        peers: () => overlay.peers(),
        close: () => overlay.close(),
      };
      return { ...own, ...change(own) };
    },
  };
}
