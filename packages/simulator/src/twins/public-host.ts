import { type Outward, type Reception, type ReceptionOptions, TransportError } from '@nemea/node/ports';
import type { Life } from './life.ts';
import { type Host, peerOf, Requests, Served, type SimulatedNetwork } from './network.ts';

/** A host that anybody may ask: a reception, or the dial-only host of whoever asks it. */
export class PublicHostTwin implements Reception, Host {
  readonly name: string;
  readonly peer: string;
  readonly address: string;
  readonly #life: Life;
  readonly #served: Served;
  #isOpen = true;

  constructor(
    options: Pick<ReceptionOptions, 'listen' | 'protocols'>,
    twin: { name: string; peer: string; life: Life; network: SimulatedNetwork<PublicHostTwin> },
  ) {
    this.name = twin.name;
    this.peer = twin.peer;
    this.address = options.listen;
    this.#life = twin.life;
    this.#served = new Served(options.protocols);
    twin.network.add(this);
  }

  get isOpen(): boolean {
    return this.#isOpen && this.#life.isOn;
  }

  get peerId(): string {
    return this.peer;
  }

  get addresses(): readonly string[] {
    return [`${this.address}/p2p/${this.peer}`];
  }

  serve(peer: string, protocol: string, message: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#served.handle(peer, protocol, message);
  }

  async close(): Promise<void> {
    this.#isOpen = false;
  }
}

/** Asks receptions from a host that nobody can ask. */
export function openOutwardTwin(twin: {
  name: string;
  peer: string;
  life: Life;
  network: SimulatedNetwork<PublicHostTwin>;
}): Outward {
  const { name, peer, life, network } = twin;
  let isOpen = true;
  const self: Host = {
    name,
    peer,
    address: '',
    get isOpen() {
      return isOpen && life.isOn;
    },
  };
  const requests = new Requests(network, self);
  return {
    peerId: peer,
    request: (address, protocol, message, { timeoutMs }) => {
      const to = network.hostsAt(address).find((host) => host.peer === peerOf(address));
      if (to === undefined)
        return Promise.reject(new TransportError('CONNECTION_FAILED', `could not connect to ${address}`));
      const serve = (received: Uint8Array) => to.serve(peer, protocol, received);
      return requests.ask(to, protocol, message, { timeoutMs, serve });
    },
    close: async () => {
      isOpen = false;
    },
  };
}
