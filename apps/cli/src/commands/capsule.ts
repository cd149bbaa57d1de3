import { resolve } from 'node:path';
import type { Command } from 'commander';
import { readFile } from '../files.ts';
import { positive, whole } from '../options.ts';
import { print } from '../output.ts';

/** A hundred years. */
const HOURS_MAX = 876_600;

interface SealOptions {
  device: string;
  code: string;
  minCredit: number;
  minLevel: number;
  hours: number;
  json?: boolean;
}

export function addCapsuleCommands(program: Command): void {
  const capsule = program
    .command('capsule')
    .description('sealed data: make it, look at it, open what was sealed to you');

  capsule
    .command('seal <FILE>')
    .description('seal a file, put it on IPFS, register it with the rule by which its key is released')
    .requiredOption('--device <DIR>', 'folder of the running client device that will own it')
    .requiredOption('--code <FILE>', 'the only code that may run on it')
    .option('--min-credit <N>', 'least credit of an executor', whole(0, 2 ** 32 - 1), 1)
    .option('--min-level <N>', 'least assurance level: 1 development, 2 vouched, 3 hardware', whole(1, 3), 1)
    .option('--hours <N>', 'how long the rule holds', positive(HOURS_MAX), 24)
    .option('--json', 'print one JSON line')
    .addHelpText(
      'after',
      '\nExample:\n  nemea capsule seal names.csv --device data/alice --code intersect.py',
    )
    .action(async (file: string, options: SealOptions) => {
      const { sha256, toHex } = await import('@nemea/core');
      const { builtImage } = await import('../devnet/image.ts');
      const sealed = await ask<{ capsuleId: string; cid: string }>(options.device, 'POST /seal', {
        file: resolve(file),
        codeDigest: toHex(sha256(readFile(options.code))),
        imageDigest: builtImage().digest,
        minCredit: options.minCredit,
        minLevel: options.minLevel,
        expiryS: Math.floor(Date.now() / 1000) + Math.round(options.hours * 3600),
      });
      print(options, sealed, `capsule ${sealed.capsuleId}\ncid     ${sealed.cid}`);
    });

  capsule
    .command('inspect <FILE>')
    .description('what a capsule says of itself in the clear')
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea capsule inspect result.capsule')
    .action(async (file: string, options: { json?: boolean }) => {
      const { inspectCapsule } = await import('@nemea/capsule');
      const { toHex } = await import('@nemea/core');
      const { capsuleId, header } = inspectCapsule(readFile(file));
      const facts = {
        capsuleId: toHex(capsuleId),
        kind: header.kind,
        owner: `0x${toHex(header.owner)}`,
        mediaType: header.mediaType,
        plainBytes: header.plainBytes,
        chunkBytes: header.chunkBytes,
        images: header.environment.imageDigests.map((digest) => toHex(digest)),
        levelMin: header.environment.levelMin,
        policy:
          header.policy === null
            ? null
            : `0x${toHex(header.policy.contract)} on chain ${header.policy.chainId}`,
        task: header.task === null ? null : toHex(header.task.taskId),
        recipients: header.recipients.map(({ key }) => toHex(key)),
      };
      print(options, facts, table(facts));
    });

  capsule
    .command('open <TASK>')
    .description('open the result of a task that was sealed to this device')
    .requiredOption('--device <DIR>', 'folder of the running client device')
    .requiredOption('--out <FILE>', 'where the plain result goes')
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea capsule open 4f1c... --device data/alice --out common.txt')
    .action(openResult);
}

export async function openResult(
  taskId: string,
  options: { device: string; out: string; json?: boolean },
): Promise<void> {
  const opened = await ask<{ bytes: number }>(options.device, 'POST /open', {
    taskId: taskId.replace(/^0x/, ''),
    out: resolve(options.out),
  });
  print(options, opened, `${opened.bytes} bytes in ${options.out}`);
}

/** Asks a running client device through its control socket. */
export async function ask<T>(device: string, route: string, body?: unknown): Promise<T> {
  const { callControl } = await import('@nemea/node/control');
  const { socketPath } = await import('@nemea/node/device');
  return callControl<T>(socketPath(device, 'control.sock'), route, body, 120_000);
}

export function table(facts: Readonly<Record<string, unknown>>): string {
  const width = Math.max(...Object.keys(facts).map((key) => key.length));
  return Object.entries(facts)
    .map(
      ([key, value]) => `${key.padEnd(width)}  ${typeof value === 'object' ? JSON.stringify(value) : value}`,
    )
    .join('\n');
}
