import { fromUtf8 } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bench, openBench, resultText, runOnce } from './testing.ts';

// Every run below also asserts, in `runOnce`, that the machine is afterwards exactly as it was before.
let bench: Bench;
beforeAll(async () => {
  bench = await openBench('test-hostile');
});
afterAll(() => bench.sandbox.close());

const MIB = 1024 * 1024;

describe('a program that takes too much', () => {
  test('is killed at the deadline when it loops for ever', async () => {
    const code = 'def main(inputs):\n  while True: pass\n';
    const outcome = await runOnce(bench, { code, limits: { timeoutMs: 400 } });
    expect(outcome).toMatchObject({ outcome: 'failed', code: 'TIMEOUT' });
  });

  test('is killed at the deadline when it ignores every signal', async () => {
    const code = `
import signal, time
def main(inputs):
    for number in range(1, 65):
        try: signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError): pass
    while True: time.sleep(1)
`;
    const outcome = await runOnce(bench, { code, limits: { timeoutMs: 400 } });
    expect(outcome).toMatchObject({ outcome: 'failed', code: 'TIMEOUT' });
  });

  test('cannot have more processes than its limit, and none outlives it', async () => {
    const code = `
import os, time
def main(inputs):
    count = 0
    while True:
        try:
            if os.fork() == 0: time.sleep(60)
            count += 1
        except BlockingIOError:
            return str(count).encode()
`;
    const count = Number(await resultText(bench, { code, limits: { pids: 32 } }));
    expect(count).toBeGreaterThan(8);
    expect(count).toBeLessThan(32);
  });

  test('is ended when its forks fork without end', async () => {
    const code =
      'import os\ndef main(inputs):\n  while True:\n    try: os.fork()\n    except OSError: pass\n';
    const outcome = await runOnce(bench, { code, limits: { timeoutMs: 600 } });
    expect(outcome).toMatchObject({ outcome: 'failed', code: 'TIMEOUT' });
  });

  test('is killed when it needs more memory than its limit', async () => {
    const code = 'def main(inputs):\n  held = []\n  while True: held.append(bytearray(1 << 20))\n';
    const outcome = await runOnce(bench, { code, limits: { memoryBytes: 64 * MIB } });
    expect(outcome).toMatchObject({ outcome: 'failed', code: 'OUT_OF_MEMORY' });
    expect(outcome.usage.memoryPeakBytes).toBeLessThanOrEqual(64 * MIB);
  });

  test.each(['/job', '/tmp', '/dev/shm'])(
    'finds %s full at its size, in bytes and in files',
    async (folder) => {
      const code = `
import errno, os
def main(inputs):
    written, files = 0, 0
    try:
        while True:
            with open(f"${folder}/big-{written}", "wb", buffering=0) as file:
                for _ in range(8): written += file.write(bytes(1 << 20))
    except OSError as error: full = errno.errorcode[error.errno]
    for name in os.listdir("${folder}"): os.unlink(f"${folder}/{name}")
    try:
        while True:
            open(f"${folder}/{files}", "wb").close()
            files += 1
    except OSError as error: many = errno.errorcode[error.errno]
    return f"{full} {written >> 20} {many} {files}".encode()
`;
      const [full, mib, many, files] = (
        await resultText(bench, { code, limits: { memoryBytes: 192 * MIB } })
      ).split(' ');
      expect([full, many]).toEqual(['ENOSPC', 'ENOSPC']);
      expect(Number(mib)).toBeLessThanOrEqual(64);
      expect(Number(files)).toBeLessThan(10_000);
    },
  );

  test('cannot return more than the output limit', async () => {
    const outcome = await runOnce(bench, {
      code: 'def main(inputs):\n  return bytes(3 << 20)\n',
      limits: { outputBytes: MIB },
    });
    expect(outcome).toMatchObject({ outcome: 'failed', code: 'OUTPUT_TOO_LARGE' });
    const barely = await runOnce(bench, {
      code: `def main(inputs):\n  return bytes(${MIB} + 1)\n`,
      limits: { outputBytes: MIB },
    });
    expect(barely).toMatchObject({ outcome: 'failed', code: 'OUTPUT_TOO_LARGE' });
    const all = await runOnce(bench, {
      code: `def main(inputs):\n  return bytes(${MIB})\n`,
      limits: { outputBytes: MIB },
    });
    expect(all).toMatchObject({ outcome: 'completed' });
  });

  test.each(['stdout', 'stderr'])('is killed when it floods %s with a gigabyte', async (stream) => {
    const code = `
import sys
def main(inputs):
    for _ in range(1024): sys.${stream}.buffer.write(b"x" * (1 << 20))
    return b""
`;
    const outcome = await runOnce(bench, { code });
    expect(outcome).toMatchObject({ outcome: 'failed', code: 'STDOUT_TOO_LARGE' });
    expect(outcome.usage.memoryPeakBytes).toBeLessThan(64 * MIB);
  });
});

