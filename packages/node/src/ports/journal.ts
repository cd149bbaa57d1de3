/** Append-only records that survive a crash. What `append` returned for is on disk. */
export interface Journal {
  /** Writes all records in one transaction, durably, in order. */
  append(kind: string, records: readonly Uint8Array[]): void;
  /**
   * Keeps records for the next `append` of any kind, with which they reach the disk, before its own and in order. A crash
   * before that loses them. Whoever reads finds them.
   */
  appendLater(kind: string, records: readonly Uint8Array[]): void;
  /** Writes what is kept for later, durably. */
  settle(): void;
  /** Every record of a kind, oldest first. */
  read(kind: string): Uint8Array[];
  /** Records of a kind by position, counted from 0 over those that are kept. */
  readRange(kind: string, from: number, count: number): Uint8Array[];
  /** Keeps the newest `keep` records of a kind; none when it is 0. A crash before the next `append` may bring the others back. */
  trim(kind: string, keep: number): void;
  close(): void;
}
