import type { Connection, MultiaddrConnection, ServiceMap } from '@libp2p/interface';
import { noise } from '@libp2p/noise';
import type { Libp2p, Libp2pOptions } from 'libp2p';
import { parsePeerAddress } from '../../peers/peer-address.ts';
import { type Protocol, type PublicHostLimits, TransportError } from '../../ports/transport.ts';
import { Channel } from './channel.ts';
import { abortConnections, createHost, startHost } from './host.ts';
import { toPrivateKey } from './identity.ts';
import { serveProtocols } from './serve.ts';
import { Slots } from './slots.ts';

export const PUBLIC_HOST_LIMITS: PublicHostLimits = {
  connectionsMax: 64,
  connectionsPerHostMax: 32,
  connectionsPerSecondMax: 20,
  pendingHandshakesMax: 16,
  handshakeTimeoutMs: 10_000,
  idleTimeoutMs: 30_000,
  inFlightPerPeerMax: 8,
  requestsPerSecondMax: 50,
  writeTimeoutMs: 10_000,
  queueMessagesMax: 256,
  queueBytesMax: 16 * 1024 * 1024,
  answerBytesMax: 1024 * 1024,
};

const DIALLER_IDLE_SHARE = 0.6;

export interface PublicHostOptions<T extends ServiceMap> {
  readonly privateKey?: Uint8Array;
  readonly listen?: string;
  readonly networkId?: Uint8Array;
  readonly protocols: Readonly<Record<string, Protocol>>;
  readonly limits?: Partial<PublicHostLimits>;
  readonly services?: Libp2pOptions<T>['services'];
  /** Streams that other parts serve on this host; 0 if there is none. */
  readonly foreignStreamsMax?: number;
}

/**
 * A plain-noise host that anybody may connect to: who the peer is, is proven; what it may do is for each protocol to
 * judge. Serves the given protocols, asks those of others, and closes what stands idle.
 */
export class PublicHost<T extends ServiceMap = ServiceMap> {
  readonly libp2p: Libp2p<T>;
  readonly #limits: PublicHostLimits;
  readonly #listen: string | undefined;
  readonly #channels = new Map<string, Channel>();
  readonly #busy = new Map<string, { connection: Connection; requests: number; timer: NodeJS.Timeout }>();
  #closed = false;

  /** Builds the host without starting it, so that others can register what they serve. */
  static async create<T extends ServiceMap = ServiceMap>(
    options: PublicHostOptions<T>,
  ): Promise<PublicHost<T>> {
    const limits = { ...PUBLIC_HOST_LIMITS, ...options.limits };
    const networkId = options.networkId;
    const libp2p: Libp2p<T> = await createHost<T>({
      ...limits,
      privateKey: await toPrivateKey(options.privateKey),
      ...(options.listen === undefined ? {} : { listen: options.listen }),
      encrypter: noise(networkId === undefined ? {} : { prologueBytes: networkId }),
      gater: {
        denyDialMultiaddr: () => false,
        denyInboundConnection: (incoming) => tooManyFromHost(libp2p, incoming, limits.connectionsPerHostMax),
      },
      streamsMax: 2 * Object.keys(options.protocols).length + (options.foreignStreamsMax ?? 0),
      monitored: false,
      ...(options.services === undefined ? {} : { services: options.services }),
    });
    const host = new PublicHost<T>(libp2p, limits, options.listen);
    await host.#serve(options.protocols);
    return host;
  }

