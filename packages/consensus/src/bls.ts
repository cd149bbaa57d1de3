/**
 * Commit certificates of one signature, whatever their signers number: BLS12-381 with public keys in G1, by blst. For
 * large committees; whoever checks one needs the members' BLS keys, each with its proof of possession [CONS-30].
 */
import {
  aggregateSignatures,
  fastAggregateVerify,
  PublicKey,
  SecretKey,
  Signature,
  verify,
} from '@chainsafe/blst';
import { ByteWriter, bytesEqual, fromUtf8, hashDomain, toHex } from '@nemea/core';
import type { Judge } from './certificate.ts';
import { type Configuration, weightOf } from './configuration.ts';
import { ConsensusError } from './errors.ts';
import {
  encodePayload,
  type MemberSignature,
  parse,
  readSequence,
  readTip,
  signingBytes,
  type Tip,
  writeCount,
  writeTip,
} from './message.ts';
import { hasQuorum } from './quorum.ts';

const PUBLIC_KEY_BYTES = 48;
const SIGNATURE_BYTES = 96;
/** One bit for each of 128 members. */
const SIGNERS_BYTES_MAX = 16;

/** A member's BLS key as it is published, compressed. Possession is proven once, when it is registered. */
export type BlsKey = { readonly publicKey: Uint8Array; readonly possession: Uint8Array };

/** The BLS keys of a configuration by place, checked. Only `createBlsCommittee` makes one. */
export type BlsCommittee = { readonly configuration: Configuration; readonly keys: readonly PublicKey[] };

/** What a quorum has decided at one sequence, under one signature. */
export type AggregateCertificate = Tip & {
  readonly epoch: number;
  /** By place in the configuration, the first member in the lowest bit of the first byte. */
  readonly signers: Uint8Array;
  readonly signature: Uint8Array;
};

type Owner = { readonly networkId: Uint8Array; readonly id: string };

/** Signs with a key made of a 32-byte seed. `possession` binds the key to the member, so that nobody can lend it. */
export function createBlsSigner(
  seed: Uint8Array,
  owner: Owner,
): BlsKey & { sign(message: Uint8Array): Uint8Array } {
  const key = SecretKey.fromKeygen(seed);
  const publicKey = key.toPublicKey().toBytes();
  return {
    publicKey,
    possession: key.sign(possessionBytes(owner, publicKey)).toBytes(),
    sign: (message) => key.sign(message).toBytes(),
  };
}

/**
 * Checks the keys of all members: encoding, subgroup, possession, and that no two are the same. Without possession a
 * member could choose a key that cancels out the others' and sign for all of them. Throws `BLS_KEY_INVALID`.
 */
export function createBlsCommittee(
  configuration: Configuration,
  networkId: Uint8Array,
  keys: ReadonlyMap<string, BlsKey>,
): BlsCommittee {
  const seen = new Set<string>();
  const checked = configuration.members.map(({ id }) => {
    const key = keys.get(id);
    if (key === undefined || seen.has(toHex(key.publicKey)))
      throw new ConsensusError('BLS_KEY_INVALID', `${id} has no BLS key of its own`);
    seen.add(toHex(key.publicKey));
    const publicKey = toPublicKey(key.publicKey);
    const possession = toSignature(key.possession);
    const message = possessionBytes({ networkId, id }, key.publicKey);
    if (publicKey === null || possession === null || !verify(message, publicKey, possession))
      throw new ConsensusError('BLS_KEY_INVALID', `${id} does not possess its BLS key`);
    return publicKey;
  });
  return { configuration, keys: checked };
}

/** What members sign to be counted in a certificate: the same bytes as with Ed25519. */
export function commitBytes(
  networkId: Uint8Array,
  { epoch, view, sequence, digest }: Tip & { epoch: number },
): Uint8Array {
  return signingBytes(networkId, encodePayload({ kind: 'commit', epoch, view, sequence, digest }));
}

/**
 * One certificate out of the signatures of members. Who has sent them is not trusted: those that do not verify are left
 * out, at the price of a check each, only if all together do not. Throws `CERTIFICATE_WEIGHT` for too few.
 */
