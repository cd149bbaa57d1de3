import { optional, sized, u16, u64 } from '../structures/codec.ts';
import { tpmsNvPublic } from '../structures/context.ts';
import { tpmtSigScheme } from '../structures/scheme.ts';
import { tpmtAnySignature } from '../structures/signature.ts';
import { attestation, buffer, digest, name, optionalData, optionalDigest } from './buffers.ts';
import { command } from './command.ts';

const index = { authHandle: 'user', nvIndex: 'none' } as const;
const nvPublic = sized('nv public area', tpmsNvPublic);

/** Makes an NV index with this public area and authorization. */
export const NV_DefineSpace = command('NV_DefineSpace', 0x12a, {
  handles: { authHandle: 'user' },
  parameters: { auth: optionalDigest, publicInfo: nvPublic },
});
/** Removes an NV index of the owner's or the platform's. */
export const NV_UndefineSpace = command('NV_UndefineSpace', 0x122, { handles: index });
/** Removes an NV index with TPMA_NV_POLICY_DELETE, which takes its policy. */
export const NV_UndefineSpaceSpecial = command('NV_UndefineSpaceSpecial', 0x11f, {
  handles: { nvIndex: 'admin', platform: 'user' },
});
/** The public area and name of an NV index. */
export const NV_ReadPublic = command('NV_ReadPublic', 0x169, {
  handles: { nvIndex: 'none' },
  response: { nvPublic, nvName: name },
});
/**
 * Bytes of an NV index. `authHandle` says whose authorization is given: the index's own, the owner's or the
 * platform's.
 */
export const NV_Read = command('NV_Read', 0x14e, {
  handles: index,
  parameters: { size: u16, offset: optional(u16, 0) },
  response: { data: buffer },
});
/** Writes bytes of an ordinary NV index. */
export const NV_Write = command('NV_Write', 0x137, {
  handles: index,
  parameters: { data: buffer, offset: optional(u16, 0) },
});
/** Adds one to an NV counter. */
export const NV_Increment = command('NV_Increment', 0x134, { handles: index });
/** Extends an NV index as a PCR is extended, with data of any length. */
export const NV_Extend = command('NV_Extend', 0x136, { handles: index, parameters: { data: buffer } });
/** Sets bits of an NV bit field; they are never cleared. */
export const NV_SetBits = command('NV_SetBits', 0x135, { handles: index, parameters: { bits: u64 } });
/** Nobody reads the index until the next start. */
export const NV_ReadLock = command('NV_ReadLock', 0x14f, { handles: index });
/** Nobody writes the index until the next start, or for good, as its attributes say. */
export const NV_WriteLock = command('NV_WriteLock', 0x138, { handles: index });
/** Locks every index with TPMA_NV_GLOBALLOCK against writing until the next start. */
export const NV_GlobalWriteLock = command('NV_GlobalWriteLock', 0x132, { handles: { authHandle: 'user' } });
/** Gives an NV index another authorization. */
export const NV_ChangeAuth = command('NV_ChangeAuth', 0x13b, {
  handles: { nvIndex: 'admin' },
  parameters: { newAuth: digest },
});
/** With `size` and `offset` 0 it certifies a digest of the whole contents (revision 1.59 and later). */
export const NV_Certify = command('NV_Certify', 0x184, {
  handles: { signHandle: 'user', authHandle: 'user', nvIndex: 'none' },
  parameters: { qualifyingData: optionalData, inScheme: tpmtSigScheme, size: u16, offset: optional(u16, 0) },
  response: { certifyInfo: attestation, signature: tpmtAnySignature },
});
