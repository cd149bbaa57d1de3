import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromUtf8, sha256 } from '@nemea/core';
import type { SandboxOutcome, SandboxRecord, SandboxRun, SandboxSession } from '../../ports/sandbox.ts';
import { bundleConfig, jobHostId } from './bundle.ts';
import { groupProcesses, killGroup, readUsage } from './cgroup.ts';
import { RESULTS_MAX } from './collect.ts';
import { runCommand } from './command.ts';
import { SandboxError } from './errors.ts';
import { eventually, pause } from './files.ts';
import type { Host } from './host.ts';
import { mountRamDisk } from './mounts.ts';
import { judgeRun, type KillReason } from './outcome.ts';
import type { Place } from './place.ts';
import { seccompProfile } from './seccomp.ts';
import { wipeRun } from './wipe.ts';

const PAGE = 4096;
const KILL_TRIES = 400;
const KILL_PAUSE_MS = 25;

export interface SessionPlace {
  readonly host: Host;
  readonly place: Place;
  readonly idBase: number;
  readonly rootfs: string;
  readonly noSwap: boolean;
  /** Called once, when nothing of the session is left. */
  readonly onWiped: () => void;
}

export class RuncSession implements SandboxSession {
  readonly record: SandboxRecord;
  readonly #run: SandboxRun;
  readonly #at: SessionPlace;
  readonly #folder: string;
  readonly #group: string;
  #phase: 'opened' | 'started' | 'wiped' = 'opened';
  #process: ChildProcess | undefined;
  #ended: Promise<number | undefined> | undefined;
  #hasEnded = false;
  #outcome: Promise<SandboxOutcome> | undefined;
  #wiping: Promise<void> | undefined;
  #killReason: KillReason | undefined;
  #killing: Promise<void> | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #startedMs = 0;
  #wallMs = 0;
  #stdoutBytes = 0;

  constructor(run: SandboxRun, at: SessionPlace) {
    this.#run = run;
    this.#at = at;
    this.#folder = join(at.place.runsFolder, run.runId);
    this.#group = `${at.place.group}/${run.runId}`;
    this.record = {
      imageDigest: run.imageDigest,
      codeDigest: sha256(run.code),
      seccompDigest: sha256(fromUtf8(JSON.stringify(seccompProfile()))),
    };
  }

