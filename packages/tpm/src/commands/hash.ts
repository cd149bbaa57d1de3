import { optional, u16, u32 } from '../structures/codec.ts';
import { tpmlDigestValues, tpmtTkHashCheck } from '../structures/object.ts';
import { buffer, digest, optionalDigest } from './buffers.ts';
import { command } from './command.ts';

const sequence = { sequenceHandle: 'user' } as const;
const starting = { auth: optionalDigest, hashAlg: u16 };

/** Hashes at most 1024 bytes; the ticket says that they do not begin like a statement of the TPM's own. */
export const Hash = command('Hash', 0x17d, {
  parameters: { data: buffer, hashAlg: u16, hierarchy: u32 },
  response: { outHash: digest, validation: tpmtTkHashCheck },
});
/** The HMAC of at most 1024 bytes by a loaded key. */
export const HMAC = command('HMAC', 0x155, {
  handles: { handle: 'user' },
  parameters: { buffer, hashAlg: u16 },
  response: { outHMAC: digest },
});
/** Starts an HMAC over data of any length. */
export const HMAC_Start = command('HMAC_Start', 0x15b, {
  handles: { handle: 'user' },
  parameters: starting,
  responseHandle: 'sequenceHandle',
});
/** With TPM_ALG_NULL an event sequence: one digest for each bank. */
export const HashSequenceStart = command('HashSequenceStart', 0x186, {
  parameters: starting,
  responseHandle: 'sequenceHandle',
});
/** Adds data to a sequence. */
export const SequenceUpdate = command('SequenceUpdate', 0x15c, { handles: sequence, parameters: { buffer } });
/** Adds the last data, ends the sequence, and gives its result. */
export const SequenceComplete = command('SequenceComplete', 0x13e, {
  handles: sequence,
  parameters: { buffer: optional(buffer, new Uint8Array(0)), hierarchy: u32 },
  response: { result: digest, validation: tpmtTkHashCheck },
});
/** `pcrHandle` may be TPM_RH_NULL: then nothing is extended. */
export const EventSequenceComplete = command('EventSequenceComplete', 0x185, {
  handles: { pcrHandle: 'user', ...sequence },
  parameters: { buffer: optional(buffer, new Uint8Array(0)) },
  response: { results: tpmlDigestValues },
});
