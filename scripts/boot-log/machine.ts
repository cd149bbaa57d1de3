import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromHex, toHex } from '@nemea/core';
import { serialChannel, type TpmChannel } from '@nemea/tpm';

const OVMF = '/usr/share/OVMF';
const FIRMWARE = {
  plain: { code: 'OVMF_CODE_4M.fd', variables: 'OVMF_VARS_4M.fd' },
  // Enforces Secure Boot, with the well-known test keys that Debian ships.
  snakeoil: { code: 'OVMF_CODE_4M.secboot.fd', variables: 'OVMF_VARS_4M.snakeoil.fd' },
} as const;
// Software emulation on a busy machine: only a hang reaches these.
const START_MS = 600_000;
const ANSWER_MS = 120_000;
const GREETING = 'init is ready';
const POLL_MS = 100;
const LINE_CHARS_MAX = 16 * 2 ** 20;

export interface MachineOptions {
  /** For sockets, TPM state, variables and the console's log; new for each machine. */
  readonly dir: string;
  readonly firmware: keyof typeof FIRMWARE;
  readonly disk: string;
  /** Booted by the firmware without a disk, as `-kernel`; without it the firmware boots from the disk. */
  readonly kernel?: string;
}

/** A booted virtual machine with a software TPM of its own, whose init answers requests. */
export interface Machine {
  readonly tpm: TpmChannel;
  readFile(path: string): Promise<Uint8Array>;
  /** Orderly: the TPM gets its TPM2_Shutdown. */
  powerOff(): Promise<void>;
  /** At once. Does nothing after `powerOff`. */
  kill(): void;
}

/** Starts swtpm and QEMU and waits for init's greeting. */
export async function bootMachine(options: MachineOptions): Promise<Machine> {
  const path = (name: string): string => join(options.dir, name);
  mkdirSync(path('tpm'), { recursive: true });
  const provisioning = ['--tpm2', '--tpm-state', path('tpm'), '--pcr-banks', 'sha1,sha256,sha384,sha512'];
  execFileSync('swtpm_setup', provisioning, { stdio: 'pipe' });
  const tpmProcess = start('swtpm', [
    ...['socket', '--tpm2', '--tpmstate', `dir=${path('tpm')}`],
    ...['--ctrl', `type=unixio,path=${path('tpm.sock')}`, '--terminate'],
  ]);
  copyFileSync(join(OVMF, FIRMWARE[options.firmware].variables), path('variables.fd'));
  let qemu: ChildProcess | undefined;
  try {
    await untilExists(path('tpm.sock'), tpmProcess);
    qemu = start('qemu-system-x86_64', qemuArguments(options));
    await untilExists(path('serial.sock'), qemu);
    const serial = connect(path('serial.sock'));
    await once(serial, 'connect');
    const lines = lineReader(serial, qemu);
    // The firmware talks on every serial port before.
    while (!(await lines.next(START_MS)).endsWith(GREETING));
    return openMachine(serial, lines, qemu);
  } catch (cause) {
    qemu?.kill('SIGKILL');
    tpmProcess.kill('SIGKILL');
    const console = existsSync(path('console.log')) ? readFileSync(path('console.log'), 'latin1') : '';
    throw new Error(`the machine did not boot; end of its console:\n${console.slice(-2000)}`, { cause });
  }
}

function qemuArguments({ dir, firmware, disk, kernel }: MachineOptions): string[] {
  const smm = firmware === 'snakeoil' ? 'on' : 'off';
  const secure = ['-global', 'driver=cfi.pflash01,property=secure,value=on'];
  const code = join(OVMF, FIRMWARE[firmware].code);
  // Processors, memory and processor model are measured into PCR 0: a changed one is another vector.
  return [
    ...['-machine', `q35,smm=${smm},vmport=off`, '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '1'],
    ...['-m', '1024', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-net', 'none'],
    ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${code}`],
    ...['-drive', `if=pflash,unit=1,format=raw,file=${join(dir, 'variables.fd')}`],
    ...(firmware === 'snakeoil' ? secure : []),
    ...['-chardev', `socket,id=tpm,path=${join(dir, 'tpm.sock')}`, '-tpmdev', 'emulator,id=t0,chardev=tpm'],
    ...['-device', 'tpm-crb,tpmdev=t0'],
    ...['-drive', `if=none,id=d0,format=raw,file=${disk}`, '-device', 'virtio-blk-pci,drive=d0'],
    ...['-serial', `file:${join(dir, 'console.log')}`],
    ...['-serial', `unix:${join(dir, 'serial.sock')},server=on,wait=off`],
    ...(kernel === undefined ? [] : ['-kernel', kernel]),
  ];
}

interface Lines {
  next(timeoutMs: number): Promise<string>;
}

function openMachine(serial: Socket, lines: Lines, qemu: ChildProcess): Machine {
  async function exchange(command: Uint8Array): Promise<Uint8Array> {
    serial.write(`tpm ${toHex(command)}\n`);
    return fromHex(await lines.next(ANSWER_MS));
  }
  const pipe = {
    get isOpen() {
      return !serial.destroyed;
    },
    exchange,
    // The serial port stays: it also carries files, and the end.
    close: async () => {},
  };
  return {
    tpm: serialChannel(pipe),
    async readFile(path) {
      serial.write(`file ${path}\n`);
      let text = '';
      for (let line = await lines.next(ANSWER_MS); line !== '.'; line = await lines.next(ANSWER_MS))
        text += line;
      return Uint8Array.from(Buffer.from(text, 'base64'));
    },
    async powerOff() {
      const exited = once(qemu, 'exit');
      serial.write('end\n');
      await exited;
    },
    kill: () => qemu.kill('SIGKILL'),
  };
}

/** Lines as they come; waiting ends when the machine does. */
function lineReader(serial: Socket, qemu: ChildProcess): Lines {
  const lines: string[] = [];
  let partial = '';
  let wake = (): void => {};
  serial.setEncoding('latin1').on('data', (chunk: string) => {
    const parts = (partial + chunk).split('\n');
    partial = parts.pop() ?? '';
    if (partial.length > LINE_CHARS_MAX) serial.destroy(new Error('a line without end'));
    lines.push(...parts.map((line) => line.trimEnd()));
    wake();
  });
  serial.on('error', () => wake()).on('close', () => wake());
  return {
    async next(timeoutMs) {
      const deadline = performance.now() + timeoutMs;
      while (lines.length === 0) {
        if (serial.destroyed || qemu.exitCode !== null) throw new Error('the machine ended');
        if (performance.now() > deadline) throw new Error(`the machine said nothing for ${timeoutMs} ms`);
        await Promise.race([new Promise<void>((resolve) => (wake = resolve)), sleep(1000)]);
      }
      return lines.shift() ?? '';
    },
  };
}

/** Ends with this process. */
function start(program: string, args: readonly string[]): ChildProcess {
  return spawn('setpriv', ['--pdeathsig', 'KILL', '--', program, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

async function untilExists(path: string, child: ChildProcess): Promise<void> {
  while (!existsSync(path)) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`no ${path}: its program ended`);
    await sleep(POLL_MS);
  }
}
