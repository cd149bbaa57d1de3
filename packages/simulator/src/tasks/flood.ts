import { sealResult } from '@nemea/capsule';
import { fromUtf8, sha256 } from '@nemea/core';
import type { Owner } from '@nemea/node/owner';
import { PROTOCOLS, resultNoticeCodec } from '@nemea/node/protocol';
import { CapsuleStoreTwin, cidOfDigest } from '../twins/capsule-store.ts';
import { Life } from '../twins/life.ts';
import type { World } from '../world/world.ts';

const TIMEOUT_MS = 20_000;
const FOR_EVER_MS = 1_000_000;

/** A stranger, who can tell owners where results lie. */
function strangerAt(world: World, address: string): CapsuleStoreTwin {
  const name = `stranger at ${address}`;
  return new CapsuleStoreTwin(
    { privateKey: sha256(fromUtf8(name)), listen: '/ip4/127.0.0.1/tcp/9999', protocols: {} },
    { name, life: new Life(), network: world.doors, kernel: world.kernel },
  );
}

/** A stranger brings an owner results of a task that it made up, all different. Resolves to how many were taken. */
export async function bringMadeUp(
  world: World,
  { address, receiverKey: receiver }: Owner,
  taskId: Uint8Array,
  count: number,
): Promise<number> {
  const random = world.kernel.random.fork(`flood ${address}`);
  const store = strangerAt(world, address);
  let taken = 0;
  for (let i = 0; i < count; i++) {
    const { capsule } = sealResult({
      receivers: [receiver],
      plaintext: fromUtf8(`made up, ${i}`),
      taskId,
      index: 0,
      owner: new Uint8Array(20),
      random: (byteLength) => random.bytes(byteLength),
    });
    const notice = resultNoticeCodec.encode({
      ...{ taskId, receiver, capsuleDigest: sha256(capsule), certificate: null },
      ...{ cid: await store.put(capsule), source: store.addresses[0] as string },
    });
    const brought = store.request(address, PROTOCOLS.result, notice, { timeoutMs: TIMEOUT_MS });
    taken += await brought.then(
      () => 1,
      () => 0,
    );
  }
  await store.close();
  return taken;
}

/** A stranger tells an owner again and again of results that it then does not hand out. */
export function keepWaiting(
  world: World,
  { address, receiverKey: receiver }: Owner,
  taskId: Uint8Array,
  count: number,
): void {
  const store = strangerAt(world, address);
  for (let i = 0; i < count; i++) {
    const digest = sha256(fromUtf8(`nothing, ${i}`));
    const notice = resultNoticeCodec.encode({
      ...{ taskId, receiver, capsuleDigest: digest, certificate: null },
      ...{ cid: cidOfDigest(digest), source: store.addresses[0] as string },
    });
    store
      .request(address, PROTOCOLS.result, notice, { timeoutMs: FOR_EVER_MS })
      // It never hands out anything, and does not care what it is told.
      .catch(() => undefined);
  }
}
