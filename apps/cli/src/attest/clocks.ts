import { existsSync, renameSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import {
  type ClockRecord,
  type ClockRegistry,
  encodeClockRegistry,
  parseClockRegistry,
  recordClock,
} from '@nemea/attestation';
import { CodedError } from '@nemea/core';
import { readFile, writeFile } from '../files.ts';

export class ClocksError extends CodedError<'CLOCKS_LOCKED'> {}

/** The registry of the highest clocks, of one judge until it is disposed of. */
export interface Clocks extends Disposable {
  readonly registry: ClockRegistry;
  /** On disk when it returns. Throws what `recordClock` throws, or `FILE_UNWRITABLE`. */
  record(akName: Uint8Array, clock: ClockRecord): void;
}

const TURN_MS = 60_000;

/**
 * Reads the registry of a file, empty where there is none yet. Judges of one file take turns from here to the record, else
 * the one that writes last would take back what the other learnt. Throws `CLOCKS_LOCKED` after a minute, `FILE_UNREADABLE`,
 * and `CLOCK_REGISTRY_INVALID`.
 */
export function openClocks(file: string): Clocks {
  const lock = lockFor(file);
  try {
    const registry = existsSync(file) ? parseClockRegistry(readFile(file)) : new Map();
    return {
      registry,
      record(akName, clock) {
        const part = `${file}.part`;
        writeFile(part, encodeClockRegistry(recordClock(registry, akName, clock)), { flush: true });
        renameSync(part, file);
      },
      [Symbol.dispose]: () => lock.close(),
    };
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** SQLite's lock of an empty file beside the registry: the system ends it with its process, however that ends. */
function lockFor(file: string): DatabaseSync {
  const path = `${file}.lock`;
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(path, { timeout: TURN_MS });
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (cause) {
    lock?.close();
    throw new ClocksError('CLOCKS_LOCKED', `${path}: no lock to be had, another judge may hold it`, {
      cause,
    });
  }
}
