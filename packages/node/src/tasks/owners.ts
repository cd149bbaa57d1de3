import {
  encodeReleaseMessage,
  inspectCapsule,
  openCapsule,
  openGrant,
  parseReleaseMessage,
  releaseBinding,
  type Stanza,
  sealResult,
  type TaskSpec,
} from '@nemea/capsule';
import { bytesEqual, errorCode, fromHex, sha256, toHex } from '@nemea/core';
import type { NodeContext } from '../context.ts';
import { PROTOCOLS, resultNoticeCodec } from '../protocol.ts';
import { type Run, RunError, wipe } from './run.ts';

const FETCH_TIMEOUT_MS = 15_000;
const KEY_TIMEOUT_MS = 10_000;
const RESULT_TIMEOUT_MS = 15_000;
const CODE_BYTES_MAX = 1 << 20;
const CAPSULE_BYTES_MAX = 256 << 20;

interface CapsuleRecord {
  readonly policy: string;
  readonly cid: string;
  readonly agent: string;
}

export interface SealedInput {
  readonly id: Uint8Array;
  readonly record: CapsuleRecord;
  readonly capsule: Uint8Array;
}

type Receiver = TaskSpec['receivers'][number];

/** Signatures that show a key agent that this machine was elected, and what its verifiers have seen of it. */
export interface Credentials {
  readonly election: readonly string[];
  readonly vouchers: readonly Uint8Array[];
}

/** What one run has from the owners of its data, and brings them: code, capsules, keys, results and the certificate. */
export class Owners {
  readonly #context: NodeContext;
  readonly #run: Run;

  constructor(context: NodeContext, run: Run) {
    this.#context = context;
    this.#run = run;
  }

  async fetchCode(): Promise<Uint8Array> {
    const { code } = this.#run.spec;
    const bytes = await this.#fetch(code.cid, code.source, CODE_BYTES_MAX);
    if (!bytesEqual(sha256(bytes), code.digest))
      throw new RunError('INPUT_UNAVAILABLE', 'code has another digest');
    return bytes;
  }

