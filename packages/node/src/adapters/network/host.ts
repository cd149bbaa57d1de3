import type {
  Connection,
  ConnectionEncrypter,
  ConnectionGater,
  PrivateKey,
  ServiceMap,
  Startable,
} from '@libp2p/interface';
import type { NoiseComponents } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { createLibp2p, type Libp2p, type Libp2pOptions } from 'libp2p';
import { TransportError } from '../../ports/transport.ts';
import { sparingYamux } from './muxer.ts';

const MEBIBYTE = 1024 * 1024;
/** Room for streams that are being negotiated, next to those of the protocols. */
const SPARE_STREAMS = 8;

export interface HostOptions<T extends ServiceMap> {
  readonly privateKey: PrivateKey;
  /** Absent: a host that only dials. */
  readonly listen?: string;
  readonly encrypter: (components: NoiseComponents) => ConnectionEncrypter;
  readonly gater: ConnectionGater;
  readonly streamsMax: number;
  readonly connectionsMax: number;
  readonly connectionsPerSecondMax: number;
  readonly pendingHandshakesMax: number;
  readonly handshakeTimeoutMs: number;
  /** Long-lived links are probed, so that a vanished peer is noticed; public ones time out by themselves. */
  readonly monitored: boolean;
  readonly services?: Libp2pOptions<T>['services'];
}

/**
 * A libp2p host, not yet started, of TCP, one encrypter and yamux, and of nothing else: no identify, no ping, no
 * discovery, no routing. What it serves is what the caller registers.
 */
export async function createHost<T extends ServiceMap = ServiceMap>(
  options: HostOptions<T>,
): Promise<Libp2p<T>> {
  return createLibp2p<T>({
    privateKey: options.privateKey,
    start: false,
    addresses: { listen: options.listen === undefined ? [] : [options.listen] },
    transports: [tcp()],
    connectionEncrypters: [options.encrypter],
    streamMuxers: [
      sparingYamux({
        maxInboundStreams: options.streamsMax + SPARE_STREAMS,
        maxOutboundStreams: options.streamsMax + SPARE_STREAMS,
        // A paused stream must not fill more than its read buffer allows.
        streamOptions: { maxStreamWindowSize: MEBIBYTE, maxReadBufferLength: 4 * MEBIBYTE },
      }),
    ],
    connectionGater: options.gater,
    connectionManager: {
      maxConnections: options.connectionsMax,
      inboundConnectionThreshold: options.connectionsPerSecondMax,
      maxIncomingPendingConnections: options.pendingHandshakesMax,
      addressDialTimeout: options.handshakeTimeoutMs,
      dialTimeout: options.handshakeTimeoutMs,
      inboundUpgradeTimeout: options.handshakeTimeoutMs,
      reconnectRetries: 0,
    },
    // A busy machine may answer a probe late; losing the link would only add work to it.
    connectionMonitor: {
      enabled: options.monitored,
      pingInterval: 10_000,
      pingTimeout: { minTimeout: 15_000 },
    },
    ...(options.services === undefined ? {} : { services: options.services }),
  });
}

/** Starts listening and serving. Throws `LISTEN_FAILED` when the address is taken or is no address of this machine. */
export async function startHost(host: Startable, listen: string | undefined): Promise<void> {
  try {
    await host.start();
  } catch (cause) {
    throw new TransportError('LISTEN_FAILED', `cannot listen on ${listen ?? 'nothing'}`, { cause });
  }
}

/**
 * Cuts connections in a turn of the event loop of their own; which ones is chosen in that turn. Yamux 8 opens a stream
 * in a microtask that throws, with nobody to catch it, when the connection was aborted in the same turn.
 */
export async function abortConnections(choose: () => readonly Connection[], reason: Error): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      for (const connection of choose()) connection.abort(reason);
      resolve();
    });
  });
}