describe('a program that tries to speak', () => {
  test('is not quoted in the outcome, whatever it prints, raises or names its files', async () => {
    const secret = 'Þórhildur Ångström';
    const codes = [
      'import sys\ndef main(inputs):\n  print(inputs); sys.stderr.write(str(inputs)); raise Exception(inputs)\n',
      'def main(inputs):\n  open("/out/" + inputs[0].decode(), "w").close(); return b""\n',
      'def main(inputs):\n  print(inputs[0].decode() * 100000); return inputs[0].decode()\n',
      'raise ImportError(open("/in/input-0").read())\n',
    ];
    for (const code of codes) {
      const outcome = await runOnce(bench, { code, inputs: [fromUtf8(secret)] });
      expect(outcome.outcome).toBe('failed');
      expect(JSON.stringify(outcome)).not.toMatch(/Þórhildur|Ångström/);
    }
  });
});

describe('a program that leaves a trap in its output', () => {
  test.each([
    ['a link to a host file', 'os.symlink("/etc/shadow", "/out/result-0"); os._exit(0)'],
    ['a link to its input', 'os.symlink("/in/input-0", "/out/result-0"); os._exit(0)'],
    [
      'a second link',
      'open("/out/result-0", "w").close(); os.link("/out/result-0", "/out/result-1"); os._exit(0)',
    ],
    ['a folder', 'os.mkdir("/out/result-0"); os._exit(0)'],
    ['a socket', 'socket.socket(socket.AF_UNIX).bind("/out/result-0"); os._exit(0)'],
    ['another name', 'open("/out/result-00", "w").close(); os._exit(0)'],
    ['a gap', 'open("/out/result-1", "w").close(); os._exit(0)'],
    ['a name that is not text', 'open(b"/out/\\xff\\n", "w").close(); return b""'],
    ['nothing', 'os._exit(0)'],
  ])('is refused when it leaves %s', async (_, body) => {
    const code = `import os, socket\ndef main(inputs):\n  ${body.replaceAll('; ', '\n  ')}\n`;
    const outcome = await runOnce(bench, { code, inputs: [fromUtf8('private')] });
    expect(outcome).toMatchObject({ outcome: 'failed', code: 'OUTPUT_INVALID' });
  });

  test('is refused when it leaves a sparse file larger than the limit', async () => {
    const code =
      'import os\ndef main(inputs):\n  os.truncate(os.open("/out/result-0", 65), 60 << 20)\n  os._exit(0)\n';
    const outcome = await runOnce(bench, { code });
    expect(outcome).toMatchObject({ outcome: 'failed', code: 'OUTPUT_TOO_LARGE' });
  });

  test('is refused and still wiped when it fills the output with deep folders and sparse files', async () => {
    const code = `
import os
def main(inputs):
    os.chdir("/out")
    try:
        while True:
            with open("f" * 255, "wb") as file:
                file.truncate(64 << 20)
                file.seek(32 << 20)
                file.write(b"private" * 100)
            os.mkdir("d" * 255, 0o000)
            os.chmod("d" * 255, 0o700)
            os.chdir("d" * 255)
    except OSError:
        os._exit(0)
`;
    const outcome = await runOnce(bench, { code });
    expect(outcome).toMatchObject({ outcome: 'failed', code: 'OUTPUT_INVALID' });
  });
});
