import { bytesEqual } from '@nemea/core';
import { algorithmOf, type Bank } from './algorithms.ts';
import type { RawEvent } from './model.ts';

/** What of an event's data its digest covers. */
export interface MeasuredPart {
  readonly part: 'data';
  readonly bytes: Uint8Array;
}

/** Finds the part of the data whose hash is the digest of that bank, null when there is none. [LOG-12] */
export function measuredPart(event: RawEvent, bank: Bank): MeasuredPart | null {
  const { hash } = algorithmOf(bank);
  const digest = event.digests[bank];
  if (digest === undefined) return null;
  return bytesEqual(hash(event.data), digest) ? { part: 'data', bytes: event.data } : null;
}
