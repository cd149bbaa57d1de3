import { type ByteReader, ByteWriter, concatBytes } from '@nemea/core';
import { TpmError } from '../errors.ts';
import { ALG, curveBytes, digestOf, hashBytes, hex16 } from './algorithms.ts';
import { invalid, parseWhole, readSized, writeSized } from './buffer.ts';

/** TPMT_SYM_DEF_OBJECT; `undefined` stands for TPM_ALG_NULL. */
export interface SymmetricCipher {
  readonly algorithm: number;
  readonly keyBits: number;
  readonly mode: number;
}

/** An asymmetric scheme; `undefined` stands for TPM_ALG_NULL. `count` is ECDAA's alone. */
export interface AsymmetricScheme {
  readonly scheme: number;
  readonly hashAlg: number;
  readonly count?: number;
}

interface PublicHeader {
  readonly nameAlg: number;
  /** TPMA_OBJECT, see `OBJECT_ATTRIBUTE`. */
  readonly attributes: number;
  readonly authPolicy: Uint8Array;
}

export interface EccPublicArea extends PublicHeader {
  readonly type: 'ecc';
  readonly symmetric: SymmetricCipher | undefined;
  readonly scheme: AsymmetricScheme | undefined;
  readonly curve: number;
  readonly x: Uint8Array;
  readonly y: Uint8Array;
}

export interface RsaPublicArea extends PublicHeader {
  readonly type: 'rsa';
  readonly symmetric: SymmetricCipher | undefined;
  readonly scheme: AsymmetricScheme | undefined;
  readonly keyBits: number;
  /** 0 stands for 65537. */
  readonly exponent: number;
  readonly modulus: Uint8Array;
}

/** Sealed data: a keyed hash object without a scheme. */
export interface SealedPublicArea extends PublicHeader {
  readonly type: 'sealed';
  readonly unique: Uint8Array;
}

export type PublicArea = EccPublicArea | RsaPublicArea | SealedPublicArea;

const POLICY_BYTES_MAX = 64;
const COORDINATE_BYTES_MAX = 66;
const MODULUS_BYTES_MAX = 512;

/** Parses TPMT_PUBLIC (TPM 2.0 Part 2, 12.2.4). Throws `TPM_STRUCTURE_INVALID` or `TPM_STRUCTURE_UNSUPPORTED`. */
export function parsePublicArea(bytes: Uint8Array): PublicArea {
  return parseWhole('public area', bytes, readPublicArea);
}

function readPublicArea(reader: ByteReader): PublicArea {
  const type = reader.u16();
  const header: PublicHeader = {
    nameAlg: reader.u16(),
    attributes: reader.u32(),
    authPolicy: readSized(reader, 'auth policy', POLICY_BYTES_MAX),
  };
  if (hashBytes(header.nameAlg) === undefined) throw unsupported('name algorithm', header.nameAlg);
  switch (type) {
    case ALG.ecc:
      return readEcc(reader, header);
    case ALG.rsa:
      return readRsa(reader, header);
    case ALG.keyedHash:
      return readSealed(reader, header);
    default:
      throw unsupported('object type', type);
  }
}

function readEcc(reader: ByteReader, header: PublicHeader): EccPublicArea {
  const symmetric = readSymmetric(reader);
  const scheme = readScheme(reader);
  const curve = reader.u16();
  const coordinateBytes = curveBytes(curve);
  const kdf = reader.u16();
  if (kdf !== ALG.null) throw unsupported('key derivation', kdf);
  const x = readSized(reader, 'point x', COORDINATE_BYTES_MAX);
  const y = readSized(reader, 'point y', COORDINATE_BYTES_MAX);
  if (x.length > coordinateBytes || y.length > coordinateBytes) {
    throw invalid(`point: got ${x.length} and ${y.length} bytes, want at most ${coordinateBytes}`);
  }
  return { ...header, type: 'ecc', symmetric, scheme, curve, x, y };
}

