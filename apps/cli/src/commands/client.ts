import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { CodedError, fromHex } from '@nemea/core';
import {
  callControl,
  initDevice,
  Owner,
  openCapsuleStore,
  readDeviceFacts,
  serveControl,
  socketPath,
} from '@nemea/node';
import { parseNetwork } from '@nemea/sdk';
import type { Command } from 'commander';
import { z } from 'zod';
import { note, openLogger, print, untilStopped } from '../output.ts';

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);

const sealBody = z.strictObject({
  file: z.string(),
  codeDigest: hex32,
  imageDigest: hex32,
  minCredit: z.number().int().min(0),
  minLevel: z.number().int().min(1).max(3),
  expiryS: z.number().int().positive(),
});

const taskBody = z.strictObject({
  codeFile: z.string(),
  entry: z.string(),
  imageDigest: hex32,
  imageName: z.string(),
  capsuleIds: z.array(hex32).min(1).max(16),
  fee: z.string().regex(/^[0-9]+$/),
  minLevel: z.number().int(),
  minCredit: z.number().int(),
  limits: z.strictObject({
    timeoutMs: z.number().int(),
    memoryBytes: z.number().int(),
    pids: z.number().int(),
    outputBytes: z.number().int(),
  }),
});

class BodyError extends CodedError<'REQUEST_MALFORMED'> {}

function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new BodyError('REQUEST_MALFORMED', `${issue?.path.join('.')}: ${issue?.message}`);
}

export function addClientCommands(program: Command): void {
  const client = program
    .command('client')
    .description("an owner's or author's device, outside the trusted network");

  client
    .command('init')
    .description('make the device: its TPM wraps the keys of its capsules')
    .requiredOption('--dir <DIR>', 'data folder of the device')
    .option('--ca <DIR>', "the devnet's TPM maker, for a software TPM", '.nemea/devnet/ca')
    .option('--port <N>', 'TCP port of its key agent', '4601')
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea client init --dir data/alice')
    .action(async (options: { dir: string; ca: string; port: string; json?: boolean }) => {
      const facts = await initDevice({
        dir: options.dir,
        name: 'client',
        tpm: { kind: 'swtpm' },
        caDir: options.ca,
        ports: { agent: Number(options.port) },
      });
      print(options, facts, `account ${facts.account}`);
    });

  client
    .command('start')
    .description('serve capsules and release their keys by policy, in the foreground')
    .requiredOption('--dir <DIR>', 'data folder of the device')
    .requiredOption('--network <FILE>', 'network.json of the network')
    .option('--log-level <LEVEL>', 'trace, debug, info, warn or error', 'info')
    .addHelpText(
      'after',
      '\nExample:\n  nemea client start --dir data/alice --network .nemea/devnet/network.json',
    )
    .action(async (options: { dir: string; network: string; logLevel: string }) => {
      const facts = readDeviceFacts(options.dir);
      const logger = openLogger(facts.name, options.logLevel);
      const owner = await Owner.start({
        dir: options.dir,
        network: parseNetwork(readFileSync(options.network, 'utf8')),
        logger,
        openStore: openCapsuleStore,
      });
      const control = await serveControl(socketPath(options.dir, 'control.sock'), {
        'GET /status': async () => owner.status(),
        'GET /results': async () => {
          await owner.sync();
          return owner.results();
        },
        'POST /seal': async (body) => {
          const { file, codeDigest, imageDigest, ...rule } = parseBody(sealBody, body);
          return owner.seal({
            file,
            mediaType: 'text/plain',
            rule: { ...rule, codeDigest: fromHex(codeDigest), imageDigest: fromHex(imageDigest) },
          });
        },
        'POST /prepare-fees': async (body) => {
          await owner.prepareFees(
            BigInt(parseBody(z.strictObject({ fee: z.string().regex(/^[0-9]+$/) }), body).fee),
          );
          return {};
        },
        'POST /task': async (body) => {
          const { fee, imageDigest, ...order } = parseBody(taskBody, body);
          return owner.submitTask({ ...order, fee: BigInt(fee), imageDigest: fromHex(imageDigest) });
        },
        'POST /open': async (body) => {
          const { taskId, out } = parseBody(z.strictObject({ taskId: hex32, out: z.string() }), body);
          const plain = await owner.open(taskId);
          mkdirSync(dirname(out), { recursive: true, mode: 0o700 });
          writeFileSync(out, plain, { mode: 0o600 });
          return { bytes: plain.length };
        },
      });
      note(`client ${owner.account} is up`);
      await untilStopped(async () => {
        await control.close();
        await owner.close();
      });
    });

  client
    .command('status')
    .description('what a running device says of itself')
    .requiredOption('--dir <DIR>', 'data folder of the device')
    .option('--json', 'print one JSON line')
    .action(async (options: { dir: string; json?: boolean }) => {
      const status = await callControl<Record<string, unknown>>(
        socketPath(options.dir, 'control.sock'),
        'GET /status',
      );
      print(options, status, JSON.stringify(status, null, 2));
    });
}
