import type { Observer } from '../twins/network.ts';
import type { HostChecks } from '../world/host.ts';
import type { LogLine } from '../world/logger.ts';
import type { OwnerChecks } from '../world/owner-host.ts';
import type { Verdicts } from './checker.ts';

/** Enough of a secret to know it again. */
const MARK_BYTES = 16;

export interface PrivacyChecks extends Observer, OwnerChecks, Pick<HostChecks, 'onAppend'> {
  onLog(line: LogLine): void;
}

/**
 * Data, keys and results are in the clear nowhere but in the memory of owner, executor and receivers: no message on
 * any network, no record of a journal, no transaction and no log line holds a piece of one.
 */
export function checkPrivacy({ world, fail }: Verdicts): PrivacyChecks {
  const keys: Buffer[] = [];

  /** What the bytes give away; undefined for nothing. */
  function found(bytes: Uint8Array): string | undefined {
    if (bytes.length < MARK_BYTES) return undefined;
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    if (keys.some((key) => view.includes(key))) return 'the key of a capsule';
    for (const { name, payloads, expected } of world.orders.orders) {
      if (payloads.some((payload) => view.includes(markOf(payload)))) return `data of ${name}`;
      if (expected !== undefined && view.includes(markOf(expected))) return `the result of ${name}`;
    }
    return undefined;
  }

  return {
    onKey: (fileKey) => void keys.push(markOf(fileKey)),
    onMessage({ from, to, protocol, bytes }) {
      const secret = found(bytes);
      if (secret !== undefined) fail('privacy', `${from} sends ${to} ${secret} in the clear, by ${protocol}`);
    },
    onAppend(host, kind, records) {
      for (const record of records) {
        const secret = found(record);
        if (secret !== undefined) fail('privacy', `${host.name} writes ${secret} to its journal: ${kind}`);
      }
    },
    onLog({ name, message, fields }) {
      const text = `${message} ${JSON.stringify(fields)}`;
      const digits = text.match(/[0-9a-f]{32,}/g) ?? [];
      for (const bytes of [Buffer.from(text), ...digits.map((run) => Buffer.from(run, 'hex'))]) {
        const secret = found(bytes);
        if (secret !== undefined) fail('privacy', `${name} logs ${secret}`);
      }
    },
  };
}

function markOf(secret: Uint8Array): Buffer {
  return Buffer.from(secret.buffer, secret.byteOffset, Math.min(secret.length, MARK_BYTES));
}
