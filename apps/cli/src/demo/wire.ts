import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { CodedError } from '@nemea/core';

export class WireError extends CodedError<'WIRE_CAPTURE_FAILED'> {}

/** Records everything that crosses the loopback interface, so that the leak check can search the wire, too. */
export class WireCapture {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Starts tcpdump on loopback. Throws `WIRE_CAPTURE_FAILED` where the machine does not allow it. */
  static async start(file: string): Promise<WireCapture> {
    const child = spawn(
      'tcpdump',
      ['-i', 'lo', '-U', '-s', '0', '-Z', 'root', '-B', '65536', '-w', file, 'tcp'],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    let said = '';
    child.stderr?.on('data', (data: Buffer) => {
      said = (said + data.toString()).slice(-500);
    });
    let failure = '';
    child.once('error', (error) => {
      failure = error.message;
    });
    const deadline = performance.now() + 5_000;
    while (!existsSync(file)) {
      if (failure !== '' || child.exitCode !== null || performance.now() > deadline) {
        child.kill('SIGKILL');
        throw new WireError(
          'WIRE_CAPTURE_FAILED',
          `tcpdump does not capture loopback: ${failure || said.trim()}`,
        );
      }
      await delay(20);
    }
    return new WireCapture(child);
  }

  async stop(): Promise<void> {
    // What is still in the kernel's buffer belongs to the capture.
    await delay(200);
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGINT');
    await ended;
  }
}
