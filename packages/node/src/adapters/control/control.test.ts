import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CodedError } from '@nemea/core';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { callControl, serveControl } from './control.ts';

class BusyError extends CodedError<'BUSY'> {}

let dir: string;
let socket: string;
let server: Awaited<ReturnType<typeof serveControl>>;
let logged: Record<string, unknown>[];

const logger = pino({}, { write: (line) => void logged.push(JSON.parse(line)) });

beforeEach(async () => {
  logged = [];
  dir = mkdtempSync(join(tmpdir(), 'control-'));
  socket = join(dir, 'control.sock');
  const routes = {
    'GET /status': async () => ({ ok: true }),
    'GET /amount': async () => ({ deposit: 1n }),
    'POST /echo': async (body: unknown) => body,
    'POST /nothing': async () => undefined,
    'POST /busy': async () => {
      throw new BusyError('BUSY', 'one run at a time');
    },
    'POST /bug': async () => {
      throw new Error('secret detail');
    },
  };
  server = await serveControl(socket, logger, routes);
});

afterEach(async () => {
  await server.close();
  rmSync(dir, { recursive: true });
});

test('a route answers with what it gave', async () => {
  expect(await callControl(socket, 'GET /status')).toEqual({ ok: true });
  expect(await callControl(socket, 'POST /echo', { text: 'ü', list: [1] })).toEqual({ text: 'ü', list: [1] });
  expect(await callControl(socket, 'POST /nothing')).toBeNull();
});

test('only its owner may open the door', () => {
  expect(statSync(socket).mode & 0o777).toBe(0o600);
});

describe('a call is refused', () => {
  test('with the device’s own code', async () => {
    await expect(callControl(socket, 'POST /busy')).rejects.toMatchObject({
      code: 'BUSY',
      message: 'one run at a time',
    });
    expect(logged).toEqual([]);
  });

  test('without a word of an error that nobody expected', async () => {
    const refused = callControl(socket, 'POST /bug');
    await expect(refused).rejects.toMatchObject({ code: 'UNEXPECTED' });
    await expect(refused).rejects.not.toThrow('secret');
  });

  test('and the log of the device says where nobody expected an error', async () => {
    await expect(callControl(socket, 'POST /bug')).rejects.toThrow('see the log of the device');
    const stack = expect.stringContaining('control.test.ts');
    expect(logged).toMatchObject([{ method: 'POST', url: '/bug', err: { stack } }]);
  });

  test('when the answer cannot be written as JSON, and the device goes on', async () => {
    await expect(callControl(socket, 'GET /amount')).rejects.toMatchObject({ code: 'UNEXPECTED' });
    expect(logged).toMatchObject([{ method: 'GET', url: '/amount' }]);
    expect(await callControl(socket, 'GET /status')).toEqual({ ok: true });
  });

  test('for a route that is none', async () => {
    await expect(callControl(socket, 'GET /secrets')).rejects.toMatchObject({
      code: 'CONTROL_ROUTE_UNKNOWN',
    });
  });

  test('for a body that is too large', async () => {
    await expect(callControl(socket, 'POST /echo', 'x'.repeat(1 << 21))).rejects.toBeInstanceOf(CodedError);
  });

  test('for a body that is no JSON', async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      let text = '';
      const client = connect(socket, () =>
        client.end('POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1\r\n\r\n{'),
      );
      client.on('data', (data) => {
        text += data.toString();
      });
      client.on('close', () => resolve(text));
      client.on('error', reject);
    });
    expect(answer).toContain('CONTROL_MALFORMED');
  });

  test('when no device is there', async () => {
    await expect(callControl(join(dir, 'none.sock'), 'GET /status')).rejects.toMatchObject({
      code: 'CONTROL_UNREACHABLE',
    });
  });
});

test('a door that a crashed device left behind is replaced', async () => {
  await server.close();
  server = await serveControl(socket, logger, { 'GET /status': async () => ({ again: true }) });
  expect(await callControl(socket, 'GET /status')).toEqual({ again: true });
});
