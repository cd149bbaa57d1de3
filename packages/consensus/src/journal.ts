import { type CborValue, decodeCbor, encodeCbor } from '@nemea/core';
import { type Decision, decisionFromTuple, decisionToTuple } from './certificate.ts';
import type { Member } from './configuration.ts';
import { ConsensusError } from './errors.ts';
import {
  MEMBER_ID_LENGTH_MAX,
  MEMBERS_MAX,
  MESSAGE_BYTES_MAX,
  OPERATION_WINDOW,
  WEIGHT_MAX,
} from './limits.ts';
import {
  asBatch,
  asDigest,
  asSequence,
  asView,
  type Batch,
  type Certificate,
  type Content,
  certificateFromTuple,
  certificateToTuple,
  encodePayload,
  messageFromTuple,
  messageToTuple,
  parsePayload,
  type SignedMessage,
} from './message.ts';
import { asBytes, asBytesUpTo, asCount, asFlag, asList, asText, asTuple } from './shape.ts';

/** What an own statement said, with the batch that its digest binds. */
export type OwnStatement = { readonly content: Content; readonly batch: Batch };

/** What a view says about its first sequence: the digest it must propose there, or null for any [CONS-16]. */
export type Anchor = { readonly sequence: number; readonly digest: Uint8Array | null };

export type Prepared = { readonly certificate: Certificate; readonly batch: Batch };

/** All that a replica must remember at a checkpoint; it replaces every earlier record. */
export type BaseRecord = {
  readonly type: 'base';
  readonly committed: number;
  readonly digest: Uint8Array;
  readonly stable: number;
  readonly epoch: number;
  readonly members: readonly Member[];
  readonly view: number;
  readonly active: boolean;
  readonly anchor: Anchor | null;
  readonly newView: SignedMessage | null;
  readonly prepared: Prepared | null;
  readonly own: readonly OwnStatement[];
  readonly operationIds: readonly Uint8Array[];
};

/** The journal, oldest record first, is what `restoreReplica` rebuilds a replica from [CONS-22]. */
export type JournalRecord =
  | BaseRecord
  /** About to be said. */
  | { readonly type: 'sent'; readonly content: Content; readonly batch: Batch }
  | { readonly type: 'prepared'; readonly certificate: Certificate; readonly batch: Batch }
  | {
      readonly type: 'entered';
      readonly view: number;
      readonly anchor: Anchor;
      readonly newView: SignedMessage;
    }
  | { readonly type: 'committed'; readonly decision: Decision }
  | { readonly type: 'executed'; readonly sequence: number; readonly members: readonly Member[] | null };

export function encodeRecord(record: JournalRecord): Uint8Array {
  return encodeCbor(toTuple(record));
}

/** Throws `JOURNAL_INVALID`: a replica must not run on a journal that it cannot read. */
export function parseRecord(bytes: Uint8Array): JournalRecord {
  try {
    return fromTuple(decodeCbor(bytes));
  } catch (cause) {
    throw new ConsensusError('JOURNAL_INVALID', 'record cannot be read', { cause });
  }
}

function toTuple(record: JournalRecord): CborValue {
  switch (record.type) {
    case 'base':
      return [
        'base',
        [record.committed, record.digest, record.stable],
        [record.epoch, membersToTuple(record.members)],
        [record.view, record.active],
        record.anchor === null ? null : anchorToTuple(record.anchor),
        record.newView === null ? null : messageToTuple(record.newView),
        record.prepared === null ? null : preparedToTuple(record.prepared),
        record.own.map(ownToTuple),
        [...record.operationIds],
      ];
    case 'sent':
      return ['sent', ownToTuple(record)];
    case 'prepared':
      return ['prepared', preparedToTuple(record)];
    case 'entered':
      return ['entered', record.view, anchorToTuple(record.anchor), messageToTuple(record.newView)];
    case 'committed':
      return ['committed', decisionToTuple(record.decision)];
    case 'executed':
      return ['executed', record.sequence, record.members === null ? null : membersToTuple(record.members)];
  }
}

