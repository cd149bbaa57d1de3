import { bytesEqual, errorCode } from '@nemea/core';
import { type Outward, type Reception, type ReceptionOptions, TransportError } from '@nemea/node/ports';
import type { Life } from './life.ts';
import { type Host, peerOf, Requests, Served, type SimulatedNetwork } from './network.ts';

export interface PublicHostTwinOptions extends Pick<ReceptionOptions, 'protocols'> {
  /** Absent: it only asks, and nobody reaches it. */
  readonly listen?: string;
  /** Absent: it speaks with every network. */
  readonly networkId?: Uint8Array;
}

export interface PublicHostPlace {
  /** Name of the process, for traces and weather. */
  readonly name: string;
  readonly peer: string;
  readonly life: Life;
  readonly network: SimulatedNetwork<PublicHostTwin>;
}

/** A host that anybody may ask, and that asks others: a reception, a capsule store, or who comes to either. */
export class PublicHostTwin implements Reception, Outward, Host {
  readonly name: string;
  readonly peer: string;
  readonly address: string;
  readonly #networkId: Uint8Array | undefined;
  readonly #place: PublicHostPlace;
  readonly #served: Served;
  readonly #requests: Requests;
  #isOpen = true;

  constructor({ listen, networkId, protocols }: PublicHostTwinOptions, place: PublicHostPlace) {
    this.name = place.name;
    this.peer = place.peer;
    this.address = listen ?? '';
    this.#networkId = networkId;
    this.#place = place;
    this.#served = new Served(protocols, { isShared: true });
    this.#requests = new Requests(place.network, this);
    if (listen !== undefined) place.network.add(this);
  }

  get isOpen(): boolean {
    return this.#isOpen && this.#place.life.isOn;
  }

  get peerId(): string {
    return this.peer;
  }

  get addresses(): readonly string[] {
    return [`${this.address}/p2p/${this.peer}`];
  }

  async request(
    address: string,
    protocol: string,
    message: Uint8Array,
    { timeoutMs }: { timeoutMs: number },
  ): Promise<Uint8Array> {
    if (!this.#isOpen) throw new TransportError('HOST_CLOSED', 'host is closed');
    const peer = peerOf(address);
    const to = this.#place.network.hostsAt(address).find((host) => host.peer === peer);
    if (to === undefined || !to.#speaksWith(this))
      throw new TransportError('CONNECTION_FAILED', `could not connect to ${address}`);
    const serve = (received: Uint8Array) => to.#serve(this.peer, protocol, received);
    return this.#requests.ask(to, protocol, message, { timeoutMs, serve });
  }

  async close(): Promise<void> {
    this.#isOpen = false;
  }

  #speaksWith(other: PublicHostTwin): boolean {
    const [own, theirs] = [this.#networkId, other.#networkId];
    return own === undefined || theirs === undefined || bytesEqual(own, theirs);
  }

  async #serve(peer: string, protocol: string, message: Uint8Array): Promise<Uint8Array | undefined> {
    try {
      return await this.#served.handle(peer, protocol, message);
    } catch (error) {
      // No stream opens for a protocol that is not served, and too large a message ends one: the asker learns no more.
      if (!['PROTOCOL_UNKNOWN', 'MESSAGE_TOO_LARGE'].includes(errorCode(error))) throw error;
      throw new TransportError('STREAM_CLOSED', `${protocol}: ${errorCode(error)}`);
    }
  }
}