export function aggregateCertificate(
  { configuration, keys }: BlsCommittee,
  networkId: Uint8Array,
  place: Tip & { readonly epoch: number },
  signatures: readonly MemberSignature[],
): AggregateCertificate {
  const message = commitBytes(networkId, place);
  const byPlace = new Map<number, Signature>();
  for (const { sender, signature } of signatures) {
    const at = configuration.byId.get(sender)?.place;
    const parsed = at === undefined ? null : toSignature(signature);
    if (at !== undefined && parsed !== null) byPlace.set(at, parsed);
  }
  const isSound = (at: number) => verify(message, keys[at] as PublicKey, byPlace.get(at) as Signature);
  const places = [...byPlace.keys()];
  const areSound =
    places.length > 0 &&
    fastAggregateVerify(
      message,
      places.map((at) => keys[at] as PublicKey),
      aggregateSignatures([...byPlace.values()]),
    );
  const sound = areSound ? places : places.filter(isSound);
  assertQuorum(configuration, sound);
  const signers = new Uint8Array(signersBytes(configuration));
  for (const at of sound) signers[at >> 3] = (signers[at >> 3] as number) | (1 << (at & 7));
  const signature = aggregateSignatures(sound.map((at) => byPlace.get(at) as Signature)).toBytes();
  const { epoch, view, sequence, digest } = place;
  return { epoch, view, sequence, digest, signers, signature };
}

/** Checks that a quorum committed the digest at its sequence [CONS-10] [CONS-30]. Throws `CERTIFICATE_*`. */
export function verifyAggregate(
  { configuration, keys }: BlsCommittee,
  networkId: Judge['networkId'],
  certificate: AggregateCertificate,
): void {
  const { epoch, sequence, signers } = certificate;
  if (epoch !== configuration.epoch || sequence < epoch)
    throw invalid(`certificate of epoch ${epoch}, want ${configuration.epoch}`);
  if (signers.length !== signersBytes(configuration)) throw invalid('signers: not of this configuration');
  const places: number[] = [];
  for (let at = 0; at < 8 * signers.length; at++) {
    if ((((signers[at >> 3] as number) >> (at & 7)) & 1) === 0) continue;
    if (at >= configuration.members.length) throw invalid('signers: more than there are members');
    places.push(at);
  }
  assertQuorum(configuration, places);
  const signature = toSignature(certificate.signature);
  const publicKeys = places.map((at) => keys[at] as PublicKey);
  const message = commitBytes(networkId, certificate);
  if (signature === null || !fastAggregateVerify(message, publicKeys, signature))
    throw invalid('the aggregate does not verify');
}

export function encodeAggregate(certificate: AggregateCertificate): Uint8Array {
  const { epoch, signers, signature } = certificate;
  const writer = writeTip(writeCount(new ByteWriter(192), epoch), certificate);
  return writer.u8(signers.length).bytes(signers).bytes(signature).toBytes();
}

/** Throws `MESSAGE_INVALID`. The result is well formed, not verified. */
export function parseAggregate(bytes: Uint8Array): AggregateCertificate {
  return parse(bytes, 'aggregate', (reader) => {
    const epoch = readSequence(reader);
    const tip = readTip(reader);
    const length = reader.u8();
    if (length === 0 || length > SIGNERS_BYTES_MAX)
      throw new ConsensusError('MESSAGE_INVALID', `aggregate: ${length} bytes of signers`);
    return { epoch, ...tip, signers: reader.bytes(length), signature: reader.bytes(SIGNATURE_BYTES) };
  });
}

/** Another domain than any message: a possession is worth nothing as a vote, nor a vote as a possession. */
function possessionBytes({ networkId, id }: Owner, publicKey: Uint8Array): Uint8Array {
  return hashDomain('nemea/consensus/bls-possession/1', networkId, fromUtf8(id), publicKey);
}

/** Compressed, on the curve, in the subgroup and not infinity; null otherwise. */
function toPublicKey(bytes: Uint8Array): PublicKey | null {
  if (bytes.length !== PUBLIC_KEY_BYTES) return null;
  return orNull(() => PublicKey.fromBytes(bytes, true), bytes);
}

function toSignature(bytes: Uint8Array): Signature | null {
  if (bytes.length !== SIGNATURE_BYTES) return null;
  return orNull(() => Signature.fromBytes(bytes, true, true), bytes);
}

/** The library says by an exception that bytes are no point; a point has one encoding. */
function orNull<T extends { toBytes(): Uint8Array }>(read: () => T, bytes: Uint8Array): T | null {
  try {
    const point = read();
    return bytesEqual(point.toBytes(), bytes) ? point : null;
  } catch {
    return null;
  }
}

function assertQuorum(configuration: Configuration, places: readonly number[]): void {
  let weight = 0;
  for (const at of places) weight += weightOf(configuration, configuration.members[at]?.id ?? '');
  if (!hasQuorum(configuration, weight))
    throw new ConsensusError('CERTIFICATE_WEIGHT', 'the signers are no quorum');
}

function signersBytes({ members }: Configuration): number {
  return Math.ceil(members.length / 8);
}

function invalid(message: string): ConsensusError {
  return new ConsensusError('CERTIFICATE_INVALID', message);
}
