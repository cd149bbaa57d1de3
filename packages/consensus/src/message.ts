import { type CborValue, decodeCbor, encodeCbor, hashDomain } from '@nemea/core';
import { ConsensusError } from './errors.ts';
import {
  BATCH_BYTES_MAX,
  BATCH_OPERATIONS_MAX,
  MEMBER_ID_LENGTH_MAX,
  MEMBERS_MAX,
  MESSAGE_BYTES_MAX,
  OPERATION_BYTES_MAX,
  VIEW_MAX,
} from './limits.ts';
import { asBytes, asBytesUpTo, asCount, asList, asText, asTuple } from './shape.ts';

export type Batch = readonly Uint8Array[];

export type MemberSignature = { readonly sender: string; readonly signature: Uint8Array };

/** Equal votes of many members, each kept as its signature only: the signed payload follows from the fields. */
export type Certificate = {
  readonly view: number;
  readonly sequence: number;
  readonly digest: Uint8Array;
  readonly signatures: readonly MemberSignature[];
};

export type CheckpointCertificate = Omit<Certificate, 'view'>;

/** A pre-prepare is the primary's vote to prepare. The epoch of a vote follows from its sequence. */
export type Vote = {
  readonly kind: 'pre-prepare' | 'prepare' | 'commit';
  readonly view: number;
  readonly sequence: number;
  readonly digest: Uint8Array;
};
export type Checkpoint = {
  readonly kind: 'checkpoint';
  readonly sequence: number;
  readonly digest: Uint8Array;
};
/** Views count from 0 in every epoch; an epoch is named by its first sequence [CONS-11]. */
export type ViewChange = {
  readonly kind: 'view-change';
  readonly epoch: number;
  readonly view: number;
  readonly committed: number;
  readonly prepared: Certificate | null;
};
export type NewView = {
  readonly kind: 'new-view';
  readonly epoch: number;
  readonly view: number;
  readonly sequence: number;
  readonly viewChanges: readonly Statement<ViewChange>[];
};
/** A hint, never a vote: where the sender stands, so that others can help it or ask it for decisions. */
export type Status = { readonly kind: 'status'; readonly view: number; readonly committed: number };

export type Content = Vote | Checkpoint | ViewChange | NewView | Status;

/**
 * What travels. The signature covers `payload`; `batch` is bound by the digest in it, so that proofs and
 * certificates need not carry the operations.
 */
export type SignedMessage = {
  readonly payload: Uint8Array;
  readonly sender: string;
  readonly signature: Uint8Array;
  readonly batch: Batch;
};

/** A signed message together with what its payload says. Authentic only as `Verified<Statement>`. */
export type Statement<C extends Content = Content> = {
  readonly message: SignedMessage;
  readonly sender: string;
  readonly content: C;
};

/** The bytes that a member signs [CONS-5]. */
export function signingBytes(networkId: Uint8Array, payload: Uint8Array): Uint8Array {
  return hashDomain('nemea/consensus/message/1', networkId, payload);
}

/** Binds a batch and everything decided before it [CONS-4]. The parent of sequence 1 is 32 zero bytes. */
export function decisionDigest(parent: Uint8Array, batch: Batch): Uint8Array {
  return hashDomain('nemea/consensus/decision/1', parent, ...batch);
}

export function encodePayload(content: Content): Uint8Array {
  return encodeCbor(toTuple(content));
}

/** Parses and checks one payload. Throws `MESSAGE_INVALID`. */
export function parsePayload(payload: Uint8Array): Content {
  const value = decode(payload);
  const kind = Array.isArray(value) ? value[0] : undefined;
  switch (kind) {
    case 'pre-prepare':
    case 'prepare':
    case 'commit': {
      const [, view, sequence, digest] = asTuple(value, 4, kind);
      return { kind, view: asView(view), sequence: asSequence(sequence), digest: asDigest(digest) };
    }
    case 'checkpoint': {
      const [, sequence, digest] = asTuple(value, 3, kind);
      return { kind, sequence: asSequence(sequence), digest: asDigest(digest) };
    }
    case 'view-change':
      return parseViewChange(asTuple(value, 5, kind));
    case 'new-view': {
      const [, epoch, view, sequence, viewChanges] = asTuple(value, 5, kind);
      return {
        kind,
        epoch: asSequence(epoch),
        view: asView(view),
        sequence: asSequence(sequence),
        viewChanges: asList(viewChanges, MEMBERS_MAX, 'view changes', parseNestedViewChange),
      };
    }
    case 'status': {
      const [, view, committed] = asTuple(value, 3, kind);
      return { kind, view: asView(view), committed: asCount(committed, 'committed') };
    }
    default:
      throw new ConsensusError('MESSAGE_INVALID', `unknown kind of payload: ${String(kind)}`);
  }
}

export function encodeMessage(message: SignedMessage): Uint8Array {
  return encodeCbor(messageToTuple(message));
}

