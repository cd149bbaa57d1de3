/**
 * Domain-free foundations: bytes, the deterministic codec, strict documents, hashes, Merkle trees, coded errors, assertions.
 * No I/O, no Node-only import, no domain noun: everything here also runs in a browser.
 */
export { assert, assertNever } from './assert.ts';
export {
  ByteReader,
  ByteWriter,
  bytesEqual,
  compareBytes,
  concatBytes,
  fromHex,
  fromUtf8,
  isBytes,
  readWhole,
  toHex,
  toUtf8,
  u16At,
  u32At,
} from './bytes.ts';
export { type CborValue, decodeCbor, encodeCbor } from './cbor.ts';
export {
  boundedInteger,
  boundedList,
  boundedText,
  byteString,
  type DocumentCodec,
  type DocumentOptions,
  defineDocument,
  unsigned64,
} from './document.ts';
export { CodedError, CoreError, type CoreErrorCode, errorCode } from './errors.ts';
export {
  type Hash,
  hashDomain,
  hmacSha256,
  sha1,
  sha3_256,
  sha3_384,
  sha3_512,
  sha256,
  sha256Text,
  sha384,
  sha512,
  sm3,
} from './hash.ts';
export { merkleProof, merkleRoot, verifyMerkleProof } from './merkle.ts';
export { printable } from './printable.ts';
export type { Verified } from './verified.ts';
export { mintVerified } from './verified.ts';
