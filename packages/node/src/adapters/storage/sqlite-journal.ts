import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { assert, CodedError } from '@nemea/core';
import type { Journal } from '../../ports/journal.ts';

export type JournalErrorCode = 'JOURNAL_FOREIGN' | 'JOURNAL_CORRUPT';
/** What waits for the next append; beyond it, it is written without one. */
const LATER_RECORDS_MAX = 1_024;
const LATER_BYTES_MAX = 4 << 20;

export class JournalError extends CodedError<JournalErrorCode> {}

interface Table {
  readonly insert: StatementSync;
  /** How many, from which position on. */
  readonly select: StatementSync;
  /** How many to keep. */
  readonly trim: StatementSync;
}

type Waiting = { readonly kind: string; readonly record: Uint8Array };

/** Of the tables below. A journal of another one is refused: what it lacks cannot be made up. */
const FORMAT = 2;

/**
 * Opens the journal of one node: SQLite in WAL mode with FULL synchronisation, so that `append` returns only once the
 * records are on disk. `owner` names the machine state that the journal belongs to; another one's is refused. Each record
 * has a checksum, because SQLite has none: what a disk has changed since is refused with `JOURNAL_CORRUPT`.
 */
export function openSqliteJournal(path: string, owner: string): Journal {
  const database = new DatabaseSync(path);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -2000;');
  requireFormat(database);
  database.exec('CREATE TABLE IF NOT EXISTS owner (name TEXT NOT NULL) STRICT;');
  claim(database, owner);
  const tables = new Map<string, Table>();
  const later: Waiting[] = [];
  let laterBytes = 0;

  function tableOf(kind: string): Table {
    let table = tables.get(kind);
    if (table === undefined) {
      table = openTable(database, kind);
      tables.set(kind, table);
    }
    return table;
  }

  function append(kind: string, records: readonly Uint8Array[]): void {
    if (records.length > 0) write(records.map((record) => ({ kind, record })));
  }

  function appendLater(kind: string, records: readonly Uint8Array[]): void {
    for (const record of records) {
      later.push({ kind, record: record.slice() });
      laterBytes += record.length;
    }
    if (later.length > LATER_RECORDS_MAX || laterBytes > LATER_BYTES_MAX) settle();
  }

  /** What has waited, and then the records, in one transaction. */
  function write(records: readonly Waiting[]): void {
    const all = [...later, ...records];
    for (const { kind } of all) tableOf(kind);
    database.exec('BEGIN IMMEDIATE');
    try {
      for (const { kind, record } of all) tableOf(kind).insert.run(record, checksumOf(kind, record));
      database.exec('COMMIT');
    } catch (error) {
      // A full disk may have ended it already.
      if (database.isTransaction) database.exec('ROLLBACK');
      throw error;
    }
    later.length = 0;
    laterBytes = 0;
  }

  function settle(): void {
    if (later.length > 0) write([]);
  }

  /** Nobody waits for the disk: the log keeps the order, so that a loss of power only leaves more than was asked for. */
  function trim(kind: string, keep: number): void {
    settle();
    database.exec('PRAGMA synchronous = NORMAL');
    try {
      tableOf(kind).trim.run(keep);
    } finally {
      database.exec('PRAGMA synchronous = FULL');
    }
  }

  function bodies(kind: string, rows: readonly Record<string, unknown>[]): Uint8Array[] {
    return rows.map(({ body, checksum }) => {
      if (!(body instanceof Uint8Array) || checksum !== checksumOf(kind, body))
        throw new JournalError('JOURNAL_CORRUPT', `a record of kind ${kind} does not match its checksum`);
      return body;
    });
  }

  return {
    append,
    appendLater,
    settle,
    read(kind) {
      settle();
      return bodies(kind, tableOf(kind).select.all(-1, 0));
    },
    readRange(kind, from, count) {
      settle();
      return bodies(kind, tableOf(kind).select.all(count, from));
    },
    trim,
    close() {
      settle();
      database.close();
    },
  };
}

/** A kind has a table of its own: a record is then one page to write, without an index beside it. */
function openTable(database: DatabaseSync, kind: string): Table {
  assert(/^[a-z]+$/.test(kind), `a kind is a word, got ${kind}`);
  const table = `record_${kind}`;
  database.exec(
    `CREATE TABLE IF NOT EXISTS ${table} (id INTEGER PRIMARY KEY, body BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT`,
  );
  return {
    insert: database.prepare(`INSERT INTO ${table} (body, checksum) VALUES (?, ?)`),
    select: database.prepare(`SELECT body, checksum FROM ${table} ORDER BY id LIMIT ? OFFSET ?`),
    trim: database.prepare(
      `DELETE FROM ${table} WHERE id <= (SELECT id FROM ${table} ORDER BY id DESC LIMIT 1 OFFSET ?)`,
    ),
  };
}

/** Against accidents of the disk, not against forgers: CRC-32 over the kind and the body. */
function checksumOf(kind: string, body: Uint8Array): number {
  return crc32(body, crc32(kind));
}

function requireFormat(database: DatabaseSync): void {
  const format = database.prepare('PRAGMA user_version').get()?.user_version;
  const isNew = database.prepare('SELECT name FROM sqlite_schema').get() === undefined;
  if (isNew) database.exec(`PRAGMA user_version = ${FORMAT}`);
  else if (format !== FORMAT) {
    database.close();
    throw new JournalError('JOURNAL_FOREIGN', `journal of format ${String(format)}, want ${FORMAT}`);
  }
}

function claim(database: DatabaseSync, owner: string): void {
  const row = database.prepare('SELECT name FROM owner').get();
  if (row === undefined) {
    database.prepare('INSERT INTO owner (name) VALUES (?)').run(owner);
    return;
  }
  if (row.name !== owner) {
    database.close();
    throw new JournalError('JOURNAL_FOREIGN', `journal belongs to ${String(row.name)}, want ${owner}`);
  }
}
