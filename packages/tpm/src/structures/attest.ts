import type { ByteReader } from '@nemea/core';
import { TpmError } from '../errors.ts';
import { hex16 } from './algorithms.ts';
import { invalid, parseWhole, readSized } from './buffer.ts';
import { type PcrSelection, readPcrSelections } from './pcr-selection.ts';

/** TPMS_CLOCK_INFO: `clock` in ms over the life of the TPM; `safe` is false when it may repeat after a power loss. */
export interface ClockInfo {
  readonly clock: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly safe: boolean;
}

interface AttestHeader {
  readonly qualifiedSigner: Uint8Array;
  /** The caller's qualifying data: what makes the statement fresh. */
  readonly extraData: Uint8Array;
  readonly clockInfo: ClockInfo;
  readonly firmwareVersion: bigint;
}

export interface QuoteAttest extends AttestHeader {
  readonly type: 'quote';
  readonly pcrSelections: readonly PcrSelection[];
  readonly pcrDigest: Uint8Array;
}

/** `time` is ms since the TPM started. The inner copies are never obfuscated, whatever the key's hierarchy. */
export interface GetTimeAttest extends AttestHeader {
  readonly type: 'get-time';
  readonly time: bigint;
  readonly innerClockInfo: ClockInfo;
  readonly innerFirmwareVersion: bigint;
}

export interface CertifyAttest extends AttestHeader {
  readonly type: 'certify';
  readonly name: Uint8Array;
  readonly qualifiedName: Uint8Array;
}

export interface NvCertifyAttest extends AttestHeader {
  readonly type: 'nv-certify';
  readonly indexName: Uint8Array;
  readonly offset: number;
  readonly contents: Uint8Array;
}

export type Attest = QuoteAttest | GetTimeAttest | CertifyAttest | NvCertifyAttest;

const TPM_GENERATED = 0xff544347;
const TYPE_NV_CERTIFY = 0x8014;
const TYPE_CERTIFY = 0x8017;
const TYPE_QUOTE = 0x8018;
const TYPE_GET_TIME = 0x8019;
// nameAlg u16 + the largest digest, SHA-512.
const NAME_BYTES_MAX = 66;
const EXTRA_DATA_BYTES_MAX = 66;
const DIGEST_BYTES_MAX = 64;
const NV_CONTENTS_BYTES_MAX = 2048;

/**
 * Parses TPMS_ATTEST (TPM 2.0 Part 2, 10.12.12). Nothing in it is true before the signature over these very
 * bytes is checked. Throws `TPM_STRUCTURE_INVALID` or `TPM_STRUCTURE_UNSUPPORTED`.
 */
export function parseAttest(bytes: Uint8Array): Attest {
  return parseWhole('attestation', bytes, (reader) => {
    const magic = reader.u32();
    if (magic !== TPM_GENERATED)
      throw invalid(`attestation magic: got 0x${magic.toString(16)}, want 0xff544347`);
    const type = reader.u16();
    const header: AttestHeader = {
      qualifiedSigner: readSized(reader, 'qualified signer', NAME_BYTES_MAX),
      extraData: readSized(reader, 'extra data', EXTRA_DATA_BYTES_MAX),
      clockInfo: readClockInfo(reader),
      firmwareVersion: reader.u64(),
    };
    return readBody(reader, type, header);
  });
}

function readBody(reader: ByteReader, type: number, header: AttestHeader): Attest {
  switch (type) {
    case TYPE_QUOTE:
      return {
        ...header,
        type: 'quote',
        pcrSelections: readPcrSelections(reader),
        pcrDigest: readSized(reader, 'pcr digest', DIGEST_BYTES_MAX),
      };
    case TYPE_GET_TIME:
      return {
        ...header,
        type: 'get-time',
        time: reader.u64(),
        innerClockInfo: readClockInfo(reader),
        innerFirmwareVersion: reader.u64(),
      };
    case TYPE_CERTIFY:
      return {
        ...header,
        type: 'certify',
        name: readSized(reader, 'certified name', NAME_BYTES_MAX),
        qualifiedName: readSized(reader, 'qualified name', NAME_BYTES_MAX),
      };
    case TYPE_NV_CERTIFY:
      return {
        ...header,
        type: 'nv-certify',
        indexName: readSized(reader, 'index name', NAME_BYTES_MAX),
        offset: reader.u16(),
        contents: readSized(reader, 'nv contents', NV_CONTENTS_BYTES_MAX),
      };
    default:
      throw new TpmError('TPM_STRUCTURE_UNSUPPORTED', `attestation type: got ${hex16(type)}`, {
        data: { type },
      });
  }
}

function readClockInfo(reader: ByteReader): ClockInfo {
  const clock = reader.u64();
  const resetCount = reader.u32();
  const restartCount = reader.u32();
  const safe = reader.u8();
  // TPMI_YES_NO: any other byte is not an encoding of a boolean.
  if (safe > 1) throw invalid(`clock safe flag: got ${safe}, want 0 or 1`);
  return { clock, resetCount, restartCount, safe: safe === 1 };
}
