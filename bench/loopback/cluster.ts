import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Member, Settings } from '@nemea/consensus';
import { createEd25519Signer } from '@nemea/consensus/ed25519';
import { toHex } from '@nemea/core';
import { openOverlay } from '@nemea/node/overlay';
import { peerIdOf } from '@nemea/node/peers';
import { PROTOCOLS } from '@nemea/node/replica';
import { BundleClient } from './client.ts';
import { type FromReplica, REPLY, type ToReplica, UNSIGNED, type Usage } from './replica-process.ts';

export interface ClusterOptions {
  readonly size: number;
  /** A folder for the journals; one on a disk, for they are synchronised. */
  readonly dir: string;
  readonly settings?: Partial<Settings>;
  /** What the client does not hear of for so long it sends to all. */
  readonly resendMs?: number;
  /** Signs, checks and writes to disk nothing: what is left is the machine, its processes and their channels. */
  readonly isBare?: boolean;
}

/** Replicas in processes of their own, connected, and a client in this process that is connected to all. */
export interface Cluster {
  readonly client: BundleClient;
  /** Of each replica that lives, by id. */
  usage(): Promise<Map<string, Usage>>;
  /** Ends the process of a replica without a warning, as a loss of power would. */
  kill(id: string): void;
  close(): Promise<void>;
}

export async function startCluster({
  size,
  dir,
  settings = {},
  resendMs = 1_000,
  isBare = false,
}: ClusterOptions): Promise<Cluster> {
  const networkId = new Uint8Array(randomBytes(32));
  const replicas = Array.from({ length: size }, (_, index) => new Replica(`r${index}`));
  const members: Member[] = replicas.map(({ id, publicKey }) => ({ id, publicKey, weight: 1 }));
  const idOf = new Map(members.map(({ id, publicKey }) => [peerIdOf(publicKey), id]));
  const peerOf = new Map(members.map(({ id, publicKey }) => [id, peerIdOf(publicKey)]));
  const seed = new Uint8Array(randomBytes(32));
  const { publicKey, sign: signEd25519 } = createEd25519Signer(seed);
  const { sign } = isBare ? UNSIGNED : { sign: signEd25519 };

  const ignore = { maxMessageBytes: 8 << 20, maxInFlight: 256, handle: async () => undefined };
  const overlay = await openOverlay({
    privateKey: seed,
    listen: '/ip4/127.0.0.1/tcp/0',
    networkId,
    protocols: {
      [PROTOCOLS.request]: ignore,
      [REPLY]: {
        ...ignore,
        handle: async (peer, message) => {
          client.receive(idOf.get(peer) as string, message);
          return undefined;
        },
      },
    },
    collectEvidence: async ({ challenge }) => challenge,
    verifyEvidence: async () => ({ ok: true }),
    isMember: (peer) => idOf.has(peer),
  });
  const client = new BundleClient({
    networkId,
    publicKey,
    members,
    resendMs,
    sign,
    send: (id, bundle) => overlay.send(peerOf.get(id) as string, PROTOCOLS.request, bundle),
  });

  const addresses: { peer: string; address: string }[] = [];
  for (const replica of replicas) {
    const folder = join(dir, replica.id);
    await mkdir(folder, { recursive: true });
    const { peer, address } = await replica.ask('listening', {
      type: 'start',
      config: {
        dir: folder,
        networkId: toHex(networkId),
        seed: toHex(replica.seed),
        id: replica.id,
        members: members.map(({ id, publicKey: key }) => ({ id, publicKey: toHex(key) })),
        client: toHex(publicKey),
        settings,
        isBare,
      },
    });
    addresses.push({ peer, address });
  }
  overlay.setMembers(addresses);
  await Promise.all(replicas.map((replica) => replica.ask('ready', { type: 'members', addresses })));
  while (overlay.peers().length < size) await new Promise((resolve) => setTimeout(resolve, 20));

  return {
    client,
    async usage() {
      const alive = replicas.filter(({ isAlive }) => isAlive);
      const usages = await Promise.all(
        alive.map(async (replica) => (await replica.ask('usage', { type: 'usage' })).usage),
      );
      return new Map(alive.map(({ id }, index) => [id, usages[index] as Usage]));
    },
    kill: (id) => replicas.find((replica) => replica.id === id)?.kill(),
    async close() {
      client.close();
      for (const replica of replicas) replica.kill();
      await overlay.close();
    },
  };
}

/** A process and its key. */
class Replica {
  readonly id: string;
  readonly seed = new Uint8Array(randomBytes(32));
  readonly publicKey = createEd25519Signer(this.seed).publicKey;
  readonly #process: ChildProcess;

  constructor(id: string) {
    this.id = id;
    this.#process = fork(join(import.meta.dirname, 'replica-process.ts'), { stdio: ['ignore', 2, 2, 'ipc'] });
  }

  get isAlive(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  /** Tells the process something and waits for the answer of this type. Rejects when the process ends before. */
  ask<Type extends FromReplica['type']>(
    type: Type,
    message: ToReplica,
  ): Promise<Extract<FromReplica, { type: Type }>> {
    return new Promise((resolve, reject) => {
      const onMessage = (answer: FromReplica): void => {
        if (answer.type !== type) return;
        settle();
        resolve(answer as Extract<FromReplica, { type: Type }>);
      };
      const onExit = (): void => {
        settle();
        reject(new Error(`replica ${this.id} ended before it said ${type}`));
      };
      const settle = (): void => {
        this.#process.off('message', onMessage);
        this.#process.off('exit', onExit);
      };
      this.#process.on('message', onMessage);
      this.#process.on('exit', onExit);
      this.#process.send(message);
    });
  }
}