  /** Makes the RAM disks, writes code and inputs, and writes the container's configuration. */
  async prepare(): Promise<void> {
    const { inputs, code, limits } = this.#run;
    const ownerId = jobHostId(this.#at.idBase);
    const { noSwap } = this.#at;
    for (const folder of [this.#folder, this.#inDir, this.#outDir]) {
      mkdirSync(folder);
      chmodSync(folder, 0o711);
    }
    const files = [
      { name: 'code.py', content: code },
      ...inputs.map((content, index) => ({ name: `input-${index}`, content })),
    ];
    const inBytes = files.reduce((sum, { content }) => sum + roundToPage(content.length), PAGE);
    const outBytes = roundToPage(limits.outputBytes) + RESULTS_MAX * PAGE;
    await mountRamDisk(this.#inDir, {
      bytes: inBytes,
      inodes: files.length + 2,
      ownerId,
      mode: '500',
      noSwap,
    });
    await mountRamDisk(this.#outDir, {
      bytes: outBytes,
      inodes: RESULTS_MAX + 16,
      ownerId,
      mode: '700',
      noSwap,
    });
    for (const { name, content } of files) {
      const path = join(this.#inDir, name);
      writeFileSync(path, content, { mode: 0o400, flag: 'wx' });
      chownSync(path, ownerId, ownerId);
    }
    writeFileSync(join(this.#folder, 'config.json'), JSON.stringify(this.#config()));
  }

  async start(): Promise<void> {
    if (this.#phase !== 'opened' || this.#wiping !== undefined) throw order('start', this.#phase);
    this.#phase = 'started';
    const { runcPath } = this.#at.host;
    const log = ['--log', this.#logFile, '--log-format', 'json'];
    // --keep leaves the cgroup with its counters until they are read; no key ring of the node's session comes along.
    const run = ['run', '--keep', '--no-new-keyring', '--bundle', this.#folder, this.#containerId];
    const child = spawn(runcPath, ['--root', this.#at.place.runcRoot, ...log, ...run], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      detached: true,
    });
    this.#process = child;
    this.#startedMs = performance.now();
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => this.#countOutput(chunk));
    this.#ended = new Promise((resolve) => {
      const end = (exitCode: number | undefined): void => {
        this.#hasEnded = true;
        this.#wallMs = Math.round(performance.now() - this.#startedMs);
        clearTimeout(this.#deadline);
        resolve(exitCode);
      };
      // A runtime that cannot be started ends without a code, and `start` tells why.
      child.once('error', () => end(undefined));
      child.once('close', (exitCode) => end(exitCode ?? undefined));
    });
    const { timeoutMs } = this.#run.limits;
    const timeout: KillReason = { code: 'TIMEOUT', detail: `the program did not end within ${timeoutMs} ms` };
    this.#deadline = setTimeout(() => this.#end(timeout), timeoutMs);
    this.#outcome = this.#ended.then((exitCode) => this.#judge(exitCode));
    // `wait` hands a rejection on; until somebody waits it must not count as unhandled.
    this.#outcome.catch(() => undefined);
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
  }

  wait(): Promise<SandboxOutcome> {
    if (this.#outcome === undefined) return Promise.reject(order('wait', this.#phase));
    return this.#outcome;
  }

  async kill(): Promise<void> {
    if (this.#ended === undefined || this.#hasEnded) return;
    this.#end({ code: 'KILLED', detail: 'the run was ended by this node' });
    await this.#ended;
  }

  wipe(): Promise<void> {
    this.#wiping ??= this.#wipeOnce().catch((error: unknown) => {
      // A later call tries again.
      this.#wiping = undefined;
      throw error;
    });
    return this.#wiping;
  }

  async #wipeOnce(): Promise<void> {
    await this.kill();
    await this.#killing;
    // Whatever came of the run, `wait` tells it; here it only has to be over.
    await Promise.allSettled([this.#outcome]);
    const left = await wipeRun(this.#at.host, this.#at.place, this.#run.runId);
    if (left.length > 0) {
      const message = `the run ${this.#run.runId} left something behind: ${left.join('; ')}`;
      throw new SandboxError('SANDBOX_WIPE_FAILED', message, { data: { left } });
    }
    if (this.#phase !== 'wiped') this.#at.onWiped();
    this.#phase = 'wiped';
  }

  /** Records the reason and kills until the container is gone: it may not exist yet when the reason arises. */
  #end(reason: KillReason): void {
    if (this.#hasEnded) return;
    this.#killReason ??= reason;
    this.#killing ??= this.#killUntilEnded();
  }

  async #killUntilEnded(): Promise<void> {
    for (let attempt = 0; attempt < KILL_TRIES && !this.#hasEnded; attempt += 1) {
      await runCommand(this.#at.host.runcPath, [
        '--root',
        this.#at.place.runcRoot,
        'kill',
        this.#containerId,
        'KILL',
      ]);
      await pause(KILL_PAUSE_MS);
    }
    if (this.#hasEnded) return;
    killGroup(this.#at.host.cgroups, this.#group);
    this.#process?.kill('SIGKILL');
  }

  #countOutput(chunk: Buffer): void {
    this.#stdoutBytes += chunk.length;
    chunk.fill(0);
    const { stdoutBytes } = this.#run.limits;
    if (this.#stdoutBytes <= stdoutBytes) return;
    this.#end({ code: 'STDOUT_TOO_LARGE', detail: `the program printed more than ${stdoutBytes} bytes` });
  }

  /** Reads the counters before the container is deleted with them, and only when nothing can change its output. */
  async #judge(exitCode: number | undefined): Promise<SandboxOutcome> {
    const { cgroups } = this.#at.host;
    const isEmpty = await eventually(
      () => {
        const processes = groupProcesses(cgroups, this.#group);
        if (processes.length > 0) killGroup(cgroups, this.#group);
        return processes.length === 0;
      },
      KILL_TRIES,
      KILL_PAUSE_MS,
    );
    const { cpuMs, memoryPeakBytes, oomKills } = readUsage(cgroups, this.#group);
    return judgeRun({
      exitCode,
      isEmpty,
      killReason: this.#killReason,
      oomKills,
      usage: { wallMs: this.#wallMs, cpuMs, memoryPeakBytes },
      limits: this.#run.limits,
      outDir: this.#outDir,
      logFile: this.#logFile,
    });
  }

  #config(): Record<string, unknown> {
    return bundleConfig({
      rootfs: this.#at.rootfs,
      inDir: this.#inDir,
      outDir: this.#outDir,
      entry: this.#run.entry,
      inputCount: this.#run.inputs.length,
      limits: this.#run.limits,
      cgroupPath: `/${this.#group}`,
      idBase: this.#at.idBase,
      limitSwap: this.#at.host.limitSwap,
    });
  }

  get #containerId(): string {
    return this.#run.runId;
  }

  get #inDir(): string {
    return join(this.#folder, 'in');
  }

  get #outDir(): string {
    return join(this.#folder, 'out');
  }

  get #logFile(): string {
    return join(this.#folder, 'runc.log');
  }
}

function roundToPage(bytes: number): number {
  return Math.ceil(bytes / PAGE) * PAGE;
}

function order(call: string, phase: string): SandboxError {
  return new SandboxError('SANDBOX_ORDER', `${call} is out of order: the session is ${phase}`);
}
