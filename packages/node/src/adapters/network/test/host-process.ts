/**
 * A node's network in a process of its own, driven over IPC: each message names a command, each answer has its id.
 * Started by `process.test.ts` only.
 */
import { createHash } from 'node:crypto';
import type { CapsuleStore } from '../../../ports/block-store.ts';
import type { Overlay, PeerEvent } from '../../../ports/transport.ts';
import { openCapsuleStore } from '../../ipfs/capsule-store.ts';
import { openOverlay } from '../overlay.ts';
import { collectWith, verifyWith } from './fake-evidence.ts';
import { addressOf, codeOf, ECHO, echo, LISTEN, NETWORK, seedOf } from './support.ts';

export interface Command {
  readonly id: number;
  readonly name: string;
  readonly args: readonly (string | number)[];
}

let overlay: Overlay | undefined;
let store: CapsuleStore | undefined;
const events: PeerEvent[] = [];

const commands: Record<string, (...args: never[]) => unknown> = {
  async openOverlay(index: number, key: string) {
    overlay = await openOverlay({
      privateKey: seedOf(index),
      listen: LISTEN,
      networkId: NETWORK,
      protocols: { [ECHO]: echo },
      collectEvidence: collectWith(key),
      verifyEvidence: verifyWith('genuine'),
      isMember: () => true,
      onPeer: (event) => events.push(event),
      limits: { redialFirstMs: 50, redialMaxMs: 200, dialYieldMs: 100 },
    });
    return { peer: overlay.peerId, address: addressOf(overlay) };
  },
  async openStore(index: number) {
    store = await openCapsuleStore({
      privateKey: seedOf(index),
      listen: LISTEN,
      networkId: NETWORK,
      protocols: {},
    });
    return { peer: store.peerId, address: addressOf(store) };
  },
  setMember: (peer: string, address: string) => overlay?.setMembers([{ peer, address }]),
  connect: (address: string) => codeOf(overlay?.connect(address) ?? Promise.reject(new Error('no overlay'))),
  peers: () => overlay?.peers(),
  events: () => events,
  evict: (peer: string) => overlay?.evict(peer),
  async ask(peer: string, count: number, bytes: number) {
    const messages = Array.from({ length: count }, (_, index) => new Uint8Array(bytes).fill(index % 256));
    const answers = await Promise.all(
      messages.map((message) => overlay?.request(peer, ECHO, message, { timeoutMs: 20_000 })),
    );
    return answers.filter(
      (answer, index) => Buffer.compare(answer ?? Buffer.of(), messages[index] ?? Buffer.of(1)) === 0,
    ).length;
  },
  async put(bytes: number) {
    const capsule = new Uint8Array(bytes);
    for (let index = 0; index < bytes; index++) capsule[index] = (index * 31 + (index >> 8)) % 251;
    return { cid: await store?.put(capsule), digest: digestOf(capsule) };
  },
  async get(cid: string, from: string, timeoutMs: number, maxBytes: number) {
    const got = store?.get(cid, { from, timeoutMs, maxBytes }) ?? Promise.reject(new Error('no store'));
    const code = await codeOf(got);
    return code === 'NO_ERROR' ? { digest: digestOf(await got) } : { code };
  },
  rssBytes: () => process.memoryUsage().rss,
};

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

process.on('message', (command: Command) => {
  const run = async (): Promise<unknown> => commands[command.name]?.(...(command.args as never[]));
  run().then(
    (value) => process.send?.({ id: command.id, value }),
    (error: unknown) => process.send?.({ id: command.id, error: `${error}` }),
  );
});
process.once('disconnect', () => process.exit(0));
