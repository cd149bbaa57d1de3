import { type ByteReader, ByteWriter, bytesEqual, hashDomain, type Verified } from '@nemea/core';
import { findBallot } from './ballot.ts';
import { type Judge, verifyCheckpointCertificate } from './certificate.ts';
import { type Configuration, createConfiguration, weightOf } from './configuration.ts';
import { catchContradiction } from './contradiction.ts';
import { ConsensusError } from './errors.ts';
import {
  type BaseRecord,
  type Epoch,
  type Link,
  readEpochs,
  readRecent,
  writeEpochs,
  writeRecent,
} from './journal.ts';
import {
  CHECKPOINT_INTERVAL,
  CHECKPOINTS_KEPT,
  COMPACTION_INTERVAL,
  LINKS_MAX,
  MESSAGE_BYTES_MAX,
  OPERATION_WINDOW,
} from './limits.ts';
import {
  type Checkpoint,
  encodePayload,
  type MemberSignature,
  parse,
  readBytes,
  readCount,
  readList,
  readSequence,
  readSignatures,
  type Statement,
  writeBytes,
  writeCount,
  writeSignatures,
} from './message.ts';
import { chainDigest, ID_BYTES, idsOf, keyOf } from './operation.ts';
import { hasQuorum } from './quorum.ts';
import { speak } from './speech.ts';
import {
  configurationOf,
  type RecentBatch,
  type ReplicaState,
  retainedEpochs,
  type Turn,
  type Unstable,
} from './state.ts';

/** What members sign the digest of: all that replicas must agree on after a sequence [CONS-20]. */
export type CheckpointHeader = {
  readonly sequence: number;
  /** Of the decision at this sequence. */
  readonly digest: Uint8Array;
  readonly operations: number;
  /** Of the application's state; 32 zero bytes when it gives none. */
  readonly state: Uint8Array;
  /** Who votes from the next sequence on, and from which sequence on others do, as far as it is known. */
  readonly epochs: readonly Epoch[];
};

/** An encoded header and who signed it: checked with the configuration of its sequence alone. */
export type CheckpointProof = {
  readonly header: Uint8Array;
  readonly signatures: readonly MemberSignature[];
};

/** A state to go on from, without what the application keeps [CONS-27]. */
export type Transfer = {
  /** From the receiver's epoch to that of the checkpoint: each tells the epoch of the next. The last is the checkpoint. */
  readonly proofs: readonly CheckpointProof[];
  /** The operations that must not be ordered again, and the digest before them. */
  readonly recentParent: Uint8Array;
  readonly recent: readonly RecentBatch[];
};

export function encodeHeader({ sequence, digest, operations, state, epochs }: CheckpointHeader): Uint8Array {
  const writer = writeCount(new ByteWriter(256), sequence).bytes(digest);
  return writeEpochs(writeCount(writer, operations).bytes(state), epochs).toBytes();
}

/** Throws `MESSAGE_INVALID`. */
export function parseHeader(bytes: Uint8Array): CheckpointHeader {
  return parse(bytes, 'checkpoint', (reader) => {
    const header = {
      sequence: readSequence(reader),
      digest: reader.bytes(32),
      operations: readCount(reader),
      state: reader.bytes(32),
      epochs: readEpochs(reader),
    };
    if (header.epochs.length === 0) throw new ConsensusError('MESSAGE_INVALID', 'checkpoint: no members');
    return header;
  });
}

/** What the signatures of a checkpoint are about. */
export function checkpointDigest(header: Uint8Array): Uint8Array {
  return hashDomain('nemea/consensus/checkpoint/1', header);
}

/**
 * Checks a checkpoint with the configuration of its sequence. Returns what it says; throws `CERTIFICATE_*` or
 * `MESSAGE_INVALID`.
 */
export function verifyCheckpoint(judge: Judge, { header, signatures }: CheckpointProof): CheckpointHeader {
  const { epoch } = judge.configuration;
  const parsed = parseHeader(header);
  const { sequence } = parsed;
  verifyCheckpointCertificate(judge, { epoch, sequence, digest: checkpointDigest(header), signatures });
  return parsed;
}

export function encodeTransfer({ proofs, recentParent, recent }: Transfer): Uint8Array {
  const writer = new ByteWriter(1024).u16(proofs.length);
  for (const { header, signatures } of proofs) writeSignatures(writeBytes(writer, header), signatures);
  return writeRecent(writer.bytes(recentParent), recent).toBytes();
}

