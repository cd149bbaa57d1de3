import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { sha256, toHex } from '@nemea/core';
import { measureRelease } from '@nemea/node';
import type { Ledger, Receipt, Report } from '@nemea/sdk';
import { CLIENT_TOKENS, DEPOSIT, Devnet } from '../devnet/devnet.ts';
import { builtImage } from '../devnet/image.ts';
import { readFile } from '../files.ts';
import { note, tell } from '../output.ts';
import { DemoError } from './errors.ts';
import { searchForNames } from './leak-check.ts';
import { commonNames, readNames, sampleNames } from './lists.ts';
import { gatherReport, type NodeRecord, type Sealed } from './report.ts';
import { WireCapture } from './wire.ts';

/** What the author pays; below every executor's deposit, as the contract demands. */
const FEE = DEPOSIT / 10n;
const RULE_LIFETIME_S = 3_600;
const LIMITS = { timeoutMs: 30_000, memoryBytes: 512 << 20, pids: 64, outputBytes: 64 << 20 };
const RESULT_TIMEOUT_MS = 90_000;
const RECORD_TIMEOUT_MS = 60_000;
const EVICTION_TIMEOUT_MS = 60_000;
const EPOCHS_WANTED = 2;
const NAMES_SAMPLED = 12;

export interface DemoOptions {
  readonly dir: string;
  readonly nodes: number;
  readonly listB: string;
  readonly listC: string;
  readonly code: string;
  readonly entry: string;
  /** Whether the code is the shipped intersection, so that its result can be foretold. */
  readonly isIntersection: boolean;
  readonly keep: boolean;
}

