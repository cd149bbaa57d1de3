import type { Connection } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import type { CodedError } from '@nemea/core';
import type { Libp2p } from 'libp2p';
import { type PeerAddress, parsePeerAddress, toPeerAddress } from '../../peers/peer-address.ts';
import {
  type MemberAddress,
  type Overlay,
  type OverlayCounters,
  type OverlayLimits,
  type OverlayOptions,
  type PeerEvent,
  RefusalError,
  RemoteError,
  TransportError,
} from '../../ports/transport.ts';
import { attestedNoise } from './attested-noise.ts';
import { Channel } from './channel.ts';
import { abortConnections, createHost, startHost } from './host.ts';
import { toPrivateKey } from './identity.ts';
import { Redial } from './redial.ts';
import { serveProtocols } from './serve.ts';
import { Slots } from './slots.ts';

export const OVERLAY_LIMITS: OverlayLimits = {
  connectionsMax: 256,
  connectionsPerSecondMax: 50,
  pendingHandshakesMax: 64,
  handshakeTimeoutMs: 10_000,
  queueMessagesMax: 1024,
  queueBytesMax: 8 * 1024 * 1024,
  writeTimeoutMs: 10_000,
  redialFirstMs: 250,
  redialMaxMs: 10_000,
  dialYieldMs: 1500,
};
/** A pair may dial each other at the same moment; more connections than two are a fault or an attack. */
const CONNECTIONS_PER_PEER_MAX = 2;

/** Opens the members-only network of this node and starts listening. */
export async function openOverlay(options: OverlayOptions): Promise<Overlay> {
  const overlay = new AttestedOverlay(options);
  await overlay.open();
  return overlay;
}

class AttestedOverlay implements Overlay {
  readonly #options: OverlayOptions;
  readonly #limits: OverlayLimits;
  readonly #counters = { sendsDropped: 0, streamsAborted: 0 };
  readonly #evicted = new Set<string>();
  readonly #channels = new Map<string, Map<string, Channel>>();
  readonly #slots = new Map<string, Slots>();
  readonly #failures = new Map<string, CodedError<string>>();
  #host: Libp2p | undefined;
  #redial: Redial | undefined;

  constructor(options: OverlayOptions) {
    this.#options = options;
    this.#limits = { ...OVERLAY_LIMITS, ...options.limits };
  }

