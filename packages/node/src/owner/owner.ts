import { LEVEL } from '@nemea/attestation';
import {
  encodeTaskSpec,
  inspectCapsule,
  openResult,
  parseCleanupCertificate,
  parseTaskSpec,
  publicKeyOf,
  sealCapsule,
} from '@nemea/capsule';
import { bytesEqual, CodedError, fromHex, sha256, toHex } from '@nemea/core';
import type { Ledger, Receipt } from '@nemea/sdk';
import type { Logger } from 'pino';
import type { CapsuleStore } from '../ports/block-store.ts';
import type { Folder } from '../ports/folder.ts';
import { PROTOCOLS, type ResultNotice, resultNoticeCodec } from '../protocol.ts';
import { KeyAgent } from './key-agent.ts';
import type { OwnerDevice, OwnerPorts } from './owner-ports.ts';
import { ResultBox } from './result-box.ts';

export type { OwnerDevice, OwnerPorts } from './owner-ports.ts';

const RESULT_TIMEOUT_MS = 20_000;
const RESULT_BYTES_MAX = 256 << 20;
/** Results that are taken at a time, and how many of them strangers may bring: each may take its time. */
const RESULTS_MAX = 8;
const RESULTS_OF_STRANGERS_MAX = 4;

export type OwnerErrorCode = 'CAPSULE_UNKNOWN' | 'RESULT_BUSY' | 'RESULT_NOT_OURS' | 'RESULT_MISMATCH';
export class OwnerError extends CodedError<OwnerErrorCode> {}

/** What an owner lets happen with a capsule; the contract StandardReleasePolicy holds it. */
export interface ReleaseRule {
  readonly codeDigest: Uint8Array;
  readonly imageDigest: Uint8Array;
  readonly minCredit: number;
  readonly minLevel: number;
  readonly expiryS: number;
}

/** What a task's author asks for. Receivers are the owners of the capsules. */
export interface TaskOrder {
  readonly codeFile: string;
  readonly entry: string;
  readonly imageDigest: Uint8Array;
  readonly imageName: string;
  readonly capsuleIds: readonly string[];
  readonly fee: bigint;
  readonly minLevel: number;
  readonly minCredit: number;
  readonly limits: { timeoutMs: number; memoryBytes: number; pids: number; outputBytes: number };
}

export interface SealedOnNetwork {
  readonly capsuleId: string;
  readonly cid: string;
  readonly agent: string;
  readonly receiverKey: string;
  readonly registration: Receipt;
  readonly rule: Receipt;
}

/**
 * An owner's device outside the trusted network: keeps sealed capsules and their wrapped keys, answers key requests by
 * its KeyAgent, and takes result capsules. Plain data passes through its memory when its owner seals or opens; it
 * writes none of it.
 */
export class Owner {
  readonly #ports: OwnerPorts;
  readonly #device: OwnerDevice;
  readonly #ledger: Ledger;
  readonly #logger: Logger;
  readonly #agent: KeyAgent;
  readonly #results: ResultBox;
  /** Keys of capsules, each wrapped by the device's TPM, one file a capsule. */
  readonly #keys: Folder;
  #store: CapsuleStore | undefined;
  #strangers = 0;