function fromTuple(value: CborValue): JournalRecord {
  const type = Array.isArray(value) ? value[0] : undefined;
  switch (type) {
    case 'base':
      return baseFromTuple(asTuple(value, 9, type));
    case 'sent':
      return { type, ...ownFromTuple(asTuple(value, 2, type)[1]) };
    case 'prepared':
      return { type, ...preparedFromTuple(asTuple(value, 2, type)[1]) };
    case 'entered': {
      const [, view, anchor, newView] = asTuple(value, 4, type);
      return {
        type,
        view: asView(view),
        anchor: anchorFromTuple(anchor),
        newView: messageFromTuple(newView),
      };
    }
    case 'committed':
      return { type, decision: decisionFromTuple(asTuple(value, 2, type)[1]) };
    case 'executed': {
      const [, sequence, members] = asTuple(value, 3, type);
      return { type, sequence: asSequence(sequence), members: orNull(members, membersFromTuple) };
    }
    default:
      throw new ConsensusError('JOURNAL_INVALID', `unknown type of record: ${String(type)}`);
  }
}

function baseFromTuple(tuple: readonly CborValue[]): BaseRecord {
  const [, position, configuration, place, anchor, newView, prepared, own, operationIds] = tuple;
  const [committed, digest, stable] = asTuple(position, 3, 'position');
  const [epoch, members] = asTuple(configuration, 2, 'configuration');
  const [view, active] = asTuple(place, 2, 'view');
  return {
    type: 'base',
    committed: asCount(committed, 'committed'),
    digest: asDigest(digest),
    stable: asCount(stable, 'stable'),
    epoch: asSequence(epoch),
    members: membersFromTuple(members),
    view: asView(view),
    active: asFlag(active, 'active'),
    anchor: orNull(anchor, anchorFromTuple),
    newView: orNull(newView, messageFromTuple),
    prepared: orNull(prepared, preparedFromTuple),
    own: asList(own, 1024, 'own statements', ownFromTuple),
    operationIds: asList(operationIds, OPERATION_WINDOW, 'operation ids', (id) =>
      asBytes(id, 32, 'operation id'),
    ),
  };
}

function membersToTuple(members: readonly Member[]): CborValue {
  return members.map(({ id, publicKey, weight }) => [id, publicKey, weight]);
}

function membersFromTuple(value: CborValue | undefined): Member[] {
  return asList(value, MEMBERS_MAX, 'members', (item) => {
    const [id, publicKey, weight] = asTuple(item, 3, 'member');
    return {
      id: asText(id, MEMBER_ID_LENGTH_MAX, 'member id'),
      publicKey: asBytes(publicKey, 32, 'public key'),
      weight: asCount(weight, 'weight', WEIGHT_MAX),
    };
  });
}

function anchorToTuple({ sequence, digest }: Anchor): CborValue {
  return [sequence, digest];
}

function anchorFromTuple(value: CborValue | undefined): Anchor {
  const [sequence, digest] = asTuple(value, 2, 'anchor');
  return { sequence: asSequence(sequence), digest: orNull(digest, asDigest) };
}

function preparedToTuple({ certificate, batch }: Prepared): CborValue {
  return [certificateToTuple(certificate), [...batch]];
}

function preparedFromTuple(value: CborValue | undefined): Prepared {
  const [certificate, batch] = asTuple(value, 2, 'prepared');
  return { certificate: certificateFromTuple(certificate), batch: asBatch(batch) };
}

function ownToTuple({ content, batch }: OwnStatement): CborValue {
  return [encodePayload(content), [...batch]];
}

function ownFromTuple(value: CborValue | undefined): OwnStatement {
  const [payload, batch] = asTuple(value, 2, 'own statement');
  const content = parsePayload(asBytesUpTo(payload, MESSAGE_BYTES_MAX, 'payload'));
  return { content, batch: asBatch(batch) };
}

function orNull<T>(value: CborValue | undefined, read: (value: CborValue) => T): T | null {
  return value === null || value === undefined ? null : read(value);
}
