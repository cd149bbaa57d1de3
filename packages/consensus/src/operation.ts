import { hashDomain, sha256Text } from '@nemea/core';
import type { Batch } from './message.ts';

/** The name of an operation, its SHA-256, as text of one character a byte: the cheapest key of a map [CONS-12]. */
export type OperationId = string;

export const ID_BYTES = 32;

/** The names of a batch, as keys and as the bytes that its digest binds. */
export type BatchIds = { readonly ids: readonly OperationId[]; readonly bytes: Uint8Array };

export function operationId(operation: Uint8Array): OperationId {
  return sha256Text(operation);
}

export function identify(batch: Batch): BatchIds {
  const ids = batch.map(operationId);
  return { ids, bytes: joinIds(ids) };
}

/** The same for operations whose keys are known already. */
export function joinIds(ids: readonly OperationId[]): Uint8Array {
  const bytes = new Uint8Array(ID_BYTES * ids.length);
  let at = 0;
  for (const id of ids) for (let i = 0; i < ID_BYTES; i++) bytes[at++] = id.charCodeAt(i);
  return bytes;
}

/** The keys in bytes that hold nothing else. */
export function idsOf(bytes: Uint8Array): OperationId[] {
  const ids: OperationId[] = [];
  for (let at = 0; at < bytes.length; at += ID_BYTES) ids.push(keyOf(bytes.subarray(at, at + ID_BYTES)));
  return ids;
}

/** Eight at a time: spreading the bytes takes ten times as long. */
export function keyOf(bytes: Uint8Array): string {
  let key = '';
  for (let at = 0; at < bytes.length; at += 8) {
    key += String.fromCharCode(
      bytes[at] as number,
      bytes[at + 1] as number,
      bytes[at + 2] as number,
      bytes[at + 3] as number,
      bytes[at + 4] as number,
      bytes[at + 5] as number,
      bytes[at + 6] as number,
      bytes[at + 7] as number,
    );
  }
  return key;
}

/** Binds a batch, by the names of its operations, and everything decided before it [CONS-4]. */
export function chainDigest(parent: Uint8Array, ids: Uint8Array): Uint8Array {
  return hashDomain('nemea/consensus/decision/2', parent, ids);
}

/** The same for those who hold the batch only. The parent of sequence 1 is 32 zero bytes. */
export function decisionDigest(parent: Uint8Array, batch: Batch): Uint8Array {
  return chainDigest(parent, identify(batch).bytes);
}
