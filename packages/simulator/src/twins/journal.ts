import { CodedError } from '@nemea/core';
import type { Journal } from '@nemea/node/ports';
import type { Life } from './life.ts';

export class DiskError extends CodedError<
  'DISK_FULL' | 'DISK_GONE' | 'JOURNAL_FOREIGN' | 'JOURNAL_CORRUPT'
> {}

/** What a machine's journal holds when nobody has it open. */
export class SimulatedDisk {
  /** What is read; no list in it is ever changed. */
  #records = new Map<string, Uint8Array[]>();
  /** What a loss of power leaves of it. */
  #durable = new Map<string, Uint8Array[]>();
  #owner: string | undefined;
  #isFull = false;
  #isCorrupt = false;
  #isTearing = false;
  #isLying = false;

  /** From here on nothing more can be written. */
  fill(isFull = true): void {
    this.#isFull = isFull;
  }

  /** A bit flips: the record's checksum tells at the next reading. */
  rot(): void {
    this.#isCorrupt = this.#records.size > 0;
  }

  /** The next append is cut off by a loss of power: the transaction is not there afterwards. */
  tearNext(isTearing = true): void {
    this.#isTearing = isTearing;
  }

  /** From here on it says that records are written, and the next loss of power takes them. Nobody survives this by itself. */
  loseTail(): void {
    this.#isLying = true;
  }

  wipe(): void {
    this.#records = new Map();
    this.#durable = new Map();
    this.#isLying = false;
    this.#isCorrupt = false;
    this.#isFull = false;
    this.#owner = undefined;
  }

  /** Opens the journal for one life of a process, which `onTorn` ends. */
  open(owner: string, life: Life, hooks: DiskHooks): Journal {
    if (this.#owner !== undefined && this.#owner !== owner)
      throw new DiskError('JOURNAL_FOREIGN', `journal belongs to ${this.#owner}, want ${owner}`);
    if (this.#isCorrupt) throw new DiskError('JOURNAL_CORRUPT', 'a record does not match its checksum');
    this.#owner = owner;
    this.#records = new Map(this.#durable);
    this.#isLying = false;
    const alive = (): void => {
      if (!life.isOn) throw new DiskError('DISK_GONE', 'this process is dead');
    };
    const list = (kind: string): Uint8Array[] => this.#records.get(kind) ?? [];
    /** Dies with the process. */
    const later: { kind: string; record: Uint8Array }[] = [];
    const synchronize = (): void => {
      if (!this.#isLying) this.#durable = new Map(this.#records);
    };
    const write = (kind: string, records: readonly Uint8Array[]): void => {
      // Whoever appends may go on using its bytes.
      this.#records.set(kind, [...list(kind), ...records.map((record) => record.slice())]);
      synchronize();
      hooks.onAppend(kind, records);
    };
    const requireRoom = (): void => {
      if (this.#isFull) throw new DiskError('DISK_FULL', 'no space is left on the device');
      if (!this.#isTearing) return;
      this.#isTearing = false;
      hooks.onTorn();
      throw new DiskError('DISK_GONE', 'power was lost');
    };
    const settle = (): void => {
      if (later.length === 0) return;
      requireRoom();
      for (const { kind, record } of later.splice(0)) write(kind, [record]);
    };
    return {
      append: (kind, records) => {
        alive();
        if (records.length === 0) return;
        requireRoom();
        settle();
        write(kind, records);
      },
      settle: () => {
        alive();
        settle();
      },
      appendLater: (kind, records) => {
        alive();
        for (const record of records) later.push({ kind, record: record.slice() });
      },
      read: (kind) => {
        alive();
        settle();
        return list(kind).map((record) => record.slice());
      },
      readRange: (kind, from, count) => {
        alive();
        settle();
        return list(kind)
          .slice(from, from + count)
          .map((record) => record.slice());
      },
      trim: (kind, keep) => {
        alive();
        settle();
        requireRoom();
        this.#records.set(kind, keep === 0 ? [] : list(kind).slice(-keep));
      },
      close: () => {
        // What a dead process has not written nobody writes.
        if (!life.isOn) return;
        settle();
        synchronize();
      },
    };
  }
}

export interface DiskHooks {
  onAppend(kind: string, records: readonly Uint8Array[]): void;
  onTorn(): void;
}
