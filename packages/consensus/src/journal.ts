import { ByteReader, ByteWriter, CoreError } from '@nemea/core';
import type { CheckpointProof } from './checkpoint.ts';
import type { Member } from './configuration.ts';
import { ConsensusError } from './errors.ts';
import { MEMBERS_MAX, MESSAGE_BYTES_MAX, RECENT_MAX, WEIGHT_MAX, WINDOW } from './limits.ts';
import {
  type Batch,
  type Certificate,
  type Content,
  encodePayload,
  parsePayload,
  readBatch,
  readBytes,
  readCertificate,
  readCount,
  readFlag,
  readList,
  readMessage,
  readSequence,
  readSignatures,
  readText,
  type SignedMessage,
  writeBatch,
  writeBytes,
  writeCertificate,
  writeCount,
  writeMessage,
  writeSignatures,
  writeText,
} from './message.ts';
import { ID_BYTES } from './operation.ts';
import type { RecentBatch } from './state.ts';

/** What an own statement said, with what travels beside it. */
export type OwnStatement<C extends Content = Content> = {
  readonly content: C;
  readonly batch: Batch;
  readonly evidence: Uint8Array;
};

/** A batch in its place: what a digest below a tip or an anchor stands for. */
export type Link = { readonly sequence: number; readonly parent: Uint8Array; readonly batch: Batch };

/** A configuration without what follows from it. */
export type Epoch = { readonly epoch: number; readonly members: readonly Member[] };

/** All that a replica must remember at a checkpoint; it replaces every earlier record. */
export type BaseRecord = {
  readonly type: 'base';
  readonly committed: number;
  readonly digest: Uint8Array;
  readonly executed: number;
  readonly executedDigest: Uint8Array;
  readonly executedOperations: number;
  readonly epochs: readonly Epoch[];
  /** Of the first open sequence. */
  readonly epoch: number;
  readonly view: number;
  readonly active: boolean;
  readonly newView: SignedMessage | null;
  readonly tip: Certificate | null;
  /** The last stable checkpoint: its header and who signed it. */
  readonly stable: CheckpointProof | null;
  readonly waiting: readonly { readonly certificate: Certificate; readonly batch: Batch }[];
  readonly own: readonly OwnStatement[];
  /** What leads from the last decision to the tip and is in no own vote, in order. */
  readonly links: readonly Link[];
  readonly recentParent: Uint8Array;
  /** Names of the operations of executed sequences, the oldest first. */
  readonly recent: readonly RecentBatch[];
  readonly muted: Uint8Array | 'until-epoch' | null;
  /** The application state comes from a transfer and may not have been installed yet. */
  readonly isTransferred: boolean;
};

/** The journal, oldest record first, is what `restoreReplica` rebuilds a replica from [CONS-22]. */
export type JournalRecord =
  | BaseRecord
  /** About to be said. A vote to prepare brings the batch: it is written once. */
  | ({ readonly type: 'sent' } & OwnStatement)
  /** Accepted below the anchor of the view: the vote on the anchor stands for it. */
  | ({ readonly type: 'repeated' } & Link)
  | { readonly type: 'prepared'; readonly certificate: Certificate }
  | { readonly type: 'entered'; readonly newView: SignedMessage }
  /** `batch` is null when an own vote brought it. */
  | { readonly type: 'committed'; readonly certificate: Certificate; readonly batch: Batch | null }
  | {
      readonly type: 'executed';
      readonly sequence: number;
      readonly members: readonly Member[] | null;
      readonly renews: boolean;
    };

const TYPES = ['base', 'sent', 'repeated', 'prepared', 'entered', 'committed', 'executed'] as const;

