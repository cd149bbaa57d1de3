import {
  type ByteReader,
  ByteWriter,
  CodedError,
  type CoreError,
  fromUtf8,
  hashDomain,
  mintVerified,
  readWhole,
  toUtf8,
  type Verified,
} from '@nemea/core';

/** One write of a client: what etcd calls a put. */
export interface Put {
  readonly key: string;
  readonly value: Uint8Array;
}

/** Puts that one client process signs together. Its number tells a repetition from something new. */
export interface Bundle {
  /** Ed25519, 32 bytes. */
  readonly client: Uint8Array;
  readonly number: number;
  readonly puts: readonly Put[];
}

/** How far a bundle has brought the store, as one replica says. */
export interface Reply {
  readonly number: number;
  readonly revision: number;
  /** View of the replica: tells the client who leads. */
  readonly view: number;
}

export class BundleError extends CodedError<'BUNDLE_MALFORMED' | 'BUNDLE_SIGNATURE_INVALID'> {}

export const PUTS_MAX = 512;
const KEY_BYTES_MAX = 64;
const VALUE_BYTES_MAX = 4_096;
const SIGNATURE_BYTES = 64;

export function signBundle(
  networkId: Uint8Array,
  bundle: Bundle,
  sign: (message: Uint8Array) => Uint8Array,
): Uint8Array {
  const writer = new ByteWriter().bytes(bundle.client).u32(bundle.number).u16(bundle.puts.length);
  for (const { key, value } of bundle.puts) {
    const name = fromUtf8(key);
    writer.u16(name.length).bytes(name).u16(value.length).bytes(value);
  }
  const body = writer.toBytes();
  return new ByteWriter(body.length + SIGNATURE_BYTES)
    .bytes(body)
    .bytes(sign(digestOf(networkId, body)))
    .toBytes();
}

/** Throws `BUNDLE_MALFORMED`. Says nothing about who made it. */
export function parseBundle(bytes: Uint8Array): Bundle {
  return parse(bytes, (reader) => {
    const client = reader.bytes(32);
    const number = reader.u32();
    const count = reader.u16();
    if (count === 0 || count > PUTS_MAX) throw malformed(`got ${count} puts, want 1 to ${PUTS_MAX}`);
    const puts = Array.from({ length: count }, () => ({
      key: toUtf8(reader.bytes(atMost(reader.u16(), KEY_BYTES_MAX))),
      value: reader.bytes(atMost(reader.u16(), VALUE_BYTES_MAX)),
    }));
    reader.bytes(SIGNATURE_BYTES);
    return { client, number, puts };
  });
}

/** Throws `BUNDLE_MALFORMED` or `BUNDLE_SIGNATURE_INVALID`. Whether the client may write is the store's business. */
export function authenticateBundle(
  networkId: Uint8Array,
  bytes: Uint8Array,
  verify: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean,
): Verified<Bundle> {
  const bundle = parseBundle(bytes);
  const body = bytes.subarray(0, -SIGNATURE_BYTES);
  if (!verify(bundle.client, digestOf(networkId, body), bytes.subarray(-SIGNATURE_BYTES))) {
    throw new BundleError('BUNDLE_SIGNATURE_INVALID', `bundle ${bundle.number} was not signed by its client`);
  }
  return mintVerified(bundle);
}

export function encodeReply({ number, revision, view }: Reply): Uint8Array {
  return new ByteWriter(12).u32(number).u32(revision).u32(view).toBytes();
}

/** Throws `BUNDLE_MALFORMED`. */
export function parseReply(bytes: Uint8Array): Reply {
  return parse(bytes, (reader) => ({ number: reader.u32(), revision: reader.u32(), view: reader.u32() }));
}

function digestOf(networkId: Uint8Array, body: Uint8Array): Uint8Array {
  return hashDomain('nemea/bench/bundle/1', networkId, body);
}

function parse<T>(bytes: Uint8Array, read: (reader: ByteReader) => T): T {
  return readWhole(bytes, read, (cause) => malformed(cause.message, cause));
}

function atMost(length: number, max: number): number {
  if (length > max) throw malformed(`got ${length} bytes, want at most ${max}`);
  return length;
}

function malformed(message: string, cause?: CoreError): BundleError {
  return new BundleError('BUNDLE_MALFORMED', message, { cause });
}
