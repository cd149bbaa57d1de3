import { CodedError, sha256, toHex } from '@nemea/core';
import { parsePeerAddress } from '@nemea/node/peers';
import { type Protocol, RemoteError, TransportError } from '@nemea/node/ports';
import type { Kernel } from '../kernel/kernel.ts';

/** What befalls one message on its way: when each copy arrives; none for one that is lost. */
export type Fate = readonly number[];

/** The weather: how the network treats a message between two hosts, by name. */
export interface Weather {
  /** `passing` is what a message says; a connection that ends says nothing. */
  fate(from: string, to: string, passing?: Passing): Fate;
  /** Whether a message may overtake those before it. */
  isReordering(from: string, to: string): boolean;
}

/** Looks at every message as it is sent; for checkers. */
export interface Observer {
  onMessage?(message: Passing): void;
}

export interface Passing {
  readonly from: string;
  readonly to: string;
  readonly protocol: string;
  readonly kind: 'message' | 'request' | 'answer';
  readonly bytes: Uint8Array;
}

/** A host that other hosts can reach at its address; one door of one process. */
export interface Host {
  /** Name of the process, for traces and weather. */
  readonly name: string;
  readonly peer: string;
  readonly address: string;
  readonly isOpen: boolean;
}

/** Carries messages between hosts, through the weather, in order where the weather lets it. */
export class SimulatedNetwork<T extends Host> {
  readonly kernel: Kernel;
  readonly #hosts = new Map<string, T[]>();
  readonly #lastArrivalMs = new Map<string, number>();
  readonly observers: Observer[] = [];
  weather: Weather;

  constructor(kernel: Kernel, weather: Weather) {
    this.kernel = kernel;
    this.weather = weather;
  }

  add(host: T): void {
    this.#hosts.set(portOf(host.address), [...this.hostsAt(host.address), host]);
  }

  /** More than one where a member runs twice under one name. */
  hostsAt(address: string): T[] {
    const port = portOf(address);
    const open = (this.#hosts.get(port) ?? []).filter((host) => host.isOpen);
    this.#hosts.set(port, open);
    return open;
  }

  /** Sends bytes on their way; `deliver` runs once for each copy that arrives. */
  carry(passing: Passing, deliver: (bytes: Uint8Array) => void): void {
    const { from, to, protocol, kind, bytes } = passing;
    for (const observer of this.observers) observer.onMessage?.(passing);
    const arrivals = this.weather.fate(from, to, passing);
    const label = `${from}>${to} ${protocol} ${kind} ${bytes.length} ${toHex(sha256(bytes)).slice(0, 8)}`;
    if (arrivals.length === 0) this.kernel.note('network', `lost ${label}`);
    for (const delayMs of arrivals) {
      this.kernel.after(this.#inOrder(from, to, delayMs), () => {
        this.kernel.note('network', label);
        deliver(bytes);
      });
    }
  }

  #inOrder(from: string, to: string, delayMs: number): number {
    if (this.weather.isReordering(from, to)) return delayMs;
    const link = `${from}>${to}`;
    const atMs = Math.max(this.kernel.nowMs + delayMs, this.#lastArrivalMs.get(link) ?? 0);
    this.#lastArrivalMs.set(link, atMs);
    return atMs - this.kernel.nowMs;
  }
}

/** Hosts are told apart by their TCP ports. */
function portOf(address: string): string {
  return /\/tcp\/(\d+)/.exec(address)?.[1] ?? address;
}

export function peerOf(address: string): string {
  return parsePeerAddress(address).peer;
}

export type Carrier = Pick<SimulatedNetwork<Host>, 'kernel' | 'carry'>;

/** Requests of one host: each is answered, refused with a code, or times out. */
export class Requests {
  readonly #network: Carrier;
  readonly #self: Host;

  constructor(network: Carrier, self: Host) {
    this.#network = network;
    this.#self = self;
  }

  ask(
    to: Host,
    protocol: string,
    message: Uint8Array,
    options: { timeoutMs: number; serve: (message: Uint8Array) => Promise<Uint8Array | undefined> },
  ): Promise<Uint8Array> {
    const network = this.#network;
    const self = this.#self;
    const there = { from: self.name, to: to.name, protocol, kind: 'request', bytes: message } as const;
    return new Promise((resolve, reject) => {
      const cancel = network.kernel.after(options.timeoutMs, () => {
        if (self.isOpen)
          reject(new TransportError('REQUEST_TIMED_OUT', `no answer within ${options.timeoutMs} ms`));
      });
      const settle = (end: () => void): void => {
        cancel();
        if (self.isOpen) end();
      };
      network.carry(there, (bytes) => {
        if (!to.isOpen) return;
        options.serve(bytes).then(
          (answer) => {
            if (!to.isOpen) return;
            const back = { ...there, from: to.name, to: self.name, kind: 'answer' } as const;
            network.carry({ ...back, bytes: answer ?? new Uint8Array(0) }, (received) =>
              settle(() => resolve(received)),
            );
          },
          (error: unknown) => {
            if (!to.isOpen) return;
            const code = error instanceof CodedError ? error.code : 'HANDLER_FAILED';
            network.kernel.note(to.name, `refuses ${protocol}: ${code}`);
            const back = { ...there, from: to.name, to: self.name, kind: 'answer' } as const;
            network.carry({ ...back, bytes: new Uint8Array(0) }, () =>
              settle(() => reject(new RemoteError(code, `${to.name} answered ${code}`))),
            );
            passOver(error);
          },
        );
      });
    });
  }
}

/** What a handler threw: a refusal is an answer; anything else is a bug, which is to stay unhandled. */
export function passOver(error: unknown): void {
  if (!(error instanceof CodedError)) throw error;
}

/** Serves protocols as the real hosts do: known ones only, no larger messages than declared, so many at a time. */
export class Served {
  readonly #protocols: Readonly<Record<string, Protocol>>;
  readonly #isShared: boolean;
  readonly #busy = new Map<string, number>();
  readonly #waiting = new Map<string, (() => void)[]>();

  /** `isShared`: all peers together may have so many handlers running, and not each of them. */
  constructor(protocols: Readonly<Record<string, Protocol>>, { isShared }: { readonly isShared: boolean }) {
    this.#protocols = protocols;
    this.#isShared = isShared;
  }

  require(name: string): Protocol {
    const protocol = this.#protocols[name];
    if (protocol === undefined)
      throw new TransportError('PROTOCOL_UNKNOWN', `protocol is not configured: ${name}`);
    return protocol;
  }

  async handle(peer: string, name: string, message: Uint8Array): Promise<Uint8Array | undefined> {
    const protocol = this.require(name);
    if (message.length > protocol.maxMessageBytes)
      throw new TransportError('MESSAGE_TOO_LARGE', `message: got ${message.length} bytes`);
    const key = this.#isShared ? name : `${peer} ${name}`;
    const busy = this.#busy.get(key) ?? 0;
    if (busy >= protocol.maxInFlight) {
      await new Promise<void>((resolve) => {
        this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), resolve]);
      });
    } else this.#busy.set(key, busy + 1);
    try {
      return await protocol.handle(peer, message);
    } finally {
      const next = this.#waiting.get(key)?.shift();
      if (next === undefined) this.#busy.set(key, (this.#busy.get(key) ?? 1) - 1);
      else next();
    }
  }
}
