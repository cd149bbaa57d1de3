import { LEVEL } from '@nemea/attestation';
import {
  encodeReleaseMessage,
  generateReceiverKey,
  openResult,
  parseReleaseMessage,
  type ReleaseMessage,
  sealCapsule,
  sealGrant,
  type TaskSpec,
} from '@nemea/capsule';
import { bytesEqual, fromHex, fromUtf8, toHex, toUtf8 } from '@nemea/core';
import type { Election } from '@nemea/membership';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CapsuleStore } from '../ports/block-store.ts';
import { accountBytes, network, TestChain, type TestNode, testContext, testNodes } from '../testing.ts';
import { Owners } from './owners.ts';
import type { Run } from './run.ts';

const [executor] = testNodes(1) as [TestNode];
const policy = network.contracts.releasePolicy;
const CREDENTIALS = { election: [], vouchers: [] };

/** A capsule as its owner made it, and what that one's key agent answers to a request for its key. */
interface Held {
  readonly capsule: Uint8Array;
  readonly id: Uint8Array;
  answer: (request: Extract<ReleaseMessage, { kind: 'request' }>) => ReleaseMessage;
}

function held(plain: string): Held {
  const { capsule, capsuleId, fileKey } = sealCapsule(
    {
      kind: 'data',
      owner: accountBytes(executor),
      mediaType: 'text/plain',
      environment: { imageDigests: [new Uint8Array(32)], levelMin: LEVEL.development, connections: [] },
      policy: { chainId: network.chainId, contract: fromHex(policy) },
      task: null,
    },
    fromUtf8(plain),
  );
  const answer: Held['answer'] = ({ taskId, attempt, runKey }) =>
    sealGrant(
      {
        taskId,
        capsuleId,
        attempt,
        runKey,
        policy: { chainId: network.chainId, contract: fromHex(policy) },
      },
      fileKey,
    );
  return { capsule, id: capsuleId, answer };
}

let inputs: [Held, Held];
let owners: Owners;
let receiver: ReturnType<typeof generateReceiverKey>;
let kept: Map<string, Uint8Array>;
let wiped: string[];

beforeEach(() => {
  inputs = [held('of the first owner'), held('of the second owner')];
  receiver = generateReceiverKey();
  kept = new Map();
  const chain = new TestChain([executor]);
  const task = chain.addTask('run', { capsuleIds: inputs.map(({ id }) => id) });
  chain.answers.set('capsule', { policy, cid: `0x${toHex(fromUtf8('cid'))}`, agent: 'agent' });
  const store: Partial<CapsuleStore> = {
    addresses: ['here'],
    put: async (bytes) => {
      kept.set(`${kept.size}`, bytes);
      return `${kept.size - 1}`;
    },
    request: async (_address, protocol, message) => {
      if (!protocol.includes('key')) return new Uint8Array(0);
      const asked = parseReleaseMessage(message);
      if (asked.kind === 'hello') return encodeReleaseMessage({ kind: 'nonce', nonce: new Uint8Array(32) });
      if (asked.kind !== 'request') throw new Error(`asked: ${asked.kind}`);
      const owner = inputs.find(({ id }) => bytesEqual(id, asked.capsuleId)) as Held;
      return encodeReleaseMessage(owner.answer(asked));
    },
  };
  const spec: Partial<TaskSpec> = { receivers: [{ key: receiver.publicKey, agent: 'agent' }] };
  const election: Partial<Election> = { salt: new Uint8Array(32) };
  const run: Run = {
    task,
    spec: spec as TaskSpec,
    attempt: 1,
    election: election as Election,
    opening: {
      taskId: task.taskId,
      codeDigest: task.codeDigest,
      imageDigest: task.imageDigest,
      salt: new Uint8Array(32),
    },
    store: store as CapsuleStore,
    runKey: generateReceiverKey(),
    startedAtMs: 0,
  };
  const context = testContext(executor, chain, { collectEvidence: async () => new Uint8Array(8) });
  owners = new Owners(context, run);
  wiped = [];
  const { fill } = Uint8Array.prototype;
  vi.spyOn(Uint8Array.prototype, 'fill').mockImplementation(function (this: Uint8Array, ...args) {
    wiped.push(Buffer.from(this).toString());
    return fill.apply(this, args);
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

const open = () => {
  const record = { policy, cid: 'cid', agent: 'agent' };
  return owners.openInputs(
    inputs.map(({ id, capsule }) => ({ id, capsule, record })),
    CREDENTIALS,
  );
};

describe('the inputs of a run', () => {
  test('are opened in their order', async () => {
    expect((await open()).map(toUtf8)).toEqual(['of the first owner', 'of the second owner']);
    expect(wiped).not.toContain('of the first owner');
  });

  test('leave nothing plain behind when one owner refuses its key', async () => {
    inputs[1].answer = () => ({ kind: 'refusal', code: 'POLICY_REFUSED' });
    await expect(open()).rejects.toMatchObject({ code: 'KEY_REFUSED' });
    expect(wiped).toContain('of the first owner');
  });

  test('are unavailable, and the machine is not at fault, when an owner gives a capsule or a grant that does not open', async () => {
    const [first, second] = inputs;
    const good = second.answer;
    second.answer = first.answer;
    await expect(open()).rejects.toMatchObject({ code: 'INPUT_UNAVAILABLE' });
    second.answer = good;
    inputs[1] = { ...second, capsule: second.capsule.subarray(0, -1) };
    await expect(open()).rejects.toMatchObject({ code: 'INPUT_UNAVAILABLE' });
  });
});

describe('the results of a run', () => {
  test('are plain to their receiver alone once they are sealed', async () => {
    const output = fromUtf8('the result');
    await owners.deliver([output]);
    expect(output).toEqual(new Uint8Array(output.length));
    expect(toUtf8(openResult(kept.get('0') as Uint8Array, receiver.privateKey))).toBe('the result');
  });

  test('are sealed to nobody, and not plain any more, when there are more of them than receivers', async () => {
    const outputs = [fromUtf8('the result'), fromUtf8('another')];
    await expect(owners.deliver(outputs)).rejects.toMatchObject({ code: 'OUTPUT_INVALID' });
    expect(outputs).toEqual([new Uint8Array(10), new Uint8Array(7)]);
    expect(kept.size).toBe(0);
  });
});
