import type { Bank } from './algorithms.ts';
import { EVENT_TYPE } from './event-types.ts';
import type { Finding, RawEvent } from './model.ts';

type Emptiness = Pick<Finding, 'quirk' | 'message'>;

/**
 * Digests that are missing, or nothing but zeros or ones. Firmware may announce a bank that it does not fill: what holds for
 * every event is one finding. [LOG-16]
 */
export function findEmptyDigests(events: readonly RawEvent[], banks: readonly Bank[]): Finding[] {
  const extended = events.filter(({ type }) => type !== EVENT_TYPE.EV_NO_ACTION);
  return banks.flatMap((bank) => {
    const found = extended.flatMap(({ number, digests }): Finding[] => {
      const empty = emptinessOf(digests[bank], bank);
      return empty === null ? [] : [{ ...empty, event: number }];
    });
    const [first] = found;
    const isWhole =
      found.length === extended.length && found.every(({ message }) => message === first?.message);
    if (first === undefined || found.length === 1 || !isWhole) return found;
    return [{ ...first, event: null, message: `${first.message}, in every event` }];
  });
}

function emptinessOf(digest: Uint8Array | undefined, bank: Bank): Emptiness | null {
  if (digest === undefined) return { quirk: 'digest-missing', message: `no ${bank} digest` };
  if (isAll(digest, 0)) return { quirk: 'digest-constant', message: `the ${bank} digest is all zeros` };
  return isAll(digest, 0xff) ? { quirk: 'digest-constant', message: `the ${bank} digest is all ones` } : null;
}

/** Such a digest is that of nothing. */
export function isConstant(digest: Uint8Array): boolean {
  return isAll(digest, 0) || isAll(digest, 0xff);
}

export function isAll(bytes: Uint8Array, value: number): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== value) return false;
  return true;
}