export function encodeRecord(record: JournalRecord): Uint8Array {
  const writer = new ByteWriter(256).u8(TYPES.indexOf(record.type));
  switch (record.type) {
    case 'base':
      writeBase(writer, record);
      break;
    case 'sent':
      writeOwn(writer, record);
      break;
    case 'repeated':
      writeLink(writer, record);
      break;
    case 'prepared':
      writeCertificate(writer, record.certificate);
      break;
    case 'entered':
      writeMessage(writer, record.newView);
      break;
    case 'committed':
      writeCertificate(writer, record.certificate);
      writeOptional(writer, record.batch, writeBatch);
      break;
    case 'executed':
      writeCount(writer, record.sequence);
      writeOptional(writer, record.members, writeMembers);
      writer.u8(record.renews ? 1 : 0);
      break;
  }
  return writer.toBytes();
}

/** Throws `JOURNAL_INVALID`: a replica must not run on a journal that it cannot read. */
export function parseRecord(bytes: Uint8Array): JournalRecord {
  try {
    const reader = new ByteReader(bytes);
    const record = readRecord(reader);
    reader.end();
    return record;
  } catch (cause) {
    if (!(cause instanceof CoreError || cause instanceof ConsensusError)) throw cause;
    throw new ConsensusError('JOURNAL_INVALID', 'record cannot be read', { cause });
  }
}

function readRecord(reader: ByteReader): JournalRecord {
  const byte = reader.u8();
  const type = TYPES[byte];
  switch (type) {
    case 'base':
      return readBase(reader);
    case 'sent':
      return { type, ...readOwn(reader) };
    case 'repeated':
      return { type, ...readLink(reader) };
    case 'prepared':
      return { type, certificate: readCertificate(reader) };
    case 'entered':
      return { type, newView: readMessage(reader) };
    case 'committed':
      return { type, certificate: readCertificate(reader), batch: readOptional(reader, readBatch) };
    case 'executed': {
      const sequence = readSequence(reader);
      return { type, sequence, members: readOptional(reader, readMembers), renews: readFlag(reader) };
    }
    default:
      throw new ConsensusError('JOURNAL_INVALID', `unknown type of record: ${byte}`);
  }
}

function writeBase(writer: ByteWriter, base: BaseRecord): void {
  writeCount(writer, base.committed).bytes(base.digest);
  writeCount(writeCount(writer, base.executed).bytes(base.executedDigest), base.executedOperations);
  writeEpochs(writer, base.epochs);
  writeCount(writer, base.epoch)
    .u32(base.view)
    .u8(base.active ? 1 : 0);
  writeOptional(writer, base.newView, writeMessage);
  writeOptional(writer, base.tip, writeCertificate);
  writeOptional(writer, base.stable, writeProof);
  writer.u16(base.waiting.length);
  for (const { certificate, batch } of base.waiting) writeBatch(writeCertificate(writer, certificate), batch);
  writer.u32(base.own.length);
  for (const own of base.own) writeOwn(writer, own);
  writer.u16(base.links.length);
  for (const link of base.links) writeLink(writer, link);
  writeRecent(writer.bytes(base.recentParent), base.recent);
  writer.u8(base.muted === null ? 0 : base.muted === 'until-epoch' ? 1 : 2);
  if (base.muted instanceof Uint8Array) writer.bytes(base.muted);
  writer.u8(base.isTransferred ? 1 : 0);
}

function readBase(reader: ByteReader): BaseRecord {
  return {
    type: 'base',
    committed: readCount(reader),
    digest: reader.bytes(32),
    executed: readCount(reader),
    executedDigest: reader.bytes(32),
    executedOperations: readCount(reader),
    epochs: readEpochs(reader),
    epoch: readSequence(reader),
    view: reader.u32(),
    active: readFlag(reader),
    newView: readOptional(reader, readMessage),
    tip: readOptional(reader, readCertificate),
    stable: readOptional(reader, readProof),
    waiting: readList(reader.u16(), 2 * WINDOW, 'waiting', () => ({
      certificate: readCertificate(reader),
      batch: readBatch(reader),
    })),
    own: readList(reader.u32(), 4096, 'own statements', () => readOwn(reader)),
    links: readList(reader.u16(), 2 * WINDOW, 'links', () => readLink(reader)),
    recentParent: reader.bytes(32),
    recent: readRecent(reader),
    muted: readMuted(reader),
    isTransferred: readFlag(reader),
  };
}

