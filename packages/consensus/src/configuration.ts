import { bytesEqual, toHex } from '@nemea/core';
import { ConsensusError } from './errors.ts';
import { MEMBER_ID_LENGTH_MAX, MEMBERS_MAX, TURN_MAX, WEIGHT_MAX } from './limits.ts';

/** One voting replica. `publicKey` is its raw Ed25519 key (32 bytes), `weight` a positive integer. */
export type Member = { readonly id: string; readonly publicKey: Uint8Array; readonly weight: number };

/** A member in its place in the list. */
export type Seat = Member & { readonly place: number };

/** Who votes, ordered by id [CONS-1]. A configuration holds for one epoch, from the sequence `epoch` on [CONS-11]. */
export type Configuration = {
  readonly epoch: number;
  readonly members: readonly Seat[];
  readonly weightTotal: number;
  readonly byId: ReadonlyMap<string, Seat>;
};

/** Orders and checks the members. Throws `CONFIGURATION_INVALID`. */
export function createConfiguration(members: readonly Member[], epoch = 1): Configuration {
  if (members.length === 0 || members.length > MEMBERS_MAX) {
    throw invalid(`members: got ${members.length}, want 1 to ${MEMBERS_MAX}`);
  }
  const ordered = [...members]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map(({ id, publicKey, weight }, place) => ({ id, publicKey: publicKey.slice(), weight, place }));
  const byId = new Map<string, Seat>();
  const keys = new Set<string>();
  let weightTotal = 0;
  for (const member of ordered) {
    assertMember(member);
    if (byId.has(member.id)) throw invalid(`member ${member.id} is listed twice`);
    byId.set(member.id, member);
    keys.add(toHex(member.publicKey));
    weightTotal += member.weight;
  }
  if (keys.size !== ordered.length) throw invalid('two members share a public key');
  return { epoch, members: ordered, weightTotal, byId };
}

export function sameMembers(a: Configuration, b: Configuration): boolean {
  if (a.members.length !== b.members.length) return false;
  return a.members.every(({ id, publicKey, weight }) => {
    const other = b.byId.get(id);
    return other !== undefined && other.weight === weight && bytesEqual(other.publicKey, publicKey);
  });
}

export function weightOf(configuration: Configuration, id: string): number {
  return configuration.byId.get(id)?.weight ?? 0;
}

/**
 * The primary of a view by weighted rotation [CONS-3]. Turns are dealt in laps. In each lap members take turns in
 * order of id; the two heaviest have a turn in every lap, a member with half the weight of the second heaviest in
 * every other one, and so on. As at least two members have a turn in every lap, and laps keep the order of ids,
 * consecutive views never have the same primary (unless there is one member only). Every epoch starts at another
 * turn, so that a dead member does not become the first primary of all of them.
 */
export function primaryOf(configuration: Configuration, view: number): string {
  let known = primaries.get(configuration);
  if (known === undefined || known.size > PRIMARIES_KEPT) {
    known = new Map();
    primaries.set(configuration, known);
  }
  let primary = known.get(view);
  if (primary === undefined) {
    primary = memberAtTurn(configuration, (configuration.epoch % TURN_MAX) + view);
    known.set(view, primary);
  }
  return primary;
}

/** Every vote asks who the primary is. */
const primaries = new WeakMap<Configuration, Map<number, string>>();
const PRIMARIES_KEPT = 16;

function memberAtTurn(configuration: Configuration, turn: number): string {
  const full = fullWeight(configuration);
  const turnsOf = (member: Member, laps: number) => Math.floor((laps * Math.min(member.weight, full)) / full);
  const turnsBefore = (lap: number) =>
    configuration.members.reduce((sum, member) => sum + turnsOf(member, lap), 0);

  let lap = 0;
  let end = turn + 1;
  while (end - lap > 1) {
    const middle = Math.floor((lap + end) / 2);
    if (turnsBefore(middle) <= turn) lap = middle;
    else end = middle;
  }
  const inLap = configuration.members.filter((member) => turnsOf(member, lap + 1) > turnsOf(member, lap));
  const { id } = inLap[turn - turnsBefore(lap)] as Member;
  return id;
}

/** The second heaviest weight: who has at least this much takes part in every lap. */
function fullWeight({ members }: Configuration): number {
  const weights = members.map((member) => member.weight).sort((a, b) => b - a);
  return weights[1] ?? (weights[0] as number);
}

function assertMember({ id, publicKey, weight }: Member): void {
  if (id.length === 0 || id.length > MEMBER_ID_LENGTH_MAX) {
    throw invalid(`member id: got ${id.length} characters, want 1 to ${MEMBER_ID_LENGTH_MAX}`);
  }
  if (publicKey.length !== 32) {
    throw invalid(`public key of ${id}: got ${publicKey.length} bytes, want 32`);
  }
  if (!Number.isInteger(weight) || weight < 1 || weight > WEIGHT_MAX) {
    throw invalid(`weight of ${id}: got ${weight}, want an integer from 1 to ${WEIGHT_MAX}`);
  }
}

function invalid(message: string): ConsensusError {
  return new ConsensusError('CONFIGURATION_INVALID', message);
}