  private constructor(
    ports: OwnerPorts,
    { device, ledger, logger }: { device: OwnerDevice; ledger: Ledger; logger: Logger },
  ) {
    this.#ports = ports;
    this.#device = device;
    this.#ledger = ledger;
    this.#logger = logger;
    this.#results = new ResultBox(ports.openFolder('results'));
    this.#keys = ports.openFolder('capsules');
    this.#agent = new KeyAgent({
      clock: ports.clock,
      random: ports.random,
      ledger,
      logger,
      capsule: (capsuleId) => this.#held(capsuleId),
      verifySignature: device.verifySignature,
    });
  }

  static async start(ports: OwnerPorts, { logger }: { logger: Logger }): Promise<Owner> {
    const device = await ports.openDevice();
    try {
      const ledger = await ports.openLedger(device.keys.accountKey);
      await ledger.sync();
      const owner = new Owner(ports, { device, ledger, logger });
      await owner.#openStore();
      return owner;
    } catch (error) {
      await device.close();
      throw error;
    }
  }

  async #openStore(): Promise<void> {
    this.#store = await this.#ports.openStore({
      privateKey: this.#device.keys.peerSeed,
      listen: this.#device.listen,
      networkId: this.#ledger.networkId,
      protocols: {
        [PROTOCOLS.key]: {
          maxMessageBytes: 2 << 20,
          maxInFlight: 16,
          handle: (peer, message) => this.#agent.handle(peer, message),
        },
        [PROTOCOLS.result]: {
          maxMessageBytes: 65_536,
          maxInFlight: RESULTS_MAX,
          handle: (peer, message) => this.#onResult(peer, message),
        },
      },
    });
  }

  /** Settles when the owner's TPM is gone; see `Device.lost`. */
  get lost(): Promise<CodedError> {
    return this.#device.lost;
  }

  get account(): string {
    return this.#device.account;
  }

  /** Address of the key agent and the store, with PeerId. */
  get address(): string {
    const address = this.#requireStore().addresses[0] as string;
    return address.includes('/p2p/') ? address : `${address}/p2p/${this.#device.peerId}`;
  }

  /** X25519 public key that results for this owner are sealed to. */
  get receiverKey(): Uint8Array {
    return publicKeyOf(this.#device.keys.receiverKey);
  }

  status() {
    return {
      account: this.account,
      address: this.address,
      receiverKey: toHex(this.receiverKey),
      capsules: this.#keys.names().length,
      results: this.results(),
    };
  }

  /** Seals a file, puts the capsule on IPFS, wraps its key in the TPM, and registers it with its release rule. */
  async seal(options: { file: string; mediaType: string; rule: ReleaseRule }): Promise<SealedOnNetwork> {
    const plain = this.#ports.readPayload(options.file);
    const { releasePolicy } = this.#ledger.network.contracts;
    const sealed = sealCapsule(
      {
        kind: 'data',
        owner: fromHex(this.account),
        mediaType: options.mediaType,
        environment: {
          imageDigests: [options.rule.imageDigest],
          levelMin: LEVEL.development,
          connections: [],
        },
        policy: { chainId: this.#ledger.network.chainId, contract: fromHex(releasePolicy.toLowerCase()) },
        task: null,
        random: this.#ports.random,
      },
      plain,
    );
    plain.fill(0);
    const id = toHex(sealed.capsuleId);
    // Bound to the TPM and to no PCR: an update of the software must not cost the owner its data.
    const wrapped = await this.#device.tpm.seal(sealed.fileKey).finally(() => sealed.fileKey.fill(0));
    this.#keys.write(keyFile(id), wrapped);
    const cid = await this.#requireStore().put(sealed.capsule);
    const registration = await this.#ledger.submit('capsuleRegistry', 'register', [
      `0x${id}`,
      `0x${toHex(new TextEncoder().encode(cid))}`,
      `0x${toHex(sealed.header.payloadCommitment)}`,
      releasePolicy,
      `0x${toHex(this.receiverKey)}`,
      this.address,
    ]);
    const rule = await this.#ledger.submit('releasePolicy', 'setRule', [
      `0x${id}`,
      {
        codeDigest: `0x${toHex(options.rule.codeDigest)}`,
        imageDigest: `0x${toHex(options.rule.imageDigest)}`,
        minCredit: options.rule.minCredit,
        minLevel: options.rule.minLevel,
        expiry: BigInt(options.rule.expiryS),
      },
    ]);
    return {
      capsuleId: id,
      cid,
      agent: this.address,
      receiverKey: toHex(this.receiverKey),
      registration,
      rule,
    };
  }

  /** Puts the code on IPFS and the task, with its fee, into escrow on layer 1. */
  async submitTask(order: TaskOrder): Promise<{ taskId: string; receipt: Receipt }> {
    const code = this.#ports.readPayload(order.codeFile);
    const codeDigest = sha256(code);
    const cid = await this.#requireStore().put(code);
    const capsules = await Promise.all(order.capsuleIds.map((id) => this.#capsule(id)));
    const spec = encodeTaskSpec({
      version: 1,
      entry: order.entry,
      code: { digest: codeDigest, cid, source: this.address },
      image: { digest: order.imageDigest, name: order.imageName },
      capsules: order.capsuleIds.map((id) => ({ id: fromHex(id) })),
      receivers: capsules.map(({ receiverKey, agent }) => ({ key: receiverKey, agent })),
      limits: order.limits,
      connections: [],
      devices: [],
    });
    await this.#allowEscrow(order.fee);
    const terms = {
      codeDigest: `0x${toHex(codeDigest)}`,
      imageDigest: `0x${toHex(order.imageDigest)}`,
      capsuleIds: order.capsuleIds.map((id) => `0x${id}`),
      timeoutS: Math.ceil(order.limits.timeoutMs / 1000),
      minLevel: order.minLevel,
      minCredit: order.minCredit,
      fee: order.fee,
    };
    const receipt = await this.#ledger.submit('taskEscrow', 'create', [terms, `0x${toHex(spec)}`]);
    const taskId = await this.#ledger.waitFor(() => {
      const event = this.#ledger.history.events.find(
        (candidate) => candidate.type === 'task-created' && candidate.txHash === receipt.txHash,
      );
      return event?.type === 'task-created' ? toHex(event.task.taskId) : undefined;
    }, 10_000);
    return { taskId, receipt };
  }

  /** Takes the fee back once the task's deadline has passed; the contract refuses before. */
  async refund(taskId: string): Promise<Receipt> {
    return this.#ledger.submit('taskEscrow', 'refund', [`0x${taskId}`]);
  }

  /** The escrow may take fees; done once, so that submitting a task is one transaction. */
  async #allowEscrow(fee: bigint): Promise<void> {
    const { taskEscrow } = this.#ledger.network.contracts;
    const allowed = await this.#ledger.read<bigint>('feeToken', 'allowance', [this.account, taskEscrow]);
    if (allowed < fee) await this.#ledger.submit('feeToken', 'approve', [taskEscrow, fee * 1_000n]);
  }

  async #capsule(id: string): Promise<{ receiverKey: Uint8Array; agent: string }> {
    const record = await this.#ledger.read<{ receiverKey: string; agent: string }>(
      'capsuleRegistry',
      'capsule',
      [`0x${id}`],
    );
    return { receiverKey: fromHex(record.receiverKey), agent: record.agent };
  }

  /** Lets the escrow take fees from now on. */
  async prepareFees(fee: bigint): Promise<void> {
    await this.#allowEscrow(fee);
  }

  /** Tasks whose result capsule has arrived, and whether layer 1 has confirmed the certificate that names it. */
  results(): { taskId: string; confirmed: boolean }[] {
    return this.#results
      .tasks()
      .map((taskId) => ({ taskId, confirmed: this.#settledResult(taskId) !== undefined }));
  }

  /**
   * Opens a result that was sealed to this owner: the settled one, or before settlement the only one that arrived. The
   * caller decides where the plain bytes go.
   */
  async open(taskId: string): Promise<Uint8Array> {
    const capsule = this.#results.read(taskId, this.#settledResult(taskId));
    return openResult(capsule, this.#device.keys.receiverKey);
  }

  async sync(): Promise<void> {
    await this.#ledger.sync();
  }

  async close(): Promise<void> {
    try {
      await this.#store?.close();
    } finally {
      await this.#device.close();
    }
  }

  #requireStore(): CapsuleStore {
    if (this.#store === undefined) throw new OwnerError('CAPSULE_UNKNOWN', 'the store is not open');
    return this.#store;
  }

  #held(capsuleId: Uint8Array) {
    const wrapped = this.#keys.read(keyFile(toHex(capsuleId)));
    if (wrapped === undefined) return undefined;
    return {
      capsuleId,
      policyContract: fromHex(this.#ledger.network.contracts.releasePolicy.toLowerCase()),
      unwrapKey: () => this.#device.tpm.unseal(wrapped),
    };
  }

  /** Whoever was given no key for the task may bring a result as well, and must not keep a run from bringing its own. */
  async #onResult(peer: string, message: Uint8Array): Promise<Uint8Array> {
    const notice = resultNoticeCodec.parse(message);
    const isOfRun = this.#agent.isRun(peer, notice.taskId);
    if (isOfRun) return this.#takeResult(notice, { isOfRun });
    if (this.#strangers >= RESULTS_OF_STRANGERS_MAX)
      throw new OwnerError('RESULT_BUSY', `${this.#strangers} strangers bring results`);
    this.#strangers++;
    try {
      return await this.#takeResult(notice, { isOfRun });
    } finally {
      this.#strangers--;
    }
  }

  /** A result is taken only for a task on layer 1 that names this owner as a receiver. */
  async #takeResult(notice: ResultNotice, from: { isOfRun: boolean }): Promise<Uint8Array> {
    await this.#ledger.sync();
    const task = this.#ledger.history.task(notice.taskId, this.#ledger.history.head);
    const spec = task === undefined ? undefined : parseTaskSpec(task.spec);
    const isReceiver =
      bytesEqual(notice.receiver, this.receiverKey) &&
      spec?.receivers.some(({ key }) => bytesEqual(key, this.receiverKey)) === true;
    if (!isReceiver) throw new OwnerError('RESULT_NOT_OURS', 'no task on layer 1 names this receiver');
    const taskId = toHex(notice.taskId);
    if (this.#settledResult(taskId) !== undefined) return new Uint8Array(0);
    if (notice.certificate !== null) {
      parseCleanupCertificate(notice.certificate);
      this.#results.put(taskId, 'certificate', notice.certificate, from);
      return new Uint8Array(0);
    }
    const capsule = await this.#requireStore().get(notice.cid, {
      from: notice.source,
      timeoutMs: RESULT_TIMEOUT_MS,
      maxBytes: resultBytesMax(spec.limits.outputBytes),
    });
    if (!bytesEqual(sha256(capsule), notice.capsuleDigest)) {
      throw new OwnerError('RESULT_MISMATCH', 'result capsule has another digest than announced');
    }
    const { header } = inspectCapsule(capsule);
    if (header.kind !== 'result' || header.task === null || !bytesEqual(header.task.taskId, notice.taskId)) {
      throw new OwnerError('RESULT_MISMATCH', 'capsule is no result of this task');
    }
    this.#results.put(taskId, 'capsule', capsule, from);
    this.#logger.info({ task: toHex(notice.taskId) }, 'result capsule received');
    return new Uint8Array(0);
  }

  /** Digest of the capsule that layer 1 settled, once it and its certificate are here. */
  #settledResult(taskId: string): string | undefined {
    const settled = this.#ledger.history.events.find(
      (event) => event.type === 'task-settled' && event.taskId === taskId,
    );
    if (settled?.type !== 'task-settled') return undefined;
    return this.#results.settled(taskId, settled.certificateDigest, this.receiverKey);
  }
}

function keyFile(capsuleId: string): string {
  return `${capsuleId}.key`;
}

/** A capsule of so much plain data, with room for header and chunk tags. */
function resultBytesMax(outputBytes: number): number {
  return Math.min(RESULT_BYTES_MAX, outputBytes + Math.ceil(outputBytes / 256) + 65_536);
}