function readRsa(reader: ByteReader, header: PublicHeader): RsaPublicArea {
  const symmetric = readSymmetric(reader);
  const scheme = readScheme(reader);
  const keyBits = reader.u16();
  const exponent = reader.u32();
  const modulus = readSized(reader, 'modulus', MODULUS_BYTES_MAX);
  // A template may leave it empty.
  if (modulus.length !== 0 && modulus.length * 8 !== keyBits) {
    throw invalid(`modulus: got ${modulus.length} bytes, want ${keyBits / 8}`);
  }
  return { ...header, type: 'rsa', symmetric, scheme, keyBits, exponent, modulus };
}

function readSealed(reader: ByteReader, header: PublicHeader): SealedPublicArea {
  const scheme = reader.u16();
  if (scheme !== ALG.null) throw unsupported('keyed hash scheme', scheme);
  return { ...header, type: 'sealed', unique: readSized(reader, 'unique', POLICY_BYTES_MAX) };
}

function readSymmetric(reader: ByteReader): SymmetricCipher | undefined {
  const algorithm = reader.u16();
  if (algorithm === ALG.null) return undefined;
  if (algorithm !== ALG.aes) throw unsupported('symmetric algorithm', algorithm);
  return { algorithm, keyBits: reader.u16(), mode: reader.u16() };
}

function readScheme(reader: ByteReader): AsymmetricScheme | undefined {
  const scheme = reader.u16();
  switch (scheme) {
    case ALG.null:
      return undefined;
    case ALG.ecdaa:
      return { scheme, hashAlg: reader.u16(), count: reader.u16() };
    case ALG.ecdsa:
    case ALG.ecdh:
    case ALG.rsassa:
    case ALG.rsapss:
    case ALG.oaep:
      return { scheme, hashAlg: reader.u16() };
    default:
      throw unsupported('asymmetric scheme', scheme);
  }
}

/** TPMT_PUBLIC bytes: the inverse of `parsePublicArea`. */
export function encodePublicArea(area: PublicArea): Uint8Array {
  const writer = new ByteWriter();
  writer.u16({ ecc: ALG.ecc, rsa: ALG.rsa, sealed: ALG.keyedHash }[area.type]);
  writer.u16(area.nameAlg).u32(area.attributes);
  writeSized(writer, area.authPolicy);
  if (area.type === 'sealed') return writeSized(writer.u16(ALG.null), area.unique).toBytes();
  writeSymmetric(writer, area.symmetric);
  writeScheme(writer, area.scheme);
  if (area.type === 'rsa') {
    return writeSized(writer.u16(area.keyBits).u32(area.exponent), area.modulus).toBytes();
  }
  writeSized(writer.u16(area.curve).u16(ALG.null), area.x);
  return writeSized(writer, area.y).toBytes();
}

function writeSymmetric(writer: ByteWriter, symmetric: SymmetricCipher | undefined): void {
  if (symmetric === undefined) writer.u16(ALG.null);
  else writer.u16(symmetric.algorithm).u16(symmetric.keyBits).u16(symmetric.mode);
}

function writeScheme(writer: ByteWriter, scheme: AsymmetricScheme | undefined): void {
  if (scheme === undefined) {
    writer.u16(ALG.null);
    return;
  }
  writer.u16(scheme.scheme).u16(scheme.hashAlg);
  if (scheme.count !== undefined) writer.u16(scheme.count);
}

/** The object's name: nameAlg || H(TPMT_PUBLIC). Always computed here, never taken from the peer. */
export function nameOf(publicArea: Uint8Array): Uint8Array {
  const { nameAlg } = parsePublicArea(publicArea);
  return concatBytes(new ByteWriter().u16(nameAlg).toBytes(), digestOf(nameAlg, publicArea));
}

function unsupported(field: string, value: number): TpmError {
  return new TpmError('TPM_STRUCTURE_UNSUPPORTED', `${field}: got ${hex16(value)}`, {
    data: { field, value },
  });
}
