import {
  type MemberAddress,
  type Overlay,
  type OverlayOptions,
  RefusalError,
  TransportError,
} from '@nemea/node/ports';
import type { SeededRandom } from '../kernel/random.ts';
import type { Life } from './life.ts';
import { type Host, passOver, peerOf, Requests, Served, type SimulatedNetwork } from './network.ts';

const REDIAL_FIRST_MS = 250;
const REDIAL_MAX_MS = 10_000;
const DIAL_YIELD_MS = 1_500;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const EVIDENCE = 'handshake';

export interface OverlayTwinOptions {
  readonly name: string;
  readonly peer: string;
  readonly life: Life;
  readonly network: SimulatedNetwork<OverlayTwin>;
  readonly random: SeededRandom;
  /** Which process answers for a peer, where one runs twice. */
  route(hosts: readonly OverlayTwin[], from: string): OverlayTwin | undefined;
}

/** The members-only network of one process: connections by mutual evidence, then messages in both directions. */
export class OverlayTwin implements Overlay, Host {
  readonly name: string;
  readonly peer: string;
  readonly address: string;
  readonly counters = { sendsDropped: 0, streamsAborted: 0 };
  readonly #twin: OverlayTwinOptions;
  readonly #options: OverlayOptions;
  readonly #served: Served;
  readonly #requests: Requests;
  readonly #connected = new Map<string, OverlayTwin>();
  readonly #evicted = new Set<string>();
  readonly #targets = new Map<string, string>();
  readonly #dialling = new Set<string>();
  #isOpen = true;

  constructor(options: OverlayOptions, twin: OverlayTwinOptions) {
    this.name = twin.name;
    this.peer = twin.peer;
    this.address = options.listen;
    this.#twin = twin;
    this.#options = options;
    this.#served = new Served(options.protocols, { isShared: false });
    this.#requests = new Requests(twin.network, this);
    twin.network.add(this);
    twin.life.onEnd(() => this.#abandon());
  }

  get isOpen(): boolean {
    return this.#isOpen && this.#twin.life.isOn;
  }

  get peerId(): string {
    return this.peer;
  }

  get addresses(): readonly string[] {
    return [`${this.address}/p2p/${this.peer}`];
  }

  peers(): string[] {
    return [...this.#connected.keys()];
  }

  async connect(address: string): Promise<void> {
    await this.#dial(peerOf(address), address);
  }

  send(peer: string, protocol: string, message: Uint8Array): void {
    this.#served.require(protocol);
    const to = this.#connected.get(peer);
    if (to === undefined) {
      this.counters.sendsDropped += 1;
      return;
    }
    this.#twin.network.carry(
      { from: this.name, to: to.name, protocol, kind: 'message', bytes: message },
      (received) => {
        if (to.isOpen && to.isConnectedTo(this.peer))
          void to.serve(this.peer, protocol, received).catch(passOver);
      },
    );
  }

  request(
    peer: string,
    protocol: string,
    message: Uint8Array,
    { timeoutMs }: { timeoutMs: number },
  ): Promise<Uint8Array> {
    this.#served.require(protocol);
    const to = this.#connected.get(peer);
    if (to === undefined)
      return Promise.reject(new TransportError('PEER_NOT_CONNECTED', `no connection to ${peer}`));
    const serve = (received: Uint8Array) => to.serve(this.peer, protocol, received);
    return this.#requests.ask(to, protocol, message, { timeoutMs, serve });
  }

  setMembers(members: readonly MemberAddress[]): void {
    this.#targets.clear();
    for (const { peer, address } of members) {
      this.#targets.set(peer, address);
      this.#redial(peer, this.peer < peer ? 0 : DIAL_YIELD_MS, REDIAL_FIRST_MS);
    }
  }

  async evict(peer: string): Promise<void> {
    this.#evicted.add(peer);
    this.#hangUp(peer);
  }

  readmit(peer: string): void {
    this.#evicted.delete(peer);
    if (this.#targets.has(peer)) this.#redial(peer, REDIAL_FIRST_MS, REDIAL_FIRST_MS);
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    this.#abandon();
  }

  isConnectedTo(peer: string): boolean {
    return this.#connected.has(peer);
  }

  isAdmitted(peer: string): boolean {
    return !this.#evicted.has(peer) && this.#options.isMember(peer);
  }

  serve(peer: string, protocol: string, message: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#served.handle(peer, protocol, message);
  }

  /** This side's evidence for the other, over the challenge that the other drew. */
  prove(challenge: Uint8Array, remote: string): Promise<Uint8Array> {
    return this.#options.collectEvidence({ challenge, self: this.peer, remote });
  }

  drawChallenge(): Uint8Array {
    return this.#twin.random.bytes(32);
  }

  /** Judges the other side. Throws `RefusalError`. */
  async judge(evidence: Uint8Array, challenge: Uint8Array, remote: string): Promise<void> {
    const verdict = await this.#options.verifyEvidence(evidence, { challenge, self: this.peer, remote });
    if (verdict.ok) return;
    this.#twin.network.kernel.note(this.name, `refuses ${remote.slice(-6)}: ${verdict.code}`);
    this.#options.onPeer?.({
      type: 'refused',
      peer: remote,
      code: verdict.code,
      by: 'us',
      detail: verdict.detail,
    });
    throw new RefusalError(verdict.code, verdict.detail);
  }

