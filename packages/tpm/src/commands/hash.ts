import { optional, u16, u32 } from '../structures/codec.ts';
import { tpmlDigestValues, tpmtTkHashCheck } from '../structures/object.ts';
import { buffer, digest, optionalDigest } from './buffers.ts';
import { command } from './command.ts';

const sequence = { sequenceHandle: 'user' } as const;
const starting = { auth: optionalDigest, hashAlg: u16 };

export const Hash = command('Hash', 0x17d, {
  parameters: { data: buffer, hashAlg: u16, hierarchy: u32 },
  response: { outHash: digest, validation: tpmtTkHashCheck },
});
export const HMAC = command('HMAC', 0x155, {
  handles: { handle: 'user' },
  parameters: { buffer, hashAlg: u16 },
  response: { outHMAC: digest },
});
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
export const SequenceUpdate = command('SequenceUpdate', 0x15c, { handles: sequence, parameters: { buffer } });
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
