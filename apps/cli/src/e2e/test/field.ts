import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { sha256, toHex } from '@nemea/core';
import { failureName } from '@nemea/membership';
import type { Ledger, Receipt } from '@nemea/sdk';
import { CLIENT_TOKENS, DEPOSIT, Devnet, type NodeStatus } from '../../devnet/devnet.ts';
import { builtImage } from '../../devnet/image.ts';

/** What A pays for a task of these tests. */
export const FEE = DEPOSIT / 10n;
const OWNERS = ['b', 'c'] as const;
export type OwnerName = (typeof OWNERS)[number];

const ENDED_TIMEOUT_MS = 240_000;
const SEEN_TIMEOUT_MS = 60_000;
const RULE_LIFETIME_S = 3_600;
const LIMITS = { timeoutMs: 20_000, memoryBytes: 128 << 20, pids: 32, outputBytes: 16 << 20 };

export interface TaskEnd {
  readonly taskId: string;
  readonly outcome: 'settled' | 'failed';
  /** Why it failed, as layer 1 tells its author. */
  readonly reason: string | null;
}

interface Rule {
  readonly codeDigest: string;
  readonly imageDigest: string;
  readonly minCredit: number;
  readonly minLevel: number;
  readonly expiryS: number;
}

interface OpenTask {
  readonly taskId: string;
  readonly attempt: number;
  readonly outcome: string;
}

/** One devnet of real processes with the devices of A, B and C, for the tests of one file. */
export class Field {
  readonly net: Devnet;
  readonly nodes: number;
  #ledger: Ledger | undefined;

  private constructor(net: Devnet, nodes: number) {
    this.net = net;
    this.nodes = nodes;
  }

  static async open(options: { nodes: number; codes: readonly string[]; clients: boolean }): Promise<Field> {
    const dir = mkdtempSync(join(tmpdir(), 'nemea-e2e-'));
    const field = new Field(new Devnet(dir, (_what, work) => work()), options.nodes);
    try {
      await field.net.up(
        options.nodes,
        options.codes.map((code) => new TextEncoder().encode(code)),
      );
      field.#ledger = await field.net.ledger();
      if (options.clients) await field.#startClients();
      return field;
    } catch (error) {
      await field.close();
      throw error;
    }
  }