  onConnected(remote: OverlayTwin): void {
    this.#connected.set(remote.peer, remote);
    this.#options.onPeer?.({ type: 'connected', peer: remote.peer });
  }

  onHungUp(remote: OverlayTwin): void {
    if (this.#connected.get(remote.peer) !== remote) return;
    this.#connected.delete(remote.peer);
    if (!this.isOpen) return;
    this.#options.onPeer?.({ type: 'disconnected', peer: remote.peer });
    this.#redial(remote.peer, REDIAL_FIRST_MS, REDIAL_FIRST_MS);
  }

  #redial(peer: string, delayMs: number, againMs: number): void {
    if (this.#dialling.has(peer)) return;
    this.#dialling.add(peer);
    this.#twin.network.kernel.after(delayMs, () => {
      this.#dialling.delete(peer);
      const address = this.#targets.get(peer);
      if (!this.isOpen || address === undefined || this.#connected.has(peer) || !this.isAdmitted(peer))
        return;
      this.#dialling.add(peer);
      const again = (): void => {
        this.#dialling.delete(peer);
        if (this.isOpen && !this.#connected.has(peer))
          this.#redial(peer, againMs, Math.min(REDIAL_MAX_MS, againMs * 2));
      };
      this.#dial(peer, address).then(again, again);
    });
  }

  /** Both sides prove themselves to each other, as two messages each way. */
  async #dial(peer: string, address: string): Promise<void> {
    const { network, route } = this.#twin;
    if (!this.isAdmitted(peer)) throw new RefusalError('NOT_A_MEMBER', `peer is no member: ${peer}`);
    const remote = route(
      network.hostsAt(address).filter((host) => host.peer === peer),
      this.name,
    );
    if (remote === undefined) throw new TransportError('CONNECTION_FAILED', `could not connect to ${peer}`);
    const mine = this.drawChallenge();
    const theirs = remote.drawChallenge();
    const evidence = await this.#ask(remote, mine, async (challenge) => {
      if (!remote.isAdmitted(this.peer)) throw new RefusalError('NOT_A_MEMBER', 'you are no member');
      return remote.prove(challenge, this.peer);
    });
    await this.judge(evidence, mine, remote.peer);
    await this.#ask(remote, await this.prove(theirs, remote.peer), async (shown) => {
      await remote.judge(shown, theirs, this.peer);
      remote.onConnected(this);
      return new Uint8Array(0);
    });
    this.onConnected(remote);
  }

  #ask(
    remote: OverlayTwin,
    message: Uint8Array,
    serve: (message: Uint8Array) => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    return this.#requests.ask(remote, EVIDENCE, message, { timeoutMs: HANDSHAKE_TIMEOUT_MS, serve });
  }

  #hangUp(peer: string): void {
    const remote = this.#connected.get(peer);
    if (remote === undefined) return;
    this.#connected.delete(peer);
    const { kernel, weather } = this.#twin.network;
    // The other side's kernel learns of it soon, or at its next keep-alive.
    const [delayMs = HANDSHAKE_TIMEOUT_MS] = weather.fate(this.name, remote.name);
    kernel.after(delayMs, () => remote.onHungUp(this));
  }

  #abandon(): void {
    for (const peer of [...this.#connected.keys()]) this.#hangUp(peer);
  }
}
