import { CodedError } from '@nemea/core';

/**
 * One request-answer or message protocol served on a host. `handle` gets the PeerId that the encrypted channel
 * proved. What it returns answers a request and is ignored for a plain message; a thrown `CodedError` reaches
 * the peer as its code only, anything else as `UNEXPECTED`.
 */
export interface Protocol {
  readonly maxMessageBytes: number;
  /** Handlers running at once: for each peer on the overlay, for all peers together on a public host. */
  readonly maxInFlight: number;
  handle(peer: string, message: Uint8Array): Promise<Uint8Array | undefined>;
}

/** What evidence of one side of one connection is bound to: PeerIds of this channel and a fresh challenge. */
export interface EvidenceBinding {
  /** 32 bytes drawn by the verifier for this handshake. */
  readonly challenge: Uint8Array;
  readonly self: string;
  readonly remote: string;
}

export type EvidenceVerdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: string; readonly detail: string };

export interface PeerEvent {
  readonly type: 'connected' | 'disconnected' | 'refused';
  readonly peer: string;
  /** Stable reason of a refusal. */
  readonly code?: string;
  /** Who refused whom. */
  readonly by?: 'us' | 'them';
  /** The verifier's own words; only for a refusal by us. */
  readonly detail?: string;
}

export interface OverlayLimits {
  readonly connectionsMax: number;
  readonly connectionsPerSecondMax: number;
  readonly pendingHandshakesMax: number;
  readonly handshakeTimeoutMs: number;
  readonly queueMessagesMax: number;
  readonly queueBytesMax: number;
  readonly writeTimeoutMs: number;
  readonly redialFirstMs: number;
  readonly redialMaxMs: number;
  /** How long the peer with the higher id leaves dialling to the other. */
  readonly dialYieldMs: number;
}

export interface OverlayOptions {
  /** 32-byte Ed25519 seed. */
  readonly privateKey: Uint8Array;
  /** Multiaddr, such as `/ip4/127.0.0.1/tcp/0`. */
  readonly listen: string;
  readonly networkId: Uint8Array;
  readonly protocols: Readonly<Record<string, Protocol>>;
  readonly limits?: Partial<OverlayLimits>;
  /** Builds evidence of this node for `binding.remote`, over the challenge which that peer drew. */
  collectEvidence(binding: EvidenceBinding): Promise<Uint8Array>;
  /** Judges evidence of `binding.remote` over the challenge which this node drew. */
  verifyEvidence(evidence: Uint8Array, binding: EvidenceBinding): Promise<EvidenceVerdict>;
  /** Asked before any evidence work, and again when the connection opens. */
  isMember(peer: string): boolean;
  onPeer?(event: PeerEvent): void;
}

export interface MemberAddress {
  readonly peer: string;
  /** Multiaddr with or without its `/p2p/` part. */
  readonly address: string;
}

export interface OverlayCounters {
  /** Messages given up because the queue was full or the peer was not connected. */
  readonly sendsDropped: number;
  /** Streams reset because the peer broke the framing or a limit. */
  readonly streamsAborted: number;
}

/** The members-only network. Nothing but `protocols` is served, and only after both sides showed evidence. */
export interface Overlay {
  readonly peerId: string;
  readonly addresses: readonly string[];
  readonly counters: OverlayCounters;
  /** Dials an address that contains `/p2p/`. Resolves once both sides accepted each other's evidence. */
  connect(address: string): Promise<void>;
  /** Best effort and in order: a full queue drops its oldest message, an unconnected peer gets none. */
  send(peer: string, protocol: string, message: Uint8Array): void;
  /** Throws `RemoteError` with the peer's code, or `TransportError`. */
  request(
    peer: string,
    protocol: string,
    message: Uint8Array,
    options: { timeoutMs: number },
  ): Promise<Uint8Array>;
  /** Keeps trying to reach these peers, and no others. */
  setMembers(members: readonly MemberAddress[]): void;
  /** Closes every connection now and refuses new ones until `readmit`. */
  evict(peer: string): Promise<void>;
  readmit(peer: string): void;
  peers(): string[];
  close(): Promise<void>;
}

export interface PublicHostLimits {
  readonly connectionsMax: number;
  readonly connectionsPerHostMax: number;
  readonly connectionsPerSecondMax: number;
  readonly pendingHandshakesMax: number;
  readonly handshakeTimeoutMs: number;
  /** A connection without a request for this long is closed. */
  readonly idleTimeoutMs: number;
  readonly inFlightPerPeerMax: number;
  readonly requestsPerSecondMax: number;
  readonly writeTimeoutMs: number;
  readonly queueMessagesMax: number;
  readonly queueBytesMax: number;
  /** Bounds what this host asks with, and what it accepts as an answer. */
  readonly answerBytesMax: number;
}

export interface ReceptionOptions {
  readonly privateKey: Uint8Array;
  readonly listen: string;
  readonly networkId: Uint8Array;
  readonly protocols: Readonly<Record<string, Protocol>>;
  readonly limits?: Partial<PublicHostLimits>;
}

/** The one door for strangers: serves only the given protocols, to anybody, within strict limits. */
export interface Reception {
  readonly peerId: string;
  readonly addresses: readonly string[];
  close(): Promise<void>;
}

export interface OutwardOptions {
  /** Absent: a fresh identity. */
  readonly privateKey?: Uint8Array;
  readonly networkId: Uint8Array;
  readonly limits?: Partial<PublicHostLimits>;
}

/** A dial-only host: asks receptions and key agents, listens nowhere, serves nothing. */
export interface Outward {
  readonly peerId: string;
  /** `address` contains `/p2p/`. Throws `RemoteError` with the peer's code, or `TransportError`. */
  request(
    address: string,
    protocol: string,
    message: Uint8Array,
    options: { timeoutMs: number },
  ): Promise<Uint8Array>;
  close(): Promise<void>;
}

export type TransportErrorCode =
  | 'ADDRESS_INVALID'
  | 'CONNECTION_FAILED'
  | 'FRAME_INVALID'
  | 'HANDSHAKE_MALFORMED'
  | 'HANDSHAKE_TIMED_OUT'
  | 'HOST_CLOSED'
  | 'LISTEN_FAILED'
  | 'MESSAGE_TOO_LARGE'
  | 'PEER_NOT_CONNECTED'
  | 'PEER_SILENT'
  | 'PROTOCOL_UNKNOWN'
  | 'QUEUE_FULL'
  | 'REQUEST_TIMED_OUT'
  | 'STREAM_CLOSED'
  | 'TOO_MANY_IN_FLIGHT';

export class TransportError extends CodedError<TransportErrorCode> {}

/** The other side answered with this code: it refused the handshake, or its handler failed. */
export class RemoteError extends CodedError<string> {}

/** This side refused the other in the handshake, with the verifier's code or a code of the overlay. */
export class RefusalError extends CodedError<string> {}