  async #startClients(): Promise<void> {
    const names = ['a', ...OWNERS];
    const facts = await Promise.all(names.map((name) => this.net.initClient(name)));
    await this.net.fund(
      facts.map(({ account }) => account),
      0n,
      CLIENT_TOKENS,
    );
    for (const name of names) this.net.spawnClient(name);
    await Promise.all(names.map((name) => this.net.untilClientReady(name)));
    await this.net.client('a', 'POST /prepare-fees', { fee: FEE.toString() });
  }

  get ledger(): Ledger {
    if (this.#ledger === undefined) throw new Error('the field is not open');
    return this.#ledger;
  }

  get indices(): number[] {
    return Array.from({ length: this.nodes }, (_, index) => index + 1);
  }

  file(name: string, content: string | Uint8Array): string {
    const folder = join(this.net.paths.dir, 'inputs');
    mkdirSync(folder, { recursive: true });
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  }

  rule(code: string, changes: Partial<Rule> = {}): Rule {
    return {
      codeDigest: toHex(sha256(new TextEncoder().encode(code))),
      imageDigest: builtImage().digest,
      minCredit: 1,
      minLevel: 1,
      expiryS: Math.floor(Date.now() / 1000) + RULE_LIFETIME_S,
      ...changes,
    };
  }

  /** B or C seals a list under a rule; resolves to the capsule's id. */
  async seal(owner: OwnerName, file: string, rule: Rule): Promise<string> {
    const { capsuleId } = await this.net.client<{ capsuleId: string }>(owner, 'POST /seal', {
      ...rule,
      file,
    });
    return capsuleId;
  }

  /** A submits a task over capsules; resolves to its id. */
  async submit(
    code: string,
    capsuleIds: readonly string[],
    options: { entry?: string; limits?: Partial<typeof LIMITS> } = {},
  ): Promise<string> {
    const image = builtImage();
    const codeFile = this.file(`code-${toHex(sha256(new TextEncoder().encode(code))).slice(0, 12)}.py`, code);
    const { taskId } = await this.net.client<{ taskId: string; receipt: Receipt }>('a', 'POST /task', {
      codeFile,
      entry: options.entry ?? 'main',
      imageDigest: image.digest,
      imageName: image.name,
      capsuleIds,
      fee: FEE.toString(),
      minLevel: 1,
      minCredit: 1,
      limits: { ...LIMITS, ...options.limits },
    });
    return taskId;
  }

  /** What layer 1 says of a task once it is over. */
  async ended(taskId: string): Promise<TaskEnd> {
    const event = await this.ledger.waitFor(
      () =>
        this.ledger.history.events.find(
          (candidate) =>
            (candidate.type === 'task-settled' || candidate.type === 'task-ended') &&
            candidate.taskId === taskId,
        ),
      ENDED_TIMEOUT_MS,
    );
    return event.type === 'task-ended'
      ? { taskId, outcome: 'failed', reason: failureName(event.reason) }
      : { taskId, outcome: 'settled', reason: null };
  }

  /** The result of a task as its receiver reads it. */
  async result(owner: OwnerName, taskId: string): Promise<string> {
    const out = join(this.net.paths.results, `${owner}-${taskId}.txt`);
    await this.net.client(owner, 'POST /open', { taskId, out });
    return readFileSync(out, 'utf8');
  }

  /** Fee tokens of an account, in their smallest unit. */
  balance(account: string): Promise<bigint> {
    return this.ledger.read<bigint>('feeToken', 'balanceOf', [account]);
  }

  async clientAccount(name: string): Promise<string> {
    return (await this.net.client<{ account: string }>(name, 'GET /status')).account;
  }

  /** Index of the node whose sandbox holds the run of a task now. */
  async executorOf(taskId: string): Promise<number> {
    return until('a node runs the task', async () => this.indices.find((index) => this.#runs(index, taskId)));
  }

  #runs(index: number, taskId: string): boolean {
    return this.leftovers(index).some((run) => run.startsWith(`run-${taskId.slice(0, 16)}`));
  }

  /** Runs that a node's sandbox holds; empty on a clean machine. */
  leftovers(index: number): string[] {
    const folder = join('/run/nemea', `n${this.net.account(index).slice(2, 14)}`, 'runs');
    return existsSync(folder) ? readdirSync(folder) : [];
  }

  async task(index: number, taskId: string): Promise<OpenTask | undefined> {
    const { tasks } = await this.net.node<{ tasks: OpenTask[] }>(index, 'GET /record');
    return tasks.find((task) => task.taskId === taskId);
  }

  async status(index: number): Promise<NodeStatus> {
    const status = await this.net.status(index);
    if (status === undefined) throw new Error(`node-${index} does not answer`);
    return status;
  }

  /** Everything that a process has said so far. */
  log(name: string): string {
    const record = this.net.processes.all.find((process) => process.name === name);
    return record === undefined ? '' : readFileSync(record.log, 'utf8');
  }

  /** Kills a node as a power cut would, and waits until it is gone. */
  async crash(index: number): Promise<void> {
    this.net.processes.kill(`node-${index}`, 'SIGKILL');
    await until('the killed process is gone', async () =>
      this.net.processes.isAlive(`node-${index}`) ? undefined : true,
    );
  }

  /** Starts a node again that was stopped or killed. */
  async restart(index: number): Promise<NodeStatus> {
    this.net.spawnNode(index, true);
    return this.net.untilReady(index);
  }

  async close(): Promise<void> {
    await this.net.down();

    rmSync(this.net.paths.dir, { recursive: true, force: true });
  }
}

/** Polls until there is a value. What never comes fails the test with a name, not with vitest's own time-out. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined>,
  timeoutMs = SEEN_TIMEOUT_MS,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`${what}: not seen within ${timeoutMs} ms`);
    await delay(50);
  }
}