  private constructor(libp2p: Libp2p<T>, limits: PublicHostLimits, listen: string | undefined) {
    this.libp2p = libp2p;
    this.#limits = limits;
    this.#listen = listen;
    libp2p.addEventListener('connection:open', ({ detail }) => this.#watch(detail));
    libp2p.addEventListener('connection:close', ({ detail }) => this.#unwatch(detail));
  }

  get peerId(): string {
    return this.libp2p.peerId.toString();
  }

  get addresses(): readonly string[] {
    return this.libp2p.getMultiaddrs().map((address) => address.toString());
  }

  async start(): Promise<void> {
    await startHost(this.libp2p, this.#listen);
  }

  /** An open connection to the peer at this address. Throws `CONNECTION_FAILED`. */
  async connect(address: string, timeoutMs: number): Promise<Connection> {
    if (this.#closed) throw new TransportError('HOST_CLOSED', 'host is closed');
    const { multiaddr } = parsePeerAddress(address);
    try {
      return await this.libp2p.dial(multiaddr, { signal: AbortSignal.timeout(timeoutMs) });
    } catch (cause) {
      throw new TransportError('CONNECTION_FAILED', `could not connect to ${address}`, { cause });
    }
  }

  async request(
    address: string,
    protocol: string,
    message: Uint8Array,
    options: { timeoutMs: number },
  ): Promise<Uint8Array> {
    const startedMs = performance.now();
    const connection = await this.connect(address, options.timeoutMs);
    const restMs = Math.max(1, Math.ceil(options.timeoutMs - (performance.now() - startedMs)));
    const channel = this.#channel(connection, protocol);
    this.hold(connection);
    try {
      return await channel.request(message, restMs);
    } finally {
      this.#release(connection);
    }
  }

  /** Keeps the connection from counting as idle until it is released or hung up. */
  hold(connection: Connection): void {
    const entry = this.#busy.get(connection.id);
    if (entry) entry.requests += 1;
  }

  /** Ends a hold and closes the connection, unless a request still uses it. */
  async hangUp(connection: Connection): Promise<void> {
    this.#release(connection);
    const reason = new TransportError('STREAM_CLOSED', 'done with the peer');
    await abortConnections(() => (this.#isHeld(connection) ? [] : [connection]), reason);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
    await abortConnections(
      () => this.libp2p.getConnections(),
      new TransportError('HOST_CLOSED', 'host is closing'),
    );
    await this.libp2p.stop();
    for (const { timer } of this.#busy.values()) clearTimeout(timer);
    this.#busy.clear();
  }

  async #serve(protocols: Readonly<Record<string, Protocol>>): Promise<void> {
    const shared = new Map(
      Object.entries(protocols).map(([name, { maxInFlight }]) => [name, new Slots(maxInFlight)]),
    );
    const perPeer = new Map<string, Slots>();
    await serveProtocols(this.libp2p, {
      protocols,
      writeTimeoutMs: this.#limits.writeTimeoutMs,
      requestsPerSecondMax: this.#limits.requestsPerSecondMax,
      slotsFor: (peer, name) => {
        const own = perPeer.get(peer) ?? new Slots(this.#limits.inFlightPerPeerMax);
        perPeer.set(peer, own);
        const all = shared.get(name);
        return all ? [own, all] : [own];
      },
      onActivity: (connection, change) =>
        change === 'begin' ? this.hold(connection) : this.#release(connection),
    });
    this.libp2p.addEventListener('peer:disconnect', ({ detail }) => perPeer.delete(detail.toString()));
  }

  #channel(connection: Connection, protocol: string): Channel {
    const key = `${connection.id} ${protocol}`;
    const known = this.#channels.get(key);
    if (known) return known;
    const channel = new Channel({
      ...this.#limits,
      maxMessageBytes: this.#limits.answerBytesMax,
      open: () =>
        connection.newStream(protocol, { signal: AbortSignal.timeout(this.#limits.writeTimeoutMs) }),
      onDropped: () => undefined,
    });
    this.#channels.set(key, channel);
    connection.addEventListener('close', () => {
      channel.close();
      this.#channels.delete(key);
    });
    return channel;
  }

  #watch(connection: Connection): void {
    // The dialler gives up first, so that no request goes out on a connection that the other side is closing.
    const share = connection.direction === 'outbound' ? DIALLER_IDLE_SHARE : 1;
    const timer = setTimeout(() => this.#onIdle(connection), this.#limits.idleTimeoutMs * share);
    timer.unref();
    this.#busy.set(connection.id, { connection, requests: 0, timer });
  }

  #unwatch(connection: Connection): void {
    clearTimeout(this.#busy.get(connection.id)?.timer);
    this.#busy.delete(connection.id);
  }

  #release(connection: Connection): void {
    const entry = this.#busy.get(connection.id);
    if (!entry) return;
    entry.requests -= 1;
    entry.timer.refresh();
  }

  #isHeld(connection: Connection): boolean {
    return (this.#busy.get(connection.id)?.requests ?? 0) > 0;
  }

  #onIdle(connection: Connection): void {
    const reason = new TransportError('PEER_SILENT', `no request for ${this.#limits.idleTimeoutMs} ms`);
    void abortConnections(() => {
      const foreign = connection.streams.some(({ protocol }) => protocol.startsWith('/ipfs/'));
      if (!this.#isHeld(connection) && !foreign) return [connection];
      this.#busy.get(connection.id)?.timer.refresh();
      return [];
    }, reason);
  }
}

function tooManyFromHost(libp2p: Libp2p, incoming: MultiaddrConnection, max: number): boolean {
  const host = hostOf(incoming.remoteAddr);
  const same = libp2p.getConnections().filter((connection) => hostOf(connection.remoteAddr) === host);
  return same.length >= max;
}

function hostOf(address: MultiaddrConnection['remoteAddr']): string | undefined {
  return address.getComponents()[0]?.value;
}