/** One run of the main job; collects facts and checks as it goes. */
export class Demo {
  readonly #options: DemoOptions;
  readonly #net: Devnet;
  readonly #checks: Report['checks'] = [];
  readonly #startedMs = performance.now();
  readonly #durations = {
    setup: 0,
    join: 0,
    submitToElected: 0,
    taskToResults: 0,
    taskToSettlement: 0,
    tamperToEviction: 0,
    tamperToRecord: 0,
    total: 0,
  };

  constructor(options: DemoOptions) {
    if (options.nodes < 5 || options.nodes > 16) {
      throw new DemoError('DEMO_NODES', `nodes: got ${options.nodes}, want 5 to 16`);
    }
    this.#options = options;
    this.#net = new Devnet(options.dir, tell);
  }

  get net(): Devnet {
    return this.#net;
  }

  /** The main job from the empty folder to the report. Leaves the network running; the caller decides its end. */
  async run(): Promise<Report> {
    const { listB, listC, nodes } = this.#options;
    const [namesB, namesC] = [readNames(listB), readNames(listC)];
    const code = readFile(this.#options.code);

    note('1. A trusted network');
    await this.#net.up(nodes, [code]);
    this.#durations.setup = this.#sinceStart();
    const ledger = await this.#net.ledger();
    await ledger.sync();
    this.#check(
      'genesis members attested each other and are registered',
      ledger.history.genesisComplete,
      `${nodes} nodes`,
    );
    await this.#join(ledger, nodes + 1);

    note('2. B and C seal their lists');
    await this.#startClients();
    const wire = await WireCapture.start(join(this.#net.paths.dir, 'wire.pcap'));
    const { sealed, task } = await this.#sealAndRun(ledger, code).finally(() => wire.stop());
    const common = this.#options.isIntersection ? commonNames(namesB, namesC) : undefined;
    this.#checkResults(common);

    note('4. Random attestation goes on; one node is tampered with');
    await this.#awaitEpochs(ledger, EPOCHS_WANTED);
    await this.#tamper(ledger, nodes);

    note('5. Checks');
    const facts = await gatherReport({
      net: this.#net,
      ledger,
      founders: nodes,
      members: this.#nodeIndices(),
      sealed,
      task,
      fee: FEE,
      epochsWanted: EPOCHS_WANTED,
      common,
      check: (name, ok, detail) => this.#check(name, ok, detail),
    });
    const leakCheck = await tell('searching logs, data, layer 1 and wire for names', async () =>
      this.#leakCheck([...sampleNames(namesB, NAMES_SAMPLED), ...sampleNames(namesC, NAMES_SAMPLED)]),
    );
    this.#check(
      'no name of the lists is anywhere',
      leakCheck.found === 0,
      `${leakCheck.filesScanned} files, ${leakCheck.found} hits`,
    );
    this.#durations.total = this.#sinceStart();
    const report: Report = {
      ...facts,
      leakCheck,
      durationsMs: this.#durations,
      checks: this.#checks,
      ok: this.#checks.every((check) => check.ok),
    };
    writeFileSync(this.#net.paths.report, `${JSON.stringify(report, null, 2)}\n`);
    return report;
  }

  async #join(ledger: Ledger, index: number): Promise<void> {
    const startMs = performance.now();
    await tell(`node-${index} applies, is judged by drawn members, and joins`, async () => {
      const facts = await this.#net.initNode(index);
      await this.#net.fund([facts.account], DEPOSIT, 0n);
      this.#net.spawnNode(index, false);
      await this.#net.untilReady(index);
    });
    this.#durations.join = Math.round(performance.now() - startMs);
    await ledger.sync();
    const account = this.#net.account(index);
    const admitted = ledger.history.events.find(
      (event) => event.type === 'node-admitted' && event.record.account === account,
    );
    this.#check(
      'a stranger joined on a quorum certificate',
      admitted !== undefined,
      admitted?.txHash ?? 'not on layer 1',
    );
  }

  async #startClients(): Promise<void> {
    await tell('devices of A, B and C with TPMs of their own', async () => {
      const facts = await Promise.all(['b', 'c', 'a'].map((name) => this.#net.initClient(name)));
      await this.#net.fund(
        facts.map(({ account }) => account),
        0n,
        CLIENT_TOKENS,
      );
      for (const name of ['b', 'c', 'a']) this.#net.spawnClient(name);
      await Promise.all(['b', 'c', 'a'].map((name) => this.#net.untilClientReady(name)));
      await this.#net.client('a', 'POST /prepare-fees', { fee: FEE.toString() });
    });
  }

  #seal(code: Uint8Array): Promise<{ b: Sealed; c: Sealed }> {
    const rule = {
      codeDigest: toHex(sha256(code)),
      imageDigest: builtImage().digest,
      minCredit: 1,
      minLevel: 1,
      expiryS: Math.floor(Date.now() / 1000) + RULE_LIFETIME_S,
    };
    return tell('two capsules sealed, on IPFS, registered with release rules', async () => {
      const [b, c] = await Promise.all([
        this.#net.client<Sealed>('b', 'POST /seal', { ...rule, file: this.#options.listB }),
        this.#net.client<Sealed>('c', 'POST /seal', { ...rule, file: this.#options.listC }),
      ]);
      return { b, c };
    });
  }

  async #runTask(
    ledger: Ledger,
    sealed: { b: Sealed; c: Sealed },
  ): Promise<{ taskId: string; createTx: string }> {
    const image = builtImage();
    const startMs = performance.now();
    const startedAtMs = Date.now();
    const submitted = await tell('task in escrow', () =>
      this.#net.client<{ taskId: string; receipt: Receipt }>('a', 'POST /task', {
        codeFile: this.#options.code,
        entry: this.#options.entry,
        imageDigest: image.digest,
        imageName: image.name,
        capsuleIds: [sealed.b.capsuleId, sealed.c.capsuleId],
        fee: FEE.toString(),
        minLevel: 1,
        minCredit: 1,
        limits: LIMITS,
      }),
    );
    await tell('drawn, attested, keys released, run, results opened by B and C', () =>
      this.#openResults(ledger, submitted.taskId),
    );
    this.#durations.taskToResults = Math.round(performance.now() - startMs);
    await tell('verified, machine clean, settled on layer 1', async () => {
      await ledger.waitFor(
        () =>
          ledger.history.events.find(
            (event) => event.type === 'task-settled' && event.taskId === submitted.taskId,
          ),
        RECORD_TIMEOUT_MS,
      );
    });
    this.#durations.taskToSettlement = Math.round(performance.now() - startMs);
    const { timings } = await this.#net.node<NodeRecord>(1, 'GET /record');
    const elected = timings.find(({ event, detail }) => event === 'elected' && detail === submitted.taskId);
    this.#durations.submitToElected = elected === undefined ? 0 : elected.atMs - startedAtMs;
    return { taskId: submitted.taskId, createTx: submitted.receipt.txHash };
  }

  async #sealAndRun(ledger: Ledger, code: Uint8Array) {
    const sealed = await this.#seal(code);
    note('3. A submits the task; the network draws, runs, checks and pays');
    return { sealed, task: await this.#runTask(ledger, sealed) };
  }

  /** B and C open what arrived; a task that failed on layer 1 ends the wait with its reason. */
  async #openResults(ledger: Ledger, taskId: string): Promise<void> {
    mkdirSync(this.#net.paths.results, { recursive: true, mode: 0o700 });
    const deadline = performance.now() + RESULT_TIMEOUT_MS;
    const waiting = new Set(['b', 'c']);
    while (waiting.size > 0) {
      for (const name of waiting) {
        const results = await this.#net.client<{ taskId: string }[]>(name, 'GET /results');
        if (!results.some((result) => result.taskId === taskId)) continue;
        await this.#net.client(name, 'POST /open', {
          taskId,
          out: join(this.#net.paths.results, `${name}.txt`),
        });
        waiting.delete(name);
      }
      await ledger.sync();
      const ended = ledger.history.events.find(
        (event) => event.type === 'task-ended' && event.taskId === taskId,
      );
      if (ended?.type === 'task-ended')
        throw new DemoError('DEMO_TIMED_OUT', `the task failed with reason ${ended.reason}`);
      if (performance.now() > deadline)
        throw new DemoError('DEMO_TIMED_OUT', `no result after ${RESULT_TIMEOUT_MS} ms`);
      await delay(50);
    }
  }

  #checkResults(common: readonly string[] | undefined): void {
    const opened = ['b', 'c'].map((name) =>
      readFileSync(join(this.#net.paths.results, `${name}.txt`), 'utf8'),
    );
    this.#check(
      'B and C opened equal results',
      opened[0] === opened[1],
      `${opened[0]?.length ?? 0} characters`,
    );
    if (common === undefined) return;
    const expected = common.map((name) => `${name}\n`).join('');
    this.#check('the result is the true intersection', opened[0] === expected, `${common.length} names`);
  }

  async #awaitEpochs(ledger: Ledger, wanted: number): Promise<void> {
    await tell(`${wanted} epochs of random attestation on layer 1`, async () => {
      await ledger.waitFor(() => {
        const recorded = ledger.history.events.filter((event) => event.type === 'epoch');
        return recorded.length >= wanted ? recorded : undefined;
      }, RECORD_TIMEOUT_MS);
    });
  }

  /** A node loads a release that nobody approved; its own TPM tells on it. */
  async #tamper(ledger: Ledger, index: number): Promise<void> {
    const account = this.#net.account(index);
    const file = join(this.#net.paths.dir, 'changed-release.json');
    const manifest = JSON.parse(new TextDecoder().decode(measureRelease().manifest)) as {
      files: { sha256: string }[];
    };
    const first = manifest.files[0];
    if (first !== undefined) first.sha256 = '0'.repeat(64);
    writeFileSync(file, JSON.stringify(manifest));
    const before = await ledger.read<{ deposit: bigint; credit: number }>('nodeRegistry', 'node', [account]);
    const startMs = performance.now();
    await this.#net.node(index, 'POST /load-release', { file });
    await tell(`node-${index} loads a changed release; the network evicts it`, () =>
      this.#untilEvicted(index, account),
    );
    this.#durations.tamperToEviction = Math.round(performance.now() - startMs);
    await tell('layer 1 records the eviction', async () => {
      await ledger.waitFor(
        () =>
          ledger.history.events.find((event) => event.type === 'node-evicted' && event.account === account),
        RECORD_TIMEOUT_MS,
      );
    });
    this.#durations.tamperToRecord = Math.round(performance.now() - startMs);
    const after = await ledger.read<{ deposit: bigint; credit: number; status: number }>(
      'nodeRegistry',
      'node',
      [account],
    );
    this.#check(
      'deposit forfeited and credit cut on layer 1',
      after.deposit === 0n && after.credit === 0 && before.deposit > 0n && after.status === 2,
      `deposit ${before.deposit} -> ${after.deposit}, credit ${before.credit} -> ${after.credit}`,
    );
    const dropped = await this.#untilAlone(index);
    this.#check(
      'every member dropped the evicted node',
      dropped,
      `node-${index} has ${dropped ? 'no' : 'still'} peers`,
    );
  }

  async #untilEvicted(index: number, account: string): Promise<void> {
    const others = this.#nodeIndices().filter((other) => other !== index);
    const deadline = performance.now() + EVICTION_TIMEOUT_MS;
    for (;;) {
      const statuses = await Promise.all(others.map((other) => this.#net.status(other)));
      if (statuses.every((status) => status?.members.every((member) => member.account !== account))) return;
      if (performance.now() > deadline)
        throw new DemoError('DEMO_TIMED_OUT', 'the tampered node was not evicted');
      await delay(50);
    }
  }

  async #untilAlone(index: number): Promise<boolean> {
    for (let tries = 0; tries < 100; tries++) {
      const status = await this.#net.status(index);
      if (status?.peers === 0) return true;
      await delay(100);
    }
    return false;
  }

  #nodeIndices(): number[] {
    return Array.from({ length: this.#options.nodes + 1 }, (_, index) => index + 1);
  }

  #leakCheck(names: readonly string[]) {
    const { dir, results, ca } = this.#net.paths;
    return searchForNames(dir, names, [results, ca]);
  }

  #check(name: string, ok: boolean, detail: string): void {
    this.#checks.push({ name, ok, detail });
    note(`  ${ok ? 'ok ' : 'NOT OK'} ${name} (${detail})`);
  }

  #sinceStart(): number {
    return Math.round(performance.now() - this.#startedMs);
  }
}
