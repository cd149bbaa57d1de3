import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { CodedError, fromHex } from '@nemea/core';
import { openCapsuleStore } from '@nemea/node/adapters';
import { serveControl } from '@nemea/node/control';
import { readDeviceFacts, socketPath } from '@nemea/node/device';
import { Owner } from '@nemea/node/owner';
import { ownerPorts } from '@nemea/node/production';
import { parseNetwork } from '@nemea/sdk';
import { z } from 'zod';
import { readText } from '../files.ts';
import { note, openLogger, untilStopped } from '../output.ts';

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

/** Runs an owner's or author's device in the foreground until it is stopped. */
export async function startClient(options: {
  dir: string;
  network: string;
  logLevel: string;
}): Promise<void> {
  const facts = readDeviceFacts(options.dir);
  const logger = openLogger(facts.name, options.logLevel);
  const network = parseNetwork(readText(options.network, { code: 'NETWORK_UNREADABLE' }));
  const ports = ownerPorts({ dir: options.dir, network, logger, openStore: openCapsuleStore });
  const owner = await Owner.start(ports, { logger });
  const control = await serveControl(socketPath(options.dir, 'control.sock'), logger, {
    'GET /status': async () => ({
      ...owner.status(),
      rssMb: Math.round(process.memoryUsage.rss() / 1_048_576),
    }),
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
    'POST /refund': async (body) => owner.refund(parseBody(z.strictObject({ taskId: hex32 }), body).taskId),
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
  }, owner.lost);
}
