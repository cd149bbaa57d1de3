import {
  type ByteReader,
  ByteWriter,
  fromUtf8,
  hashDomain,
  readWhole,
  sha256,
  toUtf8,
  u32At,
} from '@nemea/core';
import { ConsensusError } from './errors.ts';
import {
  BATCH_BYTES_MAX,
  BATCH_OPERATIONS_MAX,
  MEMBER_ID_LENGTH_MAX,
  MEMBERS_MAX,
  MESSAGE_BYTES_MAX,
  OPERATION_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
  VIEW_MAX,
} from './limits.ts';

export type Batch = readonly Uint8Array[];

export type MemberSignature = { readonly sender: string; readonly signature: Uint8Array };

/** A batch in its place: the digest binds the batch and every decision before it [CONS-4]. */
export type Tip = { readonly view: number; readonly sequence: number; readonly digest: Uint8Array };

/** Equal votes of many members, each kept as its signature only: the signed payload follows from the fields. */
export type Certificate = Tip & {
  readonly epoch: number;
  readonly signatures: readonly MemberSignature[];
};

export type CheckpointCertificate = {
  readonly epoch: number;
  readonly sequence: number;
  readonly digest: Uint8Array;
  readonly signatures: readonly MemberSignature[];
};

/** A pre-prepare is the primary's vote to prepare. */
export type Vote = Tip & {
  readonly kind: 'pre-prepare' | 'prepare' | 'commit';
  readonly epoch: number;
};
export type Checkpoint = {
  readonly kind: 'checkpoint';
  readonly epoch: number;
  readonly sequence: number;
  readonly digest: Uint8Array;
};
/** Views count from 0 in every epoch; an epoch is named by its first sequence [CONS-11]. */
export type ViewChange = {
  readonly kind: 'view-change';
  readonly epoch: number;
  readonly view: number;
  readonly committed: number;
  /** The last that the sender has committed to in the epoch; its certificate travels as evidence. */
  readonly tip: Tip | null;
};
/** The view changes and the certificate that open the view travel as evidence, bound by its digest. */
export type NewView = {
  readonly kind: 'new-view';
  readonly epoch: number;
  readonly view: number;
  readonly evidence: Uint8Array;
};
/** A hint, never a vote: where the sender stands, so that others can help it or ask it for decisions. */
export type Status = {
  readonly kind: 'status';
  readonly epoch: number;
  readonly view: number;
  readonly committed: number;
};
/** Asks for the batches that lead from a decided sequence to a digest. */
export type Want = { readonly kind: 'want'; readonly after: number } & Tip;
/** A batch that somebody wants; that digest, parent and batch belong together is plain to see. */
export type Supply = {
  readonly kind: 'supply';
  readonly sequence: number;
  readonly parent: Uint8Array;
  readonly digest: Uint8Array;
};

export type Content = Vote | Checkpoint | ViewChange | NewView | Status | Want | Supply;

/**
 * What travels. The signature covers `payload`, which is short whatever it is about. `batch` is bound by the digest in
 * it; `evidence` proves itself (certificates) or is bound by its digest (new view). Proofs and certificates need neither.
 */
export type SignedMessage = {
  readonly payload: Uint8Array;
  readonly sender: string;
  readonly signature: Uint8Array;
  readonly batch: Batch;
  readonly evidence: Uint8Array;
};

/** A signed message together with what its payload says. Authentic only as `Verified<Statement>`. */
export type Statement<C extends Content = Content> = {
  readonly message: SignedMessage;
  readonly sender: string;
  readonly content: C;
};

/** What opens a view [CONS-16]: view changes of a quorum, and the certificate of the highest tip among them. */
export type NewViewEvidence = {
  readonly viewChanges: readonly Statement<ViewChange>[];
  readonly signatures: readonly MemberSignature[];
};

export const NO_EVIDENCE = new Uint8Array(0);

/** The bytes that a member signs [CONS-5]. */
export function signingBytes(networkId: Uint8Array, payload: Uint8Array): Uint8Array {
  return hashDomain('nemea/consensus/message/2', networkId, payload);
}