/** Parses a message from the wire; its payload stays bytes for `authenticate`. Throws `MESSAGE_INVALID`. */
export function parseMessage(bytes: Uint8Array): SignedMessage {
  if (bytes.length > MESSAGE_BYTES_MAX) {
    throw new ConsensusError(
      'MESSAGE_TOO_LARGE',
      `message: got ${bytes.length} bytes, want at most ${MESSAGE_BYTES_MAX}`,
    );
  }
  return messageFromTuple(decode(bytes));
}

export function stripBatch(message: SignedMessage): SignedMessage {
  return message.batch.length === 0 ? message : { ...message, batch: [] };
}

export function messageToTuple({ payload, sender, signature, batch }: SignedMessage): CborValue {
  return [payload, sender, signature, [...batch]];
}

export function messageFromTuple(value: CborValue | undefined): SignedMessage {
  const [payload, sender, signature, batch] = asTuple(value, 4, 'message');
  return {
    payload: asBytesUpTo(payload, MESSAGE_BYTES_MAX, 'payload'),
    sender: asText(sender, MEMBER_ID_LENGTH_MAX, 'sender'),
    signature: asBytes(signature, 64, 'signature'),
    batch: asBatch(batch),
  };
}

export function asBatch(value: CborValue | undefined): Batch {
  const batch = asList(value, BATCH_OPERATIONS_MAX, 'batch', (operation) =>
    asBytesUpTo(operation, OPERATION_BYTES_MAX, 'operation'),
  );
  const batchBytes = batch.reduce((sum, operation) => sum + operation.length, 0);
  if (batchBytes > BATCH_BYTES_MAX) {
    throw new ConsensusError(
      'MESSAGE_INVALID',
      `batch: got ${batchBytes} bytes, want at most ${BATCH_BYTES_MAX}`,
    );
  }
  return batch;
}

export function certificateToTuple({ view, sequence, digest, signatures }: Certificate): CborValue {
  return [view, sequence, digest, signatures.map(({ sender, signature }) => [sender, signature])];
}

export function certificateFromTuple(value: CborValue | undefined): Certificate {
  const [view, sequence, digest, signatures] = asTuple(value, 4, 'certificate');
  return {
    view: asView(view),
    sequence: asSequence(sequence),
    digest: asDigest(digest),
    signatures: asList(signatures, MEMBERS_MAX, 'signatures', (item) => {
      const [sender, signature] = asTuple(item, 2, 'signature of a member');
      return {
        sender: asText(sender, MEMBER_ID_LENGTH_MAX, 'sender'),
        signature: asBytes(signature, 64, 'signature'),
      };
    }),
  };
}

export function asView(value: CborValue | undefined): number {
  return asCount(value, 'view', VIEW_MAX);
}

export function asSequence(value: CborValue | undefined): number {
  const sequence = asCount(value, 'sequence');
  if (sequence === 0) throw new ConsensusError('MESSAGE_INVALID', 'sequence: got 0, want at least 1');
  return sequence;
}

export function asDigest(value: CborValue | undefined): Uint8Array {
  return asBytes(value, 32, 'digest');
}

function toTuple(content: Content): CborValue {
  switch (content.kind) {
    case 'pre-prepare':
    case 'prepare':
    case 'commit':
      return [content.kind, content.view, content.sequence, content.digest];
    case 'checkpoint':
      return [content.kind, content.sequence, content.digest];
    case 'view-change': {
      const { kind, epoch, view, committed, prepared } = content;
      return [kind, epoch, view, committed, prepared === null ? null : certificateToTuple(prepared)];
    }
    case 'new-view': {
      const { kind, epoch, view, sequence, viewChanges } = content;
      return [kind, epoch, view, sequence, viewChanges.map(({ message }) => messageToTuple(message))];
    }
    case 'status':
      return [content.kind, content.view, content.committed];
  }
}

function parseViewChange([, epoch, view, committed, prepared]: readonly CborValue[]): ViewChange {
  const content: ViewChange = {
    kind: 'view-change',
    epoch: asSequence(epoch),
    view: asView(view),
    committed: asCount(committed, 'committed'),
    prepared: prepared === null ? null : certificateFromTuple(prepared),
  };
  if (content.prepared === null) return content;
  // [CONS-14] Only the sequence after the last committed one is open, and only an earlier view can have prepared it.
  if (content.prepared.sequence !== content.committed + 1 || content.prepared.view >= content.view) {
    throw new ConsensusError('MESSAGE_INVALID', 'view change: prepared certificate of another slot');
  }
  return content;
}

function parseNestedViewChange(value: CborValue): Statement<ViewChange> {
  const message = messageFromTuple(value);
  const content = parsePayload(message.payload);
  if (content.kind !== 'view-change' || message.batch.length !== 0) {
    throw new ConsensusError('MESSAGE_INVALID', 'new view: want view changes without batches');
  }
  return { message, sender: message.sender, content };
}

function decode(bytes: Uint8Array): CborValue {
  try {
    return decodeCbor(bytes);
  } catch (cause) {
    throw new ConsensusError('MESSAGE_INVALID', 'not canonical dag-cbor', { cause });
  }
}
