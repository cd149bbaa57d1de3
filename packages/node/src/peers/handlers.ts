import { CodedError } from '@nemea/core';
import type { Logger } from 'pino';
import type { Protocol } from '../ports/transport.ts';

/**
 * The same protocols, with bugs of their handlers logged: a peer that asked is told `UNEXPECTED` and no more, one that sent a
 * message nothing at all. A coded error is an answer to the peer, and the handler's to log.
 */
export function loggingBugs(
  protocols: Readonly<Record<string, Protocol>>,
  logger: Logger,
): Record<string, Protocol> {
  const logging = (name: string, protocol: Protocol): Protocol => ({
    ...protocol,
    async handle(peer, message) {
      try {
        return await protocol.handle(peer, message);
      } catch (error) {
        if (!(error instanceof CodedError))
          logger.error({ protocol: name, peer, err: error }, 'handler failed');
        throw error;
      }
    },
  });
  return Object.fromEntries(Object.entries(protocols).map(([name, one]) => [name, logging(name, one)]));
}