function readMuted(reader: ByteReader): BaseRecord['muted'] {
  const kind = reader.u8();
  if (kind > 2) throw new ConsensusError('JOURNAL_INVALID', `muted: got ${kind}`);
  if (kind === 2) return reader.bytes(ID_BYTES);
  return kind === 1 ? 'until-epoch' : null;
}

export function writeRecent(writer: ByteWriter, recent: BaseRecord['recent']): ByteWriter {
  writer.u32(recent.length);
  for (const { sequence, digest, idBytes } of recent) {
    writeBytes(writeCount(writer, sequence).bytes(digest), idBytes);
  }
  return writer;
}

export function readRecent(reader: ByteReader): BaseRecord['recent'] {
  return readList(reader.u32(), RECENT_MAX, 'recent', () => {
    const sequence = readSequence(reader);
    const digest = reader.bytes(32);
    const idBytes = readBytes(reader, 0, MESSAGE_BYTES_MAX, 'ids');
    if (idBytes.length % ID_BYTES !== 0) throw new ConsensusError('MESSAGE_INVALID', 'ids: cut short');
    return { sequence, digest, idBytes };
  });
}

export function writeEpochs(writer: ByteWriter, epochs: readonly Epoch[]): ByteWriter {
  writer.u16(epochs.length);
  for (const { epoch, members } of epochs) writeMembers(writeCount(writer, epoch), members);
  return writer;
}

export function readEpochs(reader: ByteReader): Epoch[] {
  return readList(reader.u16(), 16, 'epochs', () => ({
    epoch: readSequence(reader),
    members: readMembers(reader),
  }));
}

export function writeProof(writer: ByteWriter, { header, signatures }: CheckpointProof): ByteWriter {
  return writeSignatures(writeBytes(writer, header), signatures);
}

export function readProof(reader: ByteReader): CheckpointProof {
  return { header: readBytes(reader, 1, MESSAGE_BYTES_MAX, 'header'), signatures: readSignatures(reader) };
}

function writeMembers(writer: ByteWriter, members: readonly Member[]): ByteWriter {
  writer.u16(members.length);
  for (const { id, publicKey, weight } of members) writeText(writer, id).bytes(publicKey).u32(weight);
  return writer;
}

function readMembers(reader: ByteReader): Member[] {
  return readList(reader.u16(), MEMBERS_MAX, 'members', () => {
    const member = { id: readText(reader), publicKey: reader.bytes(32), weight: reader.u32() };
    if (member.weight > WEIGHT_MAX) throw new ConsensusError('MESSAGE_INVALID', `weight: ${member.weight}`);
    return member;
  });
}

function writeOwn(writer: ByteWriter, { content, batch, evidence }: OwnStatement): void {
  writeBytes(writer, encodePayload(content));
  writeBytes(writeBatch(writer, batch), evidence);
}

function readOwn(reader: ByteReader): OwnStatement {
  const content = parsePayload(readBytes(reader, 1, 256, 'payload'));
  return { content, batch: readBatch(reader), evidence: readBytes(reader, 0, MESSAGE_BYTES_MAX, 'evidence') };
}

function writeLink(writer: ByteWriter, { sequence, parent, batch }: Link): void {
  writeBatch(writeCount(writer, sequence).bytes(parent), batch);
}

function readLink(reader: ByteReader): Link {
  return { sequence: readSequence(reader), parent: reader.bytes(32), batch: readBatch(reader) };
}

function writeOptional<T>(
  writer: ByteWriter,
  value: T | null,
  write: (writer: ByteWriter, value: T) => ByteWriter,
): void {
  writer.u8(value === null ? 0 : 1);
  if (value !== null) write(writer, value);
}

function readOptional<T>(reader: ByteReader, read: (reader: ByteReader) => T): T | null {
  return readFlag(reader) ? read(reader) : null;
}
