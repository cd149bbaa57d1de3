import { bytes, i32, optional, u8, u16, u32, yesNo } from '../structures/codec.ts';
import { tpmlDigest, tpmtTkAuth, tpmtTkVerified } from '../structures/object.ts';
import { tpmlPcrSelection } from '../structures/pcr-selection.ts';
import { tpmtAnySignature } from '../structures/signature.ts';
import { digest, name, optionalDigest } from './buffers.ts';
import { command } from './command.ts';

const session = { policySession: 'none' } as const;
const nv = { authHandle: 'user', nvIndex: 'none', ...session } as const;
/** TPM2B_TIMEOUT: in the form that the TPM gave it. */
const timeout = bytes('timeout', 64);
const granted = { timeout, policyTicket: tpmtTkAuth };
const limits = {
  nonceTPM: optionalDigest,
  cpHashA: optionalDigest,
  policyRef: optionalDigest,
  /** Seconds; a negative number asks for a ticket. */
  expiration: optional(i32, 0),
};
const comparison = { operandB: digest, offset: optional(u16, 0), operation: u16 };

export const PolicySigned = command('PolicySigned', 0x160, {
  handles: { authObject: 'none', ...session },
  parameters: { ...limits, auth: tpmtAnySignature },
  response: granted,
});
export const PolicySecret = command('PolicySecret', 0x151, {
  handles: { authHandle: 'user', ...session },
  parameters: limits,
  response: granted,
});
export const PolicyTicket = command('PolicyTicket', 0x172, {
  handles: session,
  parameters: {
    timeout,
    cpHashA: optionalDigest,
    policyRef: optionalDigest,
    authName: name,
    ticket: tpmtTkAuth,
  },
});
export const PolicyOR = command('PolicyOR', 0x171, {
  handles: session,
  parameters: { pHashList: tpmlDigest },
});
/** Without `pcrDigest` the values that the PCRs have now. */
export const PolicyPCR = command('PolicyPCR', 0x17f, {
  handles: session,
  parameters: { pcrDigest: optionalDigest, pcrs: tpmlPcrSelection },
});
export const PolicyLocality = command('PolicyLocality', 0x16f, {
  handles: session,
  parameters: { locality: u8 },
});
export const PolicyNV = command('PolicyNV', 0x149, { handles: nv, parameters: comparison });
export const PolicyCounterTimer = command('PolicyCounterTimer', 0x16d, {
  handles: session,
  parameters: comparison,
});
export const PolicyCommandCode = command('PolicyCommandCode', 0x16c, {
  handles: session,
  parameters: { code: u32 },
});
export const PolicyPhysicalPresence = command('PolicyPhysicalPresence', 0x187, { handles: session });
export const PolicyCpHash = command('PolicyCpHash', 0x16e, {
  handles: session,
  parameters: { cpHashA: digest },
});
export const PolicyNameHash = command('PolicyNameHash', 0x170, {
  handles: session,
  parameters: { nameHash: digest },
});
export const PolicyDuplicationSelect = command('PolicyDuplicationSelect', 0x188, {
  handles: session,
  parameters: { objectName: name, newParentName: name, includeObject: yesNo('includeObject') },
});
export const PolicyAuthorize = command('PolicyAuthorize', 0x16a, {
  handles: session,
  parameters: {
    approvedPolicy: digest,
    policyRef: optionalDigest,
    keySign: name,
    checkTicket: tpmtTkVerified,
  },
});
export const PolicyAuthValue = command('PolicyAuthValue', 0x16b, { handles: session });
export const PolicyPassword = command('PolicyPassword', 0x18c, { handles: session });
export const PolicyNvWritten = command('PolicyNvWritten', 0x18f, {
  handles: session,
  parameters: { writtenSet: yesNo('writtenSet') },
});
export const PolicyTemplate = command('PolicyTemplate', 0x190, {
  handles: session,
  parameters: { templateHash: digest },
});
export const PolicyAuthorizeNV = command('PolicyAuthorizeNV', 0x192, { handles: nv });
export const PolicyGetDigest = command('PolicyGetDigest', 0x189, {
  handles: session,
  response: { policyDigest: digest },
});
