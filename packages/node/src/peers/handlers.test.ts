import { CodedError } from '@nemea/core';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { loggingBugs } from './handlers.ts';

/** The handler of one protocol, and what it logged. */
function handlerOf(handle: () => Promise<Uint8Array | undefined>) {
  const lines: Record<string, unknown>[] = [];
  const logger = pino({}, { write: (line) => void lines.push(JSON.parse(line)) });
  const protocols = loggingBugs({ '/test': { maxMessageBytes: 8, maxInFlight: 1, handle } }, logger);
  return { protocol: protocols['/test'], lines };
}

test('a bug of a handler is logged with the protocol, the peer and where it is, and thrown on', async () => {
  const { protocol, lines } = handlerOf(async () => {
    throw new TypeError('not a function');
  });
  await expect(protocol?.handle('peer', new Uint8Array())).rejects.toThrow(TypeError);
  expect(lines).toMatchObject([
    {
      level: pino.levels.values.error,
      protocol: '/test',
      peer: 'peer',
      err: { type: 'TypeError', stack: expect.stringContaining('handlers.test.ts') },
    },
  ]);
});

test('a refusal is an answer, and not logged as a bug', async () => {
  const { protocol, lines } = handlerOf(async () => {
    throw new CodedError('BUSY', 'one at a time');
  });
  await expect(protocol?.handle('peer', new Uint8Array())).rejects.toMatchObject({ code: 'BUSY' });
  expect(lines).toEqual([]);
});

test('limits and answers of a protocol stay what they were', async () => {
  const { protocol, lines } = handlerOf(async () => Uint8Array.of(7));
  expect(protocol).toMatchObject({ maxMessageBytes: 8, maxInFlight: 1 });
  expect(await protocol?.handle('peer', new Uint8Array())).toEqual(Uint8Array.of(7));
  expect(lines).toEqual([]);
});
