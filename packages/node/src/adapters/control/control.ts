import { chmodSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { CodedError, errorCode } from '@nemea/core';
import type { Logger } from 'pino';

const BODY_BYTES_MAX = 1 << 20;
const RESPONSE_BYTES_MAX = 64 << 20;

export type ControlErrorCode =
  | 'CONTROL_UNREACHABLE'
  | 'CONTROL_TOO_LARGE'
  | 'CONTROL_ROUTE_UNKNOWN'
  | 'CONTROL_MALFORMED';
export class ControlError extends CodedError<ControlErrorCode> {}

/** A refusal that the device itself gave, under its own code. */
export class ControlRefusal extends CodedError<string> {}

export type ControlRoutes = Readonly<Record<string, (body: unknown) => Promise<unknown>>>;

/**
 * The operator's door of a device: JSON over a Unix socket that only its owner can open. Not a network service; file
 * permissions are its authentication.
 */
export async function serveControl(
  path: string,
  logger: Logger,
  routes: ControlRoutes,
): Promise<{ close(): Promise<void> }> {
  rmSync(path, { force: true });
  const server = createServer((incoming, outgoing) => {
    const answer = (status: number, body: unknown) => {
      // First, since it may throw, and a head can be sent only once.
      const text = JSON.stringify(body);
      outgoing.writeHead(status, { 'content-type': 'application/json' });
      outgoing.end(text);
    };
    readBody(incoming)
      .then(async (body) => {
        const route = routes[`${incoming.method} ${incoming.url}`];
        if (route === undefined)
          throw new ControlError('CONTROL_ROUTE_UNKNOWN', `no route ${incoming.method} ${incoming.url}`);
        answer(200, (await route(body)) ?? null);
      })
      .catch((error: unknown) => {
        const code = errorCode(error);
        if (error instanceof CodedError) return answer(422, { code, message: error.message });
        logger.error({ method: incoming.method, url: incoming.url, err: error }, 'control call failed');
        answer(500, { code, message: 'unexpected error, see the log of the device' });
      });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Asks a device through its control socket. Throws `ControlRefusal` with the device's code, or `ControlError`. */
export function callControl<T>(path: string, route: string, body?: unknown, timeoutMs = 60_000): Promise<T> {
  const [method, url] = route.split(' ');
  return new Promise<T>((resolve, reject) => {
    const outgoing = request(
      {
        socketPath: path,
        method,
        path: url,
        timeout: timeoutMs,
        headers: { 'content-type': 'application/json' },
      },
      (incoming) => {
        readBody(incoming, RESPONSE_BYTES_MAX).then((value) => {
          if (incoming.statusCode === 200) {
            resolve(value as T);
            return;
          }
          const refusal = value as { code?: string; message?: string };
          reject(new ControlRefusal(refusal.code ?? 'UNEXPECTED', refusal.message ?? 'refused'));
        }, reject);
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('timed out')));
    outgoing.on('error', (cause) => {
      reject(
        new ControlError('CONTROL_UNREACHABLE', `no device answers at ${path}: ${cause.message}`, { cause }),
      );
    });
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function readBody(stream: AsyncIterable<Buffer>, bytesMax = BODY_BYTES_MAX): Promise<unknown> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of stream) {
    bytes += part.length;
    if (bytes > bytesMax) throw new ControlError('CONTROL_TOO_LARGE', `body: more than ${bytesMax} bytes`);
    parts.push(part);
  }
  if (bytes === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch (cause) {
    throw new ControlError('CONTROL_MALFORMED', 'body is not JSON', { cause });
  }
}