/** Throws `MESSAGE_INVALID`. The result is well formed, not verified. */
export function parseTransfer(bytes: Uint8Array): Transfer {
  return parse(bytes, 'transfer', (reader: ByteReader) => ({
    proofs: readList(reader.u16(), LINKS_MAX, 'proofs', () => ({
      header: readBytes(reader, 1, MESSAGE_BYTES_MAX, 'header'),
      signatures: readSignatures(reader),
    })),
    recentParent: reader.bytes(32),
    recent: readRecent(reader),
  }));
}

/** After every sixteenth executed sequence members sign what they have come to [CONS-20]. */
export function speakCheckpoint(turn: Turn, stateDigest: Uint8Array): void {
  const { state } = turn;
  const { executed, recentParent } = state;
  if (executed % CHECKPOINT_INTERVAL !== 0) return;
  const header: CheckpointHeader = {
    sequence: executed,
    digest: state.executedDigest,
    operations: state.executedOperations,
    state: stateDigest,
    epochs: retainedEpochs(state, executed + 1),
  };
  const encoded = encodeHeader(header);
  const digest = checkpointDigest(encoded);
  const proofs = [{ header: encoded, signatures: [] }];
  const unstable = {
    transfer: { proofs, recentParent, recent: [...state.recent] },
    header,
    encoded,
    digest,
    weight: 0,
  };
  for (const statements of state.checkpoints.values()) {
    for (const statement of statements) countCheckpoint(state, unstable, statement);
  }
  state.unstable.push(unstable);
  if (state.unstable.length > CHECKPOINTS_KEPT) state.unstable.shift();
  const configuration = configurationOf(state, executed);
  if (state.muted === null && configuration?.byId.has(state.id) === true) {
    speak(turn, { kind: 'checkpoint', epoch: configuration.epoch, sequence: executed, digest });
  }
  settleCheckpoint(turn, unstable);
}

/** Returns whether anything may follow from it. */
export function handleCheckpoint(turn: Turn, statement: Verified<Statement<Checkpoint>>): boolean {
  const { state } = turn;
  const { sender, content } = statement;
  const isMember = state.configurations.some(
    ({ epoch, byId }) => epoch === content.epoch && byId.has(sender),
  );
  if (!isMember || content.sequence % CHECKPOINT_INTERVAL !== 0) return false;
  if (catchContradiction(turn, statement)) return true;
  const kept = state.checkpoints.get(sender) ?? [];
  if (kept.some((other) => other.content.sequence === content.sequence)) return false;
  kept.push(statement);
  kept.sort((a, b) => a.content.sequence - b.content.sequence);
  if (kept.length > CHECKPOINTS_KEPT) kept.shift();
  state.checkpoints.set(sender, kept);
  const unstable = state.unstable.find(({ header }) => header.sequence === content.sequence);
  if (unstable === undefined || !countCheckpoint(state, unstable, statement)) return false;
  return settleCheckpoint(turn, unstable);
}

function countCheckpoint(state: ReplicaState, unstable: Unstable, statement: Statement<Checkpoint>): boolean {
  const { epoch, sequence, digest } = statement.content;
  const configuration = configurationOf(state, unstable.header.sequence);
  if (sequence !== unstable.header.sequence || epoch !== configuration?.epoch) return false;
  if (!bytesEqual(digest, unstable.digest)) return false;
  unstable.weight += weightOf(configuration, statement.sender);
  return true;
}

/** Makes an own checkpoint stable that a quorum has signed, and now and then lets the journal begin there. */
function settleCheckpoint(turn: Turn, unstable: Unstable): boolean {
  const { state, effects } = turn;
  const { transfer, digest, header, encoded } = unstable;
  const { sequence } = header;
  const configuration = configurationOf(state, sequence);
  if (configuration === undefined || !hasQuorum(configuration, unstable.weight)) return false;
  state.unstable.splice(0, state.unstable.indexOf(unstable) + 1);
  const signatures = signaturesFor(state, configuration, sequence, digest);
  state.stable = toStable(configuration.epoch, { header: encoded, signatures }, sequence);
  if (sequence - state.compacted >= COMPACTION_INTERVAL) compact(turn);
  effects.push({
    type: 'checkpoint',
    transfer: { ...transfer, proofs: [{ header: encoded, signatures }] },
    announcesEpoch: header.epochs.length > 1,
  });
  return true;
}

