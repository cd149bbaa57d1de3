import { optional } from '../structures/codec.ts';
import { tpmtSymDefObject } from '../structures/scheme.ts';
import { data, encryptedSecret, name, optionalData, privateArea, publicArea } from './buffers.ts';
import { command } from './command.ts';

const optionalSecret = optional(encryptedSecret, new Uint8Array(0));

/** `encryptionKeyIn` is the key of the inner wrapper, which `symmetricAlg` asks for. */
export const Duplicate = command('Duplicate', 0x14b, {
  handles: { objectHandle: 'dup', newParentHandle: 'none' },
  parameters: { encryptionKeyIn: optionalData, symmetricAlg: tpmtSymDefObject },
  response: { encryptionKeyOut: data, duplicate: privateArea, outSymSeed: encryptedSecret },
});
/** Wraps a duplicate for the next parent without loading it. */
export const Rewrap = command('Rewrap', 0x152, {
  handles: { oldParent: 'user', newParent: 'none' },
  parameters: { inDuplicate: privateArea, name, inSymSeed: optionalSecret },
  response: { outDuplicate: privateArea, outSymSeed: encryptedSecret },
});
/** Encrypts a duplicate to its new parent, for Load. */
export const Import = command('Import', 0x156, {
  handles: { parentHandle: 'user' },
  parameters: {
    encryptionKey: optionalData,
    objectPublic: publicArea,
    duplicate: privateArea,
    inSymSeed: optionalSecret,
    symmetricAlg: tpmtSymDefObject,
  },
  response: { outPrivate: privateArea },
});
