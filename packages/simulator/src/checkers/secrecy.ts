import { toHex } from '@nemea/core';
import { answerCodec, PROTOCOLS } from '@nemea/node/protocol';
import type { Observer } from '../twins/network.ts';
import type { Verdicts } from './checker.ts';

const REMEMBERED_MAX = 512;
/** An accusation is ordered like any operation, and shows its evidence to all. */
const ORDERED: ReadonlySet<string> = new Set([PROTOCOLS.request, PROTOCOLS.consensus, PROTOCOLS.decisions]);
/** Enough of a piece of evidence to know it again. */
const MARK_BYTES = 24;

/**
 * Evidence is read by the attestor that was drawn for it, and by nobody else (A5): what one challenge was answered with
 * travels to its asker only, unless it incriminates and is shown to all in an accusation.
 */
export function checkSecrecy({ honest, fail }: Verdicts): Observer {
  const readers = new Map<string, { mark: Buffer; reader: string }>();
  return {
    onMessage({ from, to, protocol, kind, bytes }) {
      if (!honest.has(from)) return;
      if (protocol === PROTOCOLS.challenge && kind === 'answer') {
        // Whoever breaks the rules may show what it was given: only its own judgement is gone then.
        if (bytes.length === 0 || !honest.has(to)) return;
        const { evidence } = answerCodec.parse(bytes);
        // Its end is the signature: no two pieces of evidence share it.
        const mark = Buffer.from(evidence.slice(-MARK_BYTES));
        readers.set(toHex(mark), { mark, reader: to });
        if (readers.size > REMEMBERED_MAX) readers.delete(readers.keys().next().value as string);
        return;
      }
      if (bytes.length < 512 || ORDERED.has(protocol)) return;
      const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
      for (const { mark, reader } of readers.values()) {
        if (reader !== to && view.includes(mark))
          fail('secrecy', `${from} shows ${to} by ${protocol} what was meant for ${reader}`);
      }
    },
  };
}