/** With the payload that its members sign, so that they are known when they come late. */
export function toStable(epoch: number, proof: CheckpointProof, sequence: number): ReplicaState['stable'] {
  const digest = checkpointDigest(proof.header);
  return { ...proof, sequence, payload: encodePayload({ kind: 'checkpoint', epoch, sequence, digest }) };
}

function signaturesFor(
  state: ReplicaState,
  configuration: Configuration,
  sequence: number,
  digest: Uint8Array,
): MemberSignature[] {
  const signatures: MemberSignature[] = [];
  for (const { id } of configuration.members) {
    const statement = state.checkpoints.get(id)?.find(({ content }) => content.sequence === sequence);
    if (statement === undefined || statement.content.epoch !== configuration.epoch) continue;
    if (!bytesEqual(statement.content.digest, digest)) continue;
    signatures.push({ sender: id, signature: statement.message.signature });
  }
  return signatures;
}

/** Replaces the journal by one record of all that the replica must remember. */
export function compact(turn: Turn, isTransferred = false): void {
  const { state, effects } = turn;
  state.compacted = state.executed;
  effects.push({ type: 'persist', record: toBaseRecord(state, isTransferred) });
}

function toBaseRecord(state: ReplicaState, isTransferred: boolean): BaseRecord {
  const own = [...state.own.values()];
  for (const views of state.ballots.values()) {
    for (const { ownVote, ownCommit } of views.values()) {
      if (ownVote !== null) own.push(ownVote);
      if (ownCommit !== null) own.push(ownCommit);
    }
  }
  return {
    type: 'base',
    committed: state.committed,
    digest: state.digest,
    executed: state.executed,
    executedDigest: state.executedDigest,
    executedOperations: state.executedOperations,
    epochs: state.configurations.map(({ epoch, members }) => ({ epoch, members })),
    epoch: state.configuration.epoch,
    view: state.view,
    active: state.active,
    newView: state.newView,
    tip: state.tip,
    stable:
      state.stable === null ? null : { header: state.stable.header, signatures: state.stable.signatures },
    waiting: state.waiting.map(({ decision: { certificate, batch } }) => ({ certificate, batch })),
    own,
    links: linksOf(state),
    recentParent: state.recentParent,
    recent: state.recent,
    muted:
      state.muted === null || state.muted === 'until-epoch'
        ? state.muted
        : Uint8Array.from(state.muted, (character) => character.charCodeAt(0)),
    isTransferred,
  };
}

/** The batches that tip and anchor stand for, without those that votes in the present view bring. */
function linksOf(state: ReplicaState): Link[] {
  const links = new Map<string, Link>();
  for (const end of [state.tip, state.anchor]) {
    let proposal = end === null ? undefined : state.proposals.get(keyOf(end.digest));
    while (proposal !== undefined && proposal.sequence > state.committed) {
      const { sequence, parent, batch, digest } = proposal;
      const own = findBallot(state, sequence, state.view)?.ownVote?.content;
      const isOwn = own !== undefined && bytesEqual(own.digest, digest);
      if (!isOwn) links.set(keyOf(digest), { sequence, parent, batch });
      proposal = state.proposals.get(keyOf(parent));
    }
  }
  return [...links.values()].sort((a, b) => a.sequence - b.sequence);
}

/**
 * Goes on from a checkpoint that a quorum has signed, without the decisions before it [CONS-27]. Each proof is judged
 * by a configuration that the one before it told, beginning with the own.
 */
export function handleTransfer(turn: Turn, transfer: Transfer): void {
  const { state, effects } = turn;
  const header = judgeTransfer(state, transfer);
  if (header === null || header.sequence <= state.committed) return;
  applyTransfer(state, transfer, header);
  compact(turn, true);
  effects.push({ type: 'install', checkpoint: transfer.proofs.at(-1) as CheckpointProof });
}

function judgeTransfer(state: ReplicaState, transfer: Transfer): CheckpointHeader | null {
  let known: readonly Configuration[] = state.configurations;
  let header: CheckpointHeader | null = null;
  for (const proof of transfer.proofs) {
    header = provenBy(state, known, proof);
    if (header === null) return null;
    known = header.epochs.map(({ epoch, members }) => createConfiguration(members, epoch));
  }
  return header !== null && recentHolds(transfer, header) ? header : null;
}

