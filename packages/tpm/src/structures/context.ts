import { tpmsClockInfo } from './attest.ts';
import { bytes, struct, u16, u32, u64, type ValueOf } from './codec.ts';
import { DIGEST_BYTES_MAX } from './public-area.ts';

const CONTEXT_BYTES_MAX = 4096;

/** TPMS_CONTEXT (TPM 2.0 Part 2, 14.5): a transient object or session outside the TPM, encrypted by it. */
export const tpmsContext = struct({
  sequence: u64,
  savedHandle: u32,
  hierarchy: u32,
  contextBlob: bytes('context', CONTEXT_BYTES_MAX),
});
/** TPMS_CONTEXT: an object or session outside the TPM, encrypted for it alone. */
export type Context = ValueOf<typeof tpmsContext>;

/** TPMS_TIME_INFO: `time` is ms since the TPM started. */
export const tpmsTimeInfo = struct({ time: u64, clockInfo: tpmsClockInfo });
/** TPMS_TIME_INFO as a value. */
export type TimeInfo = ValueOf<typeof tpmsTimeInfo>;

/** TPMS_NV_PUBLIC (TPM 2.0 Part 2, 13.5). */
export const tpmsNvPublic = struct({
  nvIndex: u32,
  nameAlg: u16,
  /** TPMA_NV, see `NV_ATTRIBUTE`. */
  attributes: u32,
  authPolicy: bytes('nv policy', DIGEST_BYTES_MAX),
  dataSize: u16,
});
/** The public area of an NV index: type, attributes, policy and size. */
export type NvPublic = ValueOf<typeof tpmsNvPublic>;
