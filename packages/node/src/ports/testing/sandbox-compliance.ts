import { assert, bytesEqual, errorCode, fromUtf8, sha256, toHex } from '@nemea/core';
import type { Sandbox, SandboxLimits, SandboxOutcome, SandboxRun, SandboxSession } from '../sandbox.ts';
import type { ComplianceCase } from './journal-compliance.ts';

/** What the code files of the suite do, each by its function `main`. */
export type SandboxProgram =
  /** Returns its inputs joined by a bar. */
  | 'join'
  /** Returns its inputs, as a list. */
  | 'list'
  | 'sleep-a-minute'
  /** Raises an exception that holds its inputs. */
  | 'raise'
  | 'print-a-mebibyte'
  | 'take-a-gibibyte'
  | 'return-two-mebibytes';

/** A sandbox of its own for each case, with an image that it has loaded. */
export interface SandboxGround {
  readonly sandbox: Sandbox;
  readonly image: { readonly file: string; readonly digest: Uint8Array };
  code(program: SandboxProgram): Uint8Array;
  /** Lets time pass until the work is done. */
  drive<T>(work: Promise<T>): Promise<T>;
}

const MIB = 1024 * 1024;
const LIMITS: SandboxLimits = {
  timeoutMs: 20_000,
  memoryBytes: 128 * MIB,
  pids: 64,
  outputBytes: MIB,
  stdoutBytes: 64 * 1024,
};
const SECRET = 'nobody may read this';