  fetchInputs(): Promise<SealedInput[]> {
    return Promise.all(
      this.#run.task.capsuleIds.map(async (id) => {
        const record = await this.#capsuleRecord(id);
        const capsule = await this.#fetch(record.cid, record.agent, CAPSULE_BYTES_MAX);
        const { capsuleId } = ofOwner('capsule cannot be read', () => inspectCapsule(capsule));
        if (!bytesEqual(capsuleId, id)) throw new RunError('INPUT_UNAVAILABLE', 'capsule has another header');
        return { id, record, capsule };
      }),
    );
  }

  /** Plain data of all inputs, in their order; of none when one key is not given. */
  async openInputs(inputs: readonly SealedInput[], credentials: Credentials): Promise<Uint8Array[]> {
    const opened = await Promise.allSettled(inputs.map((input) => this.#openInput(input, credentials)));
    const plain = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = opened.find((result) => result.status === 'rejected');
    if (failed === undefined) return plain;
    wipe(plain);
    throw failed.reason;
  }

  /** Seals one result capsule for each receiver, wipes what is plain, and waits until each has fetched its own. */
  async deliver(outputs: readonly Uint8Array[]) {
    const sealed = this.#sealAll(outputs);
    return Promise.all(
      sealed.map(async ({ receiver, capsule }) => {
        const cid = await this.#run.store.put(capsule);
        const digest = sha256(capsule);
        await this.#announce(receiver, cid, digest);
        return { receiver: receiver.key, cid, digest };
      }),
    );
  }

  /** Receivers hold their result against this once its digest stands on layer 1. Who is offline can ask a member. */
  async showCertificate(certificate: Uint8Array): Promise<void> {
    const { spec, store, task } = this.#run;
    await Promise.all(
      spec.receivers.map(async (receiver) => {
        const notice = resultNoticeCodec.encode({
          taskId: task.taskId,
          receiver: receiver.key,
          cid: '-',
          source: '-',
          capsuleDigest: sha256(certificate),
          certificate,
        });
        try {
          await store.request(receiver.agent, PROTOCOLS.result, notice, { timeoutMs: KEY_TIMEOUT_MS });
        } catch (error) {
          this.#context.logger.warn({ code: errorCode(error) }, 'a receiver did not take the certificate');
        }
      }),
    );
  }

  async #fetch(cid: string, from: string, maxBytes: number): Promise<Uint8Array> {
    try {
      return await this.#run.store.get(cid, { from, timeoutMs: FETCH_TIMEOUT_MS, maxBytes });
    } catch (cause) {
      throw new RunError('INPUT_UNAVAILABLE', `cannot fetch ${cid}: ${errorCode(cause)}`, { cause });
    }
  }

  async #capsuleRecord(id: Uint8Array): Promise<CapsuleRecord> {
    const { ledger } = this.#context;
    const record = await ledger.read<CapsuleRecord>('capsuleRegistry', 'capsule', [`0x${toHex(id)}`]);
    return {
      policy: record.policy.toLowerCase(),
      cid: new TextDecoder().decode(fromHex(record.cid)),
      agent: record.agent,
    };
  }

  async #openInput(input: SealedInput, credentials: Credentials): Promise<Uint8Array> {
    const fileKey = await this.#requestKey(input, credentials);
    try {
      return ofOwner('capsule cannot be opened', () => openCapsule(input.capsule, fileKey));
    } finally {
      fileKey.fill(0);
    }
  }

  /** Asks one owner's key agent: nonce, then evidence bound to the run key under it. */
  async #requestKey(input: SealedInput, { election, vouchers }: Credentials): Promise<Uint8Array> {
    const run = this.#run;
    const { taskId } = run.task;
    const { agent } = input.record;
    const hello = await this.#askAgent(
      agent,
      encodeReleaseMessage({ kind: 'hello', taskId, capsuleId: input.id }),
    );
    if (hello.kind !== 'nonce') throw refusalError(hello);
    const binding = releaseBinding({ runKey: run.runKey.publicKey, taskId, capsuleId: input.id });
    const answer = await this.#askAgent(
      agent,
      encodeReleaseMessage({
        kind: 'request',
        taskId,
        capsuleId: input.id,
        attempt: run.attempt,
        executor: fromHex(this.#context.ledger.account),
        salt: run.election.salt,
        election: election.map((signature) => fromHex(signature)),
        runKey: run.runKey.publicKey,
        nonce: hello.nonce,
        evidence: await this.#context.collectEvidence(hello.nonce, binding),
        runOpening: {
          codeDigest: run.opening.codeDigest,
          imageDigest: run.opening.imageDigest,
          salt: run.opening.salt,
        },
        results: [...vouchers],
      }),
    );
    if (answer.kind !== 'grant') throw refusalError(answer);
    return this.#openGrant(input, answer.stanza);
  }

  #openGrant(input: SealedInput, stanza: Stanza): Uint8Array {
    const { task, attempt, runKey } = this.#run;
    const terms = {
      taskId: task.taskId,
      capsuleId: input.id,
      attempt,
      runKey: runKey.publicKey,
      policy: { chainId: this.#context.ledger.network.chainId, contract: fromHex(input.record.policy) },
    };
    return ofOwner('grant cannot be opened', () => openGrant(terms, stanza, runKey.privateKey));
  }

  async #askAgent(agent: string, message: Uint8Array) {
    try {
      return parseReleaseMessage(
        await this.#run.store.request(agent, PROTOCOLS.key, message, { timeoutMs: KEY_TIMEOUT_MS }),
      );
    } catch (cause) {
      throw new RunError('INPUT_UNAVAILABLE', `key agent did not answer: ${errorCode(cause)}`, { cause });
    }
  }

  #sealAll(outputs: readonly Uint8Array[]): { receiver: Receiver; capsule: Uint8Array }[] {
    const { receivers } = this.#run.spec;
    try {
      if (outputs.length !== 1 && outputs.length !== receivers.length)
        throw new RunError('OUTPUT_INVALID', `outputs: got ${outputs.length}, want 1 or ${receivers.length}`);
      return receivers.map((receiver, index) => ({
        receiver,
        capsule: this.#seal(receiver, index, outputs[outputs.length === 1 ? 0 : index] as Uint8Array),
      }));
    } finally {
      wipe([...outputs]);
    }
  }

  #seal({ key }: Receiver, index: number, plaintext: Uint8Array): Uint8Array {
    const { task } = this.#run;
    return sealResult({
      receivers: [key],
      plaintext,
      taskId: task.taskId,
      index,
      owner: fromHex(task.creator),
      random: this.#context.random,
    }).capsule;
  }

  async #announce(receiver: Receiver, cid: string, capsuleDigest: Uint8Array): Promise<void> {
    const { store, task } = this.#run;
    const notice = resultNoticeCodec.encode({
      taskId: task.taskId,
      receiver: receiver.key,
      cid,
      source: store.addresses[0] as string,
      capsuleDigest,
      certificate: null,
    });
    try {
      await store.request(receiver.agent, PROTOCOLS.result, notice, { timeoutMs: RESULT_TIMEOUT_MS });
    } catch (cause) {
      throw new RunError('INPUT_UNAVAILABLE', `receiver did not take its result: ${errorCode(cause)}`, {
        cause,
      });
    }
  }
}

/** What an owner has given that is not what it should be is no error of this machine. */
function ofOwner<T>(failure: string, take: () => T): T {
  try {
    return take();
  } catch (cause) {
    throw new RunError('INPUT_UNAVAILABLE', `${failure}: ${errorCode(cause)}`, { cause });
  }
}

/** A refusal that no other executor could turn ends the task; one that is about this run or this agent does not. */
function refusalError(message: ReturnType<typeof parseReleaseMessage>): RunError {
  if (message.kind !== 'refusal')
    return new RunError('INPUT_UNAVAILABLE', 'key agent gave no answer to this');
  const detail = `key agent refused: ${message.code}`;
  switch (message.code) {
    case 'POLICY_REFUSED':
    case 'CAPSULE_UNKNOWN':
    case 'TASK_INVALID':
      return new RunError('KEY_REFUSED', detail);
    case 'AGENT_BUSY':
    case 'AGENT_FAILED':
      return new RunError('INPUT_UNAVAILABLE', detail);
    default:
      return new RunError('VERIFICATION_FAILED', detail);
  }
}