/** One byte for the kind, then fields of fixed length: an integer has one encoding only [CONS-5]. */
const KINDS = {
  'pre-prepare': 1,
  prepare: 2,
  commit: 3,
  checkpoint: 4,
  'view-change': 5,
  'new-view': 6,
  status: 7,
  want: 8,
  supply: 9,
} as const satisfies Record<Content['kind'], number>;
const KIND_OF_BYTE = new Map(Object.entries(KINDS).map(([kind, byte]) => [byte as number, kind]));

export function encodePayload(content: Content): Uint8Array {
  const writer = new ByteWriter().u8(KINDS[content.kind]);
  switch (content.kind) {
    case 'pre-prepare':
    case 'prepare':
    case 'commit':
      return writeTip(writeCount(writer, content.epoch), content).toBytes();
    case 'checkpoint':
      return writeCount(writeCount(writer, content.epoch), content.sequence).bytes(content.digest).toBytes();
    case 'view-change':
      writeCount(writeCount(writer, content.epoch).u32(content.view), content.committed);
      writer.u8(content.tip === null ? 0 : 1);
      return (content.tip === null ? writer : writeTip(writer, content.tip)).toBytes();
    case 'new-view':
      return writeCount(writer, content.epoch).u32(content.view).bytes(content.evidence).toBytes();
    case 'status':
      return writeCount(writeCount(writer, content.epoch).u32(content.view), content.committed).toBytes();
    case 'want':
      return writeTip(writeCount(writer, content.after), content).toBytes();
    case 'supply':
      return writeCount(writer, content.sequence).bytes(content.parent).bytes(content.digest).toBytes();
  }
}

/** Parses and checks one payload. Throws `MESSAGE_INVALID`. */
export function parsePayload(payload: Uint8Array): Content {
  return parse(payload, 'payload', (reader) => {
    const byte = reader.u8();
    const kind = KIND_OF_BYTE.get(byte) as Content['kind'] | undefined;
    switch (kind) {
      case 'pre-prepare':
      case 'prepare':
      case 'commit':
        return { kind, epoch: readSequence(reader), ...readTip(reader) };
      case 'checkpoint':
        return {
          kind,
          epoch: readSequence(reader),
          sequence: readSequence(reader),
          digest: reader.bytes(32),
        };
      case 'view-change':
        return readViewChange(reader);
      case 'new-view':
        return { kind, epoch: readSequence(reader), view: readView(reader), evidence: reader.bytes(32) };
      case 'status':
        return { kind, epoch: readSequence(reader), view: readView(reader), committed: readCount(reader) };
      case 'want':
        return { kind, after: readCount(reader), ...readTip(reader) };
      case 'supply':
        return { kind, sequence: readSequence(reader), parent: reader.bytes(32), digest: reader.bytes(32) };
      default:
        throw invalid(`unknown kind of payload: ${byte}`);
    }
  });
}

/** Where a vote belongs, read at its fixed places without a parser; null when it is no vote. */
export function peekVote(payload: Uint8Array): Pick<Vote, 'kind' | 'epoch' | 'view' | 'sequence'> | null {
  const kind = payload.length === VOTE_BYTES ? VOTE_KINDS[payload[0] as number] : undefined;
  if (kind === undefined) return null;
  const epoch = u32At(payload, 1) * 2 ** 32 + u32At(payload, 5);
  const view = u32At(payload, 9);
  return { kind, epoch, view, sequence: u32At(payload, 13) * 2 ** 32 + u32At(payload, 17) };
}

const VOTE_BYTES = 53;
const VOTE_KINDS = [undefined, 'pre-prepare', 'prepare', 'commit'] as const;

function readViewChange(reader: ByteReader): ViewChange {
  const epoch = readSequence(reader);
  const view = readView(reader);
  const committed = readCount(reader);
  const tip = readFlag(reader) ? readTip(reader) : null;
  // [CONS-14] Only an earlier view of the same epoch can have prepared it.
  if (tip !== null && (tip.view >= view || tip.sequence < epoch)) {
    throw invalid('view change: a tip of another epoch or view');
  }
  return { kind: 'view-change', epoch, view, committed, tip };
}