/** The suite for a sandbox: what a run may do to its machine, and what the machine tells of it. */
export function sandboxCompliance(prepare: () => Promise<SandboxGround>): ComplianceCase[] {
  const runOf = (ground: SandboxGround, program: SandboxProgram, change: Partial<SandboxRun> = {}) => ({
    runId: 'run-1',
    imageDigest: ground.image.digest,
    code: ground.code(program),
    entry: 'main',
    inputs: ['b', 'a', ''].map(fromUtf8),
    limits: LIMITS,
    ...change,
  });

  /** One run with all its phases, on a machine that is afterwards as it was. */
  async function runOnce(
    ground: SandboxGround,
    run: SandboxRun,
    during: (session: SandboxSession) => Promise<void> = async () => undefined,
  ): Promise<SandboxOutcome> {
    const { sandbox } = ground;
    const before = await ground.drive(sandbox.snapshot());
    const session = await ground.drive(sandbox.open(run));
    await ground.drive(session.start());
    await ground.drive(during(session));
    const outcome = await ground.drive(session.wait());
    await ground.drive(session.wipe());
    const after = await ground.drive(sandbox.snapshot());
    assert(bytesEqual(before.digest, after.digest), 'the machine is as it was before');
    return outcome;
  }

  const outputsOf = (outcome: SandboxOutcome): readonly string[] => {
    assert(outcome.outcome === 'completed', `outcome: got ${JSON.stringify(outcome)}`);
    return outcome.outputs.map((output) => new TextDecoder().decode(output));
  };

  const expectFailure = (outcome: SandboxOutcome, want: string): void => {
    const got = outcome.outcome === 'failed' ? outcome.code : outcome.outcome;
    assert(got === want, `got ${got}, want ${want}`);
    assert(outcome.outcome !== 'failed' || !outcome.detail.includes(SECRET), 'no private byte is told');
  };

  async function expectRefusal(ground: SandboxGround, work: Promise<unknown>, want: string): Promise<void> {
    const got = await ground.drive(work.then(() => 'OK', errorCode));
    assert(got === want, `got ${got}, want ${want}`);
  }

  const failing = (
    title: string,
    program: SandboxProgram,
    code: string,
    limits: Partial<SandboxLimits> = {},
  ): ComplianceCase => ({
    title,
    async run() {
      const ground = await prepare();
      const run = runOf(ground, program, {
        inputs: [fromUtf8(SECRET)],
        limits: { ...LIMITS, ...limits },
      });
      expectFailure(await runOnce(ground, run), code);
    },
  });

  return [
    {
      title: 'gives a function its inputs in order, and returns its bytes',
      async run() {
        const ground = await prepare();
        assert(outputsOf(await runOnce(ground, runOf(ground, 'join'))).join() === 'b|a|', 'joined');
        const listed = outputsOf(await runOnce(ground, runOf(ground, 'list', { runId: 'run-2' })));
        assert(listed.length === 3 && listed.join() === 'b,a,', `got ${listed.join()}`);
      },
    },
    {
      title: 'keeps a copy of the inputs: whoever opened the run may wipe its own',
      async run() {
        const ground = await prepare();
        const inputs = [fromUtf8('private')];
        const session = await ground.drive(ground.sandbox.open(runOf(ground, 'join', { inputs })));
        for (const input of inputs) input.fill(0);
        await ground.drive(session.start());
        const [output] = outputsOf(await ground.drive(session.wait()));
        assert(output === 'private', `got ${output}`);
        await ground.drive(session.wipe());
      },
    },
    {
      title: 'says what a run was started with',
      async run() {
        const ground = await prepare();
        const session = await ground.drive(ground.sandbox.open(runOf(ground, 'join')));
        const { imageDigest, codeDigest, seccompDigest } = session.record;
        assert(toHex(imageDigest) === toHex(ground.image.digest), 'the image');
        assert(toHex(codeDigest) === toHex(sha256(ground.code('join'))), 'the code');
        assert(seccompDigest.length === 32, 'the filter of system calls');
        await ground.drive(session.wipe());
      },
    },
    failing('tells code that fails, without a byte of what it said', 'raise', 'EXIT_NONZERO'),
    failing('ends a run that takes too long', 'sleep-a-minute', 'TIMEOUT', { timeoutMs: 1_500 }),
    failing('ends a run that takes too much memory', 'take-a-gibibyte', 'OUT_OF_MEMORY'),
    failing('ends a run that prints too much', 'print-a-mebibyte', 'STDOUT_TOO_LARGE'),
    failing('refuses results beyond the limit', 'return-two-mebibytes', 'OUTPUT_TOO_LARGE'),
    {
      title: 'ends a run early, by kill or by wipe, and says that this node did it',
      async run() {
        const ground = await prepare();
        const run = runOf(ground, 'sleep-a-minute');
        expectFailure(await runOnce(ground, run, (session) => session.kill()), 'KILLED');
        const again = { ...run, runId: 'run-2' };
        expectFailure(await runOnce(ground, again, (session) => session.wipe()), 'KILLED');
      },
    },
    {
      title: 'has one session at a time, whose phases come in order',
      async run() {
        const ground = await prepare();
        const { sandbox } = ground;
        const session = await ground.drive(sandbox.open(runOf(ground, 'join')));
        await expectRefusal(ground, session.wait(), 'SANDBOX_ORDER');
        await expectRefusal(ground, sandbox.open(runOf(ground, 'join', { runId: 'run-2' })), 'SANDBOX_BUSY');
        await expectRefusal(ground, sandbox.snapshot(), 'SANDBOX_BUSY');
        await ground.drive(session.wipe());
        await ground.drive(session.wipe());
        await expectRefusal(ground, session.start(), 'SANDBOX_ORDER');
      },
    },
    {
      title: 'loads no image but the expected one, and runs in no other',
      async run() {
        const ground = await prepare();
        const { sandbox, image } = ground;
        const other = new Uint8Array(32).fill(7);
        await expectRefusal(ground, sandbox.loadImage(image.file, other), 'SANDBOX_IMAGE_MISMATCH');
        const run = runOf(ground, 'join', { imageDigest: other });
        await expectRefusal(ground, sandbox.open(run), 'SANDBOX_IMAGE_UNKNOWN');
      },
    },
    {
      title: 'opens no run that names a place outside its own, or has a limit of nothing',
      async run() {
        const ground = await prepare();
        const { sandbox } = ground;
        for (const change of [
          { runId: '../run' },
          { runId: '' },
          { entry: 'main()' },
          { limits: { ...LIMITS, timeoutMs: 0 } },
          { limits: { ...LIMITS, outputBytes: 0.5 } },
        ])
          await expectRefusal(ground, sandbox.open(runOf(ground, 'join', change)), 'SANDBOX_RUN_INVALID');
      },
    },
    {
      title: 'does nothing more once it is closed',
      async run() {
        const ground = await prepare();
        await ground.drive(ground.sandbox.close());
        await ground.drive(ground.sandbox.close());
        await expectRefusal(ground, ground.sandbox.snapshot(), 'SANDBOX_CLOSED');
        await expectRefusal(ground, ground.sandbox.open(runOf(ground, 'join')), 'SANDBOX_CLOSED');
      },
    },
  ];
}