  async open(): Promise<void> {
    const deny = (peer: { toString(): string }): boolean => !this.#isAdmitted(peer.toString());
    const host = await createHost({
      ...this.#limits,
      privateKey: await toPrivateKey(this.#options.privateKey),
      listen: this.#options.listen,
      encrypter: attestedNoise({
        networkId: this.#options.networkId,
        handshakeTimeoutMs: this.#limits.handshakeTimeoutMs,
        collectEvidence: (binding) => this.#options.collectEvidence(binding),
        verifyEvidence: (evidence, binding) => this.#options.verifyEvidence(evidence, binding),
        isAdmitted: (peer) => this.#isAdmitted(peer),
        onFailure: (peer, error, role) => this.#onHandshakeFailure(peer, error, role),
      }),
      gater: {
        denyDialPeer: deny,
        denyInboundEncryptedConnection: deny,
        denyOutboundEncryptedConnection: deny,
        denyInboundUpgradedConnection: deny,
        denyOutboundUpgradedConnection: deny,
      },
      streamsMax: 4 * Object.keys(this.#options.protocols).length,
      monitored: true,
    });
    host.addEventListener('connection:open', ({ detail }) => this.#onConnection(host, detail));
    host.addEventListener('peer:connect', ({ detail }) =>
      this.#emit({ type: 'connected', peer: `${detail}` }),
    );
    host.addEventListener('peer:disconnect', ({ detail }) => this.#onDisconnect(`${detail}`));
    await serveProtocols(host, {
      protocols: this.#options.protocols,
      writeTimeoutMs: this.#limits.writeTimeoutMs,
      slotsFor: (peer, protocol) => [this.#slotsFor(peer, protocol)],
      onAborted: () => {
        this.#counters.streamsAborted += 1;
      },
    });
    this.#host = host;
    this.#redial = new Redial({
      self: this.peerId,
      firstMs: this.#limits.redialFirstMs,
      maxMs: this.#limits.redialMaxMs,
      yieldMs: this.#limits.dialYieldMs,
      isWanted: (peer) => this.#isAdmitted(peer),
      isConnected: (peer) => this.#connections(peer).length > 0,
      dial: (address) => this.#dial(address),
    });
    await startHost(host, this.#options.listen);
  }

  get peerId(): string {
    return this.#running().peerId.toString();
  }

  get addresses(): readonly string[] {
    return this.#running()
      .getMultiaddrs()
      .map((address) => address.toString());
  }

  get counters(): OverlayCounters {
    return { ...this.#counters };
  }

  peers(): string[] {
    return this.#running()
      .getPeers()
      .map((peer) => peer.toString());
  }

  async connect(address: string): Promise<void> {
    this.#running();
    await this.#dial(parsePeerAddress(address));
  }

  send(peer: string, protocol: string, message: Uint8Array): void {
    const channel = this.#channel(peer, protocol);
    if (channel) channel.send(message);
    else this.#counters.sendsDropped += 1;
  }

  async request(
    peer: string,
    protocol: string,
    message: Uint8Array,
    options: { timeoutMs: number },
  ): Promise<Uint8Array> {
    const channel = this.#channel(peer, protocol);
    if (!channel) throw new TransportError('PEER_NOT_CONNECTED', `no connection to ${peer}`);
    return channel.request(message, options.timeoutMs);
  }

  setMembers(members: readonly MemberAddress[]): void {
    this.#running();
    this.#redial?.setTargets(members.map(({ peer, address }) => toPeerAddress(peer, address)));
  }

  async evict(peer: string): Promise<void> {
    const host = this.#running();
    this.#evicted.add(peer);
    const reason = new TransportError('STREAM_CLOSED', `peer ${peer} was evicted`);
    // The gater is asked only while a connection is made: what is open has to be cut here.
    this.#closeChannels(peer);
    const id = peerIdFromString(peer);
    await abortConnections(() => host.getConnections(id), reason);
    await host.peerStore.delete(id);
  }

  readmit(peer: string): void {
    this.#evicted.delete(peer);
    this.#redial?.onDisconnected(peer);
  }

  async close(): Promise<void> {
    const host = this.#host;
    if (!host) return;
    this.#redial?.close();
    for (const peer of [...this.#channels.keys()]) this.#closeChannels(peer);
    await abortConnections(
      () => host.getConnections(),
      new TransportError('HOST_CLOSED', 'overlay is closing'),
    );
    await host.stop();
    this.#host = undefined;
  }

  async #dial(address: PeerAddress): Promise<void> {
    const host = this.#running();
    this.#failures.delete(address.peer);
    if (!this.#isAdmitted(address.peer)) {
      throw new RefusalError('NOT_A_MEMBER', `peer is not a member of the network: ${address.peer}`);
    }
    try {
      await host.dial(address.multiaddr, { signal: AbortSignal.timeout(this.#limits.handshakeTimeoutMs) });
    } catch (cause) {
      // libp2p keeps only the text of what the encrypter threw; the reason itself was set aside.
      const failure = this.#failures.get(address.peer);
      if (failure) throw failure;
      throw new TransportError('CONNECTION_FAILED', `could not connect to ${address.peer}`, { cause });
    }
  }

  #running(): Libp2p {
    if (!this.#host) throw new TransportError('HOST_CLOSED', 'overlay is closed');
    return this.#host;
  }

  #isAdmitted(peer: string): boolean {
    return !this.#evicted.has(peer) && this.#options.isMember(peer);
  }

  #connections(peer: string): Connection[] {
    return this.#running().getConnections(peerIdFromString(peer));
  }

  #channel(peer: string, name: string): Channel | undefined {
    const protocol = this.#options.protocols[name];
    if (!protocol) throw new TransportError('PROTOCOL_UNKNOWN', `protocol is not configured: ${name}`);
    // Closed when the last connection ends: while there is one, nobody need be looked up for each message.
    const known = this.#channels.get(peer)?.get(name);
    if (known) return known;
    const connected = this.#connections(peer).some((connection) => connection.status === 'open');
    if (!connected) return undefined;
    const channels = this.#channels.get(peer) ?? new Map<string, Channel>();
    this.#channels.set(peer, channels);
    const channel = new Channel({
      ...this.#limits,
      maxMessageBytes: protocol.maxMessageBytes,
      open: () => this.#openStream(peer, name),
      onDropped: (count) => {
        this.#counters.sendsDropped += count;
      },
    });
    channels.set(name, channel);
    return channel;
  }

  async #openStream(peer: string, protocol: string): ReturnType<Connection['newStream']> {
    const connection = this.#connections(peer).findLast((candidate) => candidate.status === 'open');
    if (!connection) throw new TransportError('PEER_NOT_CONNECTED', `no connection to ${peer}`);
    return connection.newStream(protocol, { signal: AbortSignal.timeout(this.#limits.writeTimeoutMs) });
  }

  #slotsFor(peer: string, protocol: string): Slots {
    const key = `${peer} ${protocol}`;
    const slots = this.#slots.get(key) ?? new Slots(this.#options.protocols[protocol]?.maxInFlight ?? 1);
    this.#slots.set(key, slots);
    return slots;
  }

  #onConnection(host: Libp2p, connection: Connection): void {
    const peer = connection.remotePeer.toString();
    if (!this.#isAdmitted(peer)) {
      void abortConnections(
        () => [connection],
        new TransportError('STREAM_CLOSED', 'membership ended meanwhile'),
      );
      return;
    }
    const others = host.getConnections(connection.remotePeer).filter(({ id }) => id !== connection.id);
    // The newest is kept: a peer that restarted cannot close what it left behind.
    const surplus = others.slice(0, Math.max(0, others.length + 1 - CONNECTIONS_PER_PEER_MAX));
    void abortConnections(
      () => surplus,
      new TransportError('STREAM_CLOSED', 'peer opened newer connections'),
    );
  }

  #onDisconnect(peer: string): void {
    this.#closeChannels(peer);
    for (const protocol of Object.keys(this.#options.protocols)) this.#slots.delete(`${peer} ${protocol}`);
    this.#redial?.onDisconnected(peer);
    this.#emit({ type: 'disconnected', peer });
  }

  #closeChannels(peer: string): void {
    for (const channel of this.#channels.get(peer)?.values() ?? []) channel.close();
    this.#channels.delete(peer);
  }

  #onHandshakeFailure(peer: string, error: CodedError<string>, role: 'initiator' | 'responder'): void {
    if (role === 'initiator') this.#failures.set(peer, error);
    this.#emit({ type: 'refused', peer, code: error.code, detail: error.message, ...toRefuser(error) });
  }

  #emit(event: PeerEvent): void {
    this.#options.onPeer?.(event);
  }
}

/** A connection that merely broke was refused by nobody. */
function toRefuser(error: CodedError<string>): { by?: 'us' | 'them' } {
  if (error instanceof RemoteError) return { by: 'them' };
  if (error instanceof RefusalError) return { by: 'us' };
  return {};
}
