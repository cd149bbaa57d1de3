import { concatBytes, fromUtf8 } from '@nemea/core';
import { signStatement } from '../authenticate.ts';
import { type Batch, type Content, parsePayload, type SignedMessage } from '../message.ts';
import { decisionDigest } from '../operation.ts';
import type { Misbehaviour, Node } from './cluster.ts';
import { NETWORK_ID } from './cluster.ts';

/** Speaks to nobody, and yet is not crashed. */
export const silent: Misbehaviour = () => {};

/**
 * As primary proposes one batch to half of the others and its reverse, with one operation added, to the rest, and
 * then votes on each side for what that side has seen.
 */
export const equivocating: Misbehaviour = ({ node, message, send, others }) => {
  const content = parsePayload(message.payload);
  const half = Math.ceil(others.length / 2);
  const isVote = content.kind === 'pre-prepare' || content.kind === 'prepare' || content.kind === 'commit';
  if (!isVote || node.state === null) {
    for (const to of others) send(to, message);
    return;
  }
  const batch = forgedBatch(message.batch);
  const digest =
    content.kind === 'pre-prepare'
      ? decisionDigest(parentOf(node, content.sequence), batch)
      : (forgedDigests.get(node)?.get(`${content.view}/${content.sequence}`) ?? content.digest);
  if (content.kind === 'pre-prepare') {
    const forged = forgedDigests.get(node) ?? new Map<string, Uint8Array>();
    forged.set(`${content.view}/${content.sequence}`, digest);
    forgedDigests.set(node, forged);
  }
  const twin = forge(node, { ...content, digest }, content.kind === 'pre-prepare' ? batch : []);
  for (const [index, to] of others.entries()) send(to, index < half ? message : twin);
};

/** Votes to prepare what was proposed, and at once for something else as well. */
export const doubleVoting: Misbehaviour = ({ node, message, send, others }) => {
  const content = parsePayload(message.payload);
  for (const to of others) {
    send(to, message);
    if (content.kind === 'prepare') send(to, forge(node, { ...content, digest: new Uint8Array(32) }, []));
  }
};

/** Claims to be far ahead in every status, and leaves the sequence it should be working on. */
export const boasting: Misbehaviour = ({ node, message, send, others }) => {
  const content = parsePayload(message.payload);
  const sent =
    content.kind === 'status'
      ? forge(node, { ...content, committed: content.committed + 1_000_000 }, [])
      : message;
  for (const to of others) send(to, sent);
};

/** Proposes an operation of its own instead of any that was asked for. */
export const censoring: Misbehaviour = ({ node, message, send, others }) => {
  const content = parsePayload(message.payload);
  if (node.state === null) return;
  let sent = message;
  if (content.kind === 'pre-prepare') {
    const batch = [fromUtf8(`forged ${content.sequence}`)];
    const digest = decisionDigest(parentOf(node, content.sequence), batch);
    sent = forge(node, { ...content, digest }, batch);
  }
  for (const to of others) send(to, sent);
};

/** As primary of a view that is bound to repeat something, proposes something else in the first place instead. */
export const undermining: Misbehaviour = ({ node, message, send, others }) => {
  const content = parsePayload(message.payload);
  const { anchor, committed, digest: parent } = node.state ?? { anchor: null };
  let sent = message;
  if (content.kind === 'pre-prepare' && anchor != null && committed !== undefined) {
    const batch = [fromUtf8('forged')];
    sent = forge(node, { ...content, sequence: committed + 1, digest: decisionDigest(parent, batch) }, batch);
  }
  for (const to of others) send(to, sent);
};

/** Denies in view changes that anything was prepared. */
export const forgetful: Misbehaviour = ({ node, message, send, others }) => {
  const content = parsePayload(message.payload);
  const sent = content.kind === 'view-change' ? forge(node, { ...content, tip: null }, []) : message;
  for (const to of others) send(to, sent);
};

/** What an honest primary builds on at a sequence. */
function parentOf({ state }: Node, sequence: number): Uint8Array {
  return state?.accepted.find((proposal) => proposal.sequence === sequence)?.parent ?? new Uint8Array(32);
}

const forgedDigests = new WeakMap<Node, Map<string, Uint8Array>>();

function forgedBatch(batch: Batch): Batch {
  return [...[...batch].reverse(), concatBytes(fromUtf8('forged '), batch[0] ?? new Uint8Array(1))];
}

function forge(node: Node, content: Content, batch: Batch): SignedMessage {
  return signStatement({ networkId: NETWORK_ID, sender: node.id, content, batch, sign: node.sign }).message;
}