export function encodeMessage(message: SignedMessage): Uint8Array {
  const writer = new ByteWriter();
  writeMessage(writer, message);
  return writer.toBytes();
}

/** Parses a message from the wire; its payload stays bytes for `authenticate`. Throws `MESSAGE_INVALID`. */
export function parseMessage(bytes: Uint8Array): SignedMessage {
  if (bytes.length > MESSAGE_BYTES_MAX) {
    throw new ConsensusError(
      'MESSAGE_TOO_LARGE',
      `message: got ${bytes.length} bytes, want at most ${MESSAGE_BYTES_MAX}`,
    );
  }
  return parse(bytes, 'message', readMessage);
}

/** Leaves what the signature covers: enough for a proof. */
export function stripMessage(message: SignedMessage): SignedMessage {
  const { payload, sender, signature } = message;
  if (message.batch.length === 0 && message.evidence.length === 0) return message;
  return { payload, sender, signature, batch: [], evidence: NO_EVIDENCE };
}

export function encodeSignatures(signatures: readonly MemberSignature[]): Uint8Array {
  return writeSignatures(new ByteWriter(), signatures).toBytes();
}

/** Throws `MESSAGE_INVALID`. */
export function parseSignatures(bytes: Uint8Array): MemberSignature[] {
  return parse(bytes, 'signatures', readSignatures);
}

export function encodeNewViewEvidence({ viewChanges, signatures }: NewViewEvidence): Uint8Array {
  const writer = new ByteWriter().u16(viewChanges.length);
  for (const { message } of viewChanges) writeMessage(writer, stripMessage(message));
  return writeSignatures(writer, signatures).toBytes();
}

/** Throws `MESSAGE_INVALID`. The signatures of the quoted view changes are checked by `authenticate`. */
export function parseNewViewEvidence(bytes: Uint8Array): NewViewEvidence {
  return parse(bytes, 'new view', (reader) => {
    const viewChanges = readList(reader.u16(), MEMBERS_MAX, 'view changes', () => {
      const message = readMessage(reader);
      const content = parsePayload(message.payload);
      if (content.kind !== 'view-change' || message.batch.length > 0 || message.evidence.length > 0) {
        throw invalid('new view: want view changes alone');
      }
      return { message, sender: message.sender, content };
    });
    return { viewChanges, signatures: readSignatures(reader) };
  });
}

export function evidenceDigest(evidence: Uint8Array): Uint8Array {
  return sha256(evidence);
}

/** Runs a reader over all of the bytes and lets out only errors of this package. */
export function parse<T>(bytes: Uint8Array, name: string, read: (reader: ByteReader) => T): T {
  return readWhole(
    bytes,
    read,
    (cause) => new ConsensusError('MESSAGE_INVALID', `${name}: ${cause.message}`, { cause }),
  );
}

export function writeMessage(writer: ByteWriter, message: SignedMessage): ByteWriter {
  const { payload, sender, signature, batch, evidence } = message;
  writeText(writer, sender).bytes(signature);
  writeBytes(writer, payload);
  writeBatch(writer, batch);
  return writeBytes(writer, evidence);
}

export function readMessage(reader: ByteReader): SignedMessage {
  const sender = readText(reader);
  const signature = reader.bytes(64);
  const payload = readBytes(reader, 1, PAYLOAD_BYTES_MAX, 'payload');
  const batch = readBatch(reader);
  return { payload, sender, signature, batch, evidence: readBytes(reader, 0, MESSAGE_BYTES_MAX, 'evidence') };
}

export function writeBatch(writer: ByteWriter, batch: Batch): ByteWriter {
  writer.u16(batch.length);
  for (const operation of batch) writeBytes(writer, operation);
  return writer;
}

