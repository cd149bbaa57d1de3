import { toHex, toUtf8 } from '@nemea/core';
import { verifyDecision } from '../certificate.ts';
import { type Configuration, createConfiguration, type Member, sameMembers } from '../configuration.ts';
import { CHECKPOINT_INTERVAL } from '../limits.ts';
import { parsePayload, type SignedMessage } from '../message.ts';
import { slotOf } from '../speech.ts';
import type { Cluster, Node } from './cluster.ts';

/** What a replica has signed, by slot: survives its crashes, unlike the replica. */
export type Statements = Map<string, string>;

/** Throws when the replica has signed something else in the same slot before. */
export function checkStatement(statements: Statements, { payload, sender }: SignedMessage): void {
  const content = parsePayload(payload);
  const slot = slotOf(content);
  if (slot === null) return;
  const text = 'digest' in content ? toHex(content.digest) : toHex(payload);
  const before = statements.get(slot);
  if (before !== undefined && before !== text) throw new Error(`${sender} contradicts itself in ${slot}`);
  statements.set(slot, text);
}

/** Throws unless replicas agree on every sequence that two of them have decided. */
export function checkAgreement(replicas: Iterable<Pick<Node, 'id' | 'decisions'>>): void {
  const digests = new Map<number, string>();
  for (const { id, decisions } of replicas) {
    for (const decision of decisions) {
      // A replica that went on from a checkpoint has no decisions before it.
      if (decision === undefined) continue;
      const { sequence, certificate } = decision;
      const digest = toHex(certificate.digest);
      const other = digests.get(sequence) ?? digest;
      if (other !== digest) throw new Error(`${id} disagrees at sequence ${sequence}`);
      digests.set(sequence, digest);
    }
  }
}

/** Throws when a replica has executed an operation twice, or one that nobody asked for. */
export function checkExactlyOnce(cluster: Cluster, ids: readonly string[]): void {
  for (const id of ids) {
    const seen = new Set<string>();
    for (const operation of cluster.executed(id)) {
      if (seen.has(operation)) throw new Error(`${id} executed "${operation}" twice`);
      // What a faulty primary makes up is an operation like any other: the machine knows no meanings.
      const isKnown = cluster.requested.has(operation) || operation.startsWith('forged ');
      if (!isKnown) throw new Error(`${id} executed "${operation}" unasked`);
      seen.add(operation);
    }
  }
}

/** Throws unless every decision proves itself to a stranger who knows only the first members. */
export function checkCertificates(cluster: Cluster, id: string): void {
  const { options, decisions } = cluster.node(id);
  const epochs = [createConfiguration(options.members)];
  let members: readonly Member[] = options.members;
  let parent: Uint8Array = new Uint8Array(32);
  for (const decision of decisions) {
    if (decision === undefined) return;
    const { sequence } = decision;
    const configuration = epochs.findLast(({ epoch }) => epoch <= sequence) as Configuration;
    const judge = { configuration, networkId: options.networkId, verify: options.verify };
    parent = verifyDecision(judge, parent, decision);
    for (const operation of decision.batch) members = membersAfter(cluster, members, toUtf8(operation));
    const begins = (Math.ceil(sequence / CHECKPOINT_INTERVAL) + 1) * CHECKPOINT_INTERVAL + 1;
    const next = createConfiguration(members, begins);
    const replaced = epochs.at(-1)?.epoch === begins ? epochs.pop() : undefined;
    const before = epochs.at(-1) as Configuration;
    const isRenewal =
      decision.batch.some((operation) => toUtf8(operation).startsWith('renew ')) ||
      (replaced !== undefined && sameMembers(before, replaced));
    if (isRenewal || !sameMembers(before, next)) epochs.push(next);
  }
}

function membersAfter(cluster: Cluster, members: readonly Member[], text: string): readonly Member[] {
  if (!text.startsWith('members ')) return members;
  const weights: Record<string, number> = JSON.parse(text.slice('members '.length));
  return Object.entries(weights).map(([id, weight]) => ({
    id,
    publicKey: cluster.node(id).publicKey,
    weight,
  }));
}

/** All of the above that must hold whatever happens. */
export function checkSafety(cluster: Cluster, honest: readonly string[]): void {
  checkAgreement(honest.map((id) => cluster.node(id)));
  checkExactlyOnce(cluster, honest);
  for (const id of honest) checkCertificates(cluster, id);
}
