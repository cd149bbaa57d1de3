import { bytes, u16, u32, yesNo } from '../structures/codec.ts';
import { tpmlDigest, tpmlDigestValues } from '../structures/object.ts';
import { tpmlPcrSelection } from '../structures/pcr-selection.ts';
import { digest } from './buffers.ts';
import { command } from './command.ts';

const pcr = { pcrHandle: 'user' } as const;

/** Answers at most 8 values: `pcrSelectionOut` says which. */
export const PCR_Read = command('PCR_Read', 0x17e, {
  parameters: { pcrSelectionIn: tpmlPcrSelection },
  response: { pcrUpdateCounter: u32, pcrSelectionOut: tpmlPcrSelection, pcrValues: tpmlDigest },
});
/** Extends a PCR in each bank that a digest is given for. */
export const PCR_Extend = command('PCR_Extend', 0x182, {
  handles: pcr,
  parameters: { digests: tpmlDigestValues },
});
/** Extends a PCR in every bank with the hash of the data, and gives the digests. */
export const PCR_Event = command('PCR_Event', 0x13c, {
  handles: pcr,
  parameters: { eventData: bytes('event data', 1024) },
  response: { digests: tpmlDigestValues },
});
/** Resets a PCR, where the locality may: 16 and 23 for everybody. */
export const PCR_Reset = command('PCR_Reset', 0x13d, { handles: pcr });
/** Takes effect at the next start. */
export const PCR_Allocate = command('PCR_Allocate', 0x12b, {
  handles: { authHandle: 'user' },
  parameters: { pcrAllocation: tpmlPcrSelection },
  response: {
    allocationSuccess: yesNo('allocationSuccess'),
    maxPCR: u32,
    sizeNeeded: u32,
    sizeAvailable: u32,
  },
});
/** Sets a policy for extending a PCR of the groups that have one. */
export const PCR_SetAuthPolicy = command('PCR_SetAuthPolicy', 0x12c, {
  handles: { authHandle: 'user' },
  parameters: { authPolicy: digest, hashAlg: u16, pcrNum: u32 },
});
/** Sets a password for extending a PCR of the groups that have one. */
export const PCR_SetAuthValue = command('PCR_SetAuthValue', 0x183, {
  handles: pcr,
  parameters: { auth: digest },
});
