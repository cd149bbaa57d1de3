/**
 * One replica in a process of its own, as a node runs it: overlay on a real socket, journal on disk, the rim around
 * consensus. Started by `cluster.ts`, which tells it over IPC who it is and who the others are.
 */
import { join } from 'node:path';
import { type Member, parseMessage, type Settings } from '@nemea/consensus';
import { createEd25519Signer, createEd25519Verifier } from '@nemea/consensus/ed25519';
import { fromHex, toHex } from '@nemea/core';
import { systemClock } from '@nemea/node/clock';
import { openSqliteJournal } from '@nemea/node/journal';
import { openOverlay } from '@nemea/node/overlay';
import { peerIdOf } from '@nemea/node/peers';
import { PROTOCOLS, ReplicaRim } from '@nemea/node/replica';
import { pino } from 'pino';
import { encodeReply } from './bundle.ts';
import { Store, type StoreState } from './store.ts';

export const REPLY = '/nemea/bench-reply/1';
const MESSAGE_BYTES_MAX = 8 << 20;
const FETCH_TIMEOUT_MS = 5_000;
/** In place of a signer where nothing is checked. */
export const UNSIGNED = { sign: (): Uint8Array => new Uint8Array(64) };

/** Bytes are hex: the message is JSON. */
export interface ReplicaConfig {
  readonly dir: string;
  readonly networkId: string;
  readonly seed: string;
  readonly id: string;
  readonly members: readonly { readonly id: string; readonly publicKey: string }[];
  readonly client: string;
  readonly settings: Partial<Settings>;
  readonly isBare: boolean;
}

export type ToReplica =
  | { readonly type: 'start'; readonly config: ReplicaConfig }
  | { readonly type: 'members'; readonly addresses: readonly { peer: string; address: string }[] }
  | { readonly type: 'usage' };

export type FromReplica =
  | { readonly type: 'listening'; readonly peer: string; readonly address: string }
  | { readonly type: 'ready' }
  | { readonly type: 'usage'; readonly usage: Usage };

/** Since the process began. */
export interface Usage {
  readonly cpuMs: number;
  readonly decisions: number;
  readonly checks: number;
  readonly bytesSent: number;
  readonly view: number;
}

async function startReplica(config: ReplicaConfig): Promise<{
  peer: string;
  address: string;
  reach(addresses: readonly { peer: string; address: string }[]): Promise<void>;
  usage(): Usage;
}> {
  const networkId = fromHex(config.networkId);
  const client = fromHex(config.client);
  const members: Member[] = config.members.map(({ id, publicKey }) => ({
    id,
    publicKey: fromHex(publicKey),
    weight: 1,
  }));
  const keys = new Map(members.map(({ id, publicKey }) => [id, publicKey]));
  const peers = new Map(members.map(({ id, publicKey }) => [id, peerIdOf(publicKey)]));
  const others = [...peers].filter(([id]) => id !== config.id).map(([, peer]) => peer);
  const clientPeer = peerIdOf(client);
  const admitted = new Set([...others, clientPeer]);
  const verifyEd25519 = config.isBare ? () => true : createEd25519Verifier();
  let checks = 0;
  let bytesSent = 0;
  const verify: typeof verifyEd25519 = (...input) => {
    checks++;
    return verifyEd25519(...input);
  };
  const send = (peer: string, protocol: string, message: Uint8Array): void => {
    bytesSent += message.length;
    overlay.send(peer, protocol, message);
  };

  const reply = (number: number, revision: number): void =>
    send(clientPeer, REPLY, encodeReply({ number, revision, view: rim?.replica.view ?? 0 }));
  const store = new Store({ networkId, client, verify, onExecuted: reply });
  let rim: ReplicaRim<StoreState> | undefined;

  const receiveRequest = (bytes: Uint8Array): void => {
    const bundle = store.authenticate(bytes);
    if (bundle === null) return;
    const revision = store.revisionOf(bundle.number);
    if (revision === undefined) rim?.take({ type: 'request', operation: bytes });
    else reply(bundle.number, revision);
  };
  const protocol = (handle: (message: Uint8Array, peer: string) => Uint8Array | undefined) => ({
    maxMessageBytes: MESSAGE_BYTES_MAX,
    maxInFlight: 256,
    handle: async (peer: string, message: Uint8Array) => handle(message, peer),
  });
  const overlay = await openOverlay({
    privateKey: fromHex(config.seed),
    listen: '/ip4/127.0.0.1/tcp/0',
    networkId,
    protocols: {
      [PROTOCOLS.consensus]: protocol((message, peer) => void rim?.hear(parseMessage(message), peer)),
      [PROTOCOLS.request]: protocol((message) => void receiveRequest(message)),
      [PROTOCOLS.decisions]: protocol((request) => rim?.decisionsFrom(request)),
      [REPLY]: protocol(() => undefined),
    },
    // Evidence is judged once, when a connection opens: it has no part in the speed of agreement.
    collectEvidence: async ({ challenge }) => challenge,
    verifyEvidence: async () => ({ ok: true }),
    isMember: (peer) => admitted.has(peer),
  });

  return {
    peer: overlay.peerId,
    address: overlay.addresses[0] as string,
    async reach(addresses) {
      overlay.setMembers(addresses.filter(({ peer }) => peer !== overlay.peerId));
      while (!others.every((peer) => overlay.peers().includes(peer))) await pause(20);
      const { sign } = config.isBare ? UNSIGNED : createEd25519Signer(fromHex(config.seed));
      rim = await ReplicaRim.start({
        id: config.id,
        networkId,
        members,
        settings: config.settings,
        application: store,
        clock: systemClock,
        journal: openSqliteJournal(
          config.isBare ? ':memory:' : join(config.dir, 'journal.sqlite'),
          toHex(networkId),
        ),
        logger: pino({ level: 'error' }, pino.destination(2)),
        transport: {
          transmit: (to, message) => {
            for (const peer of to === null ? others : [peers.get(to) as string])
              send(peer, PROTOCOLS.consensus, message);
          },
          forward: (operation) => {
            for (const peer of others) send(peer, PROTOCOLS.request, operation);
          },
          fetch: (from, request) =>
            overlay.request(peers.get(from) as string, PROTOCOLS.decisions, request, {
              timeoutMs: FETCH_TIMEOUT_MS,
            }),
        },
        publicKeyOf: (id) => keys.get(id),
        sign,
        verifySignature: verify,
        onStopped: (error) => {
          throw error;
        },
      });
    },
    usage: () => {
      const { user, system } = process.cpuUsage();
      return {
        cpuMs: (user + system) / 1000,
        decisions: rim?.sequence ?? 0,
        checks,
        bytesSent,
        view: rim?.replica.view ?? 0,
      };
    },
  };
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

let replica: Awaited<ReturnType<typeof startReplica>> | undefined;
const tell = (message: FromReplica): void => void process.send?.(message);

async function obey(message: ToReplica): Promise<void> {
  switch (message.type) {
    case 'start':
      replica = await startReplica(message.config);
      tell({ type: 'listening', peer: replica.peer, address: replica.address });
      return;
    case 'members':
      await replica?.reach(message.addresses);
      tell({ type: 'ready' });
      return;
    case 'usage':
      if (replica !== undefined) tell({ type: 'usage', usage: replica.usage() });
      return;
  }
}

if (import.meta.main) {
  process.on('message', (message: ToReplica) => void obey(message));
  process.once('disconnect', () => process.exit(0));
}