export function readBatch(reader: ByteReader): Batch {
  let batchBytes = 0;
  return readList(reader.u16(), BATCH_OPERATIONS_MAX, 'batch', () => {
    const operation = readBytes(reader, 1, OPERATION_BYTES_MAX, 'operation');
    batchBytes += operation.length;
    if (batchBytes > BATCH_BYTES_MAX) throw invalid(`batch: want at most ${BATCH_BYTES_MAX} bytes`);
    return operation;
  });
}

export function writeSignatures(writer: ByteWriter, signatures: readonly MemberSignature[]): ByteWriter {
  writer.u16(signatures.length);
  for (const { sender, signature } of signatures) writeText(writer, sender).bytes(signature);
  return writer;
}

export function readSignatures(reader: ByteReader): MemberSignature[] {
  return readList(reader.u16(), MEMBERS_MAX, 'signatures', () => ({
    sender: readText(reader),
    signature: reader.bytes(64),
  }));
}

export function writeCertificate(writer: ByteWriter, certificate: Certificate): ByteWriter {
  return writeSignatures(
    writeTip(writeCount(writer, certificate.epoch), certificate),
    certificate.signatures,
  );
}

export function readCertificate(reader: ByteReader): Certificate {
  return { epoch: readSequence(reader), ...readTip(reader), signatures: readSignatures(reader) };
}

export function writeTip(writer: ByteWriter, { view, sequence, digest }: Tip): ByteWriter {
  return writeCount(writer.u32(view), sequence).bytes(digest);
}

export function readTip(reader: ByteReader): Tip {
  return { view: readView(reader), sequence: readSequence(reader), digest: reader.bytes(32) };
}

/** A whole number below 2^53 in eight bytes. */
export function writeCount(writer: ByteWriter, count: number): ByteWriter {
  return writer.u32(Math.floor(count / 2 ** 32)).u32(count >>> 0);
}

export function readCount(reader: ByteReader): number {
  const count = reader.u32() * 2 ** 32 + reader.u32();
  if (!Number.isSafeInteger(count)) throw invalid('count: want a whole number below 2^53');
  return count;
}

export function readSequence(reader: ByteReader): number {
  const sequence = readCount(reader);
  if (sequence === 0) throw invalid('sequence: got 0, want at least 1');
  return sequence;
}

export function readFlag(reader: ByteReader): boolean {
  const flag = reader.u8();
  if (flag > 1) throw invalid(`flag: got ${flag}, want 0 or 1`);
  return flag === 1;
}

export function writeText(writer: ByteWriter, text: string): ByteWriter {
  const bytes = fromUtf8(text);
  return writer.u16(bytes.length).bytes(bytes);
}

export function readText(reader: ByteReader): string {
  const length = reader.u16();
  if (length === 0 || length > 4 * MEMBER_ID_LENGTH_MAX) throw invalid(`id: got ${length} bytes`);
  const text = toUtf8(reader.view(length));
  if (text.length > MEMBER_ID_LENGTH_MAX) throw invalid(`id: got ${text.length} characters`);
  return text;
}

export function writeBytes(writer: ByteWriter, bytes: Uint8Array): ByteWriter {
  return writer.u32(bytes.length).bytes(bytes);
}

export function readBytes(reader: ByteReader, min: number, max: number, name: string): Uint8Array {
  const length = reader.u32();
  if (length < min || length > max) throw invalid(`${name}: got ${length} bytes, want ${min} to ${max}`);
  return reader.bytes(length);
}

export function readList<T>(length: number, max: number, name: string, read: () => T): T[] {
  if (length > max) throw invalid(`${name}: got ${length}, want at most ${max}`);
  const list: T[] = [];
  for (let i = 0; i < length; i++) list.push(read());
  return list;
}

function readView(reader: ByteReader): number {
  const view = reader.u32();
  if (view > VIEW_MAX) throw invalid(`view: got ${view}, want at most ${VIEW_MAX}`);
  return view;
}

function invalid(message: string): ConsensusError {
  return new ConsensusError('MESSAGE_INVALID', message);
}