/** What a checkpoint says when one of the configurations known has signed it, else null. */
function provenBy(
  { networkId, verify }: ReplicaState,
  known: readonly Configuration[],
  proof: CheckpointProof,
): CheckpointHeader | null {
  for (const configuration of known) {
    try {
      return verifyCheckpoint({ configuration, networkId, verify }, proof);
    } catch (error) {
      if (!(error instanceof ConsensusError)) throw error;
    }
  }
  return null;
}

/** The digest of the checkpoint binds the names of the operations before it, so none can be left out or put in. */
function recentHolds({ recentParent, recent }: Transfer, header: CheckpointHeader): boolean {
  let digest = recentParent;
  let operations = 0;
  let sequence = header.sequence - recent.length;
  for (const { sequence: at, digest: claimed, idBytes } of recent) {
    digest = chainDigest(digest, idBytes);
    if (at !== ++sequence || !bytesEqual(digest, claimed)) return false;
    operations += idBytes.length / ID_BYTES;
  }
  return bytesEqual(digest, header.digest) && operations >= Math.min(OPERATION_WINDOW, header.operations);
}

/** Takes the place of a replica that has executed up to the checkpoint. What it has said itself is kept. */
function applyTransfer(state: ReplicaState, transfer: Transfer, header: CheckpointHeader): void {
  const { sequence, digest, operations, epochs } = header;
  const epochBefore = state.configuration.epoch;
  state.configurations = epochs.map(({ epoch, members }) => createConfiguration(members, epoch));
  state.configuration = state.configurations[0] as Configuration;
  state.committed = sequence;
  state.digest = digest;
  state.executed = sequence;
  state.executedDigest = digest;
  state.waiting.length = 0;
  state.isExecuting = false;
  state.accepted.length = 0;
  state.executedOperations = operations;
  restoreRecent(state, transfer.recentParent, transfer.recent);
  const last = transfer.proofs.at(-1) as CheckpointProof;
  state.stable = toStable(state.configuration.epoch, last, sequence);
  state.unstable.length = 0;
  state.transfer = [];
  state.attempts = 0;
  for (const id of [...state.pending.keys()]) {
    if (!state.places.has(id)) continue;
    state.pendingBytes -= (state.pending.get(id) as Uint8Array).length;
    state.pending.delete(id);
  }
  state.unproposed.clear();
  for (const [id, operation] of state.pending) state.unproposed.set(id, operation);
  for (const at of state.ballots.keys()) if (at <= sequence) state.ballots.delete(at);
  for (const [id, claim] of state.claims) if (claim <= sequence) state.claims.delete(id);
  state.muted = mutedAfter(state, epochBefore);
  if (state.configuration.epoch === epochBefore) return;
  state.view = 0;
  state.active = true;
  state.anchor = null;
  state.newView = null;
  state.tip = null;
  state.committedTo = 0;
  state.ballots.clear();
  state.proposals.clear();
  state.viewChanges.clear();
  state.penalized.clear();
}

/** Whether a member without memory may speak in the epoch that a transfer leads to: its token was ordered before [CONS-25]. */
function mutedAfter(
  { muted, recent, configuration }: ReplicaState,
  epochBefore: number,
): ReplicaState['muted'] {
  if (muted === null) return null;
  if (muted === 'until-epoch') return configuration.epoch === epochBefore ? muted : null;
  const ordered = recent.find(({ ids }) => ids.includes(muted));
  if (ordered === undefined) return muted;
  return ordered.sequence < configuration.epoch ? null : 'until-epoch';
}

/** The names of executed operations and their places, as they follow from the batches. */
export function restoreRecent(
  state: ReplicaState,
  recentParent: Uint8Array,
  recent: readonly RecentBatch[],
): void {
  state.recentParent = recentParent;
  state.recent.length = 0;
  for (const batch of recent) state.recent.push({ ...batch, ids: idsOf(batch.idBytes) });
  state.recentOperations = recent.reduce((sum, { idBytes }) => sum + idBytes.length / ID_BYTES, 0);
  state.places.clear();
  state.nextPlace = state.executedOperations - state.recentOperations;
  for (const { ids } of state.recent) for (const id of ids) state.places.set(id, state.nextPlace++);
}
