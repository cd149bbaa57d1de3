import { sha256 } from '@nemea/core';
import { type Evidence, knownEventDigest } from './evidence.ts';

/** The value PCR 14 has after these events, from zero (TPM 2.0 Part 1, 17.2). */
export function replayLog(log: Evidence['log']): Uint8Array {
  let value: Uint8Array = new Uint8Array(32);
  for (const event of log) value = sha256(value, knownEventDigest(event));
  return value;
}
