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

/**
 * A key outside the TPM approves: it signed this session's nonce, expiration, cpHash and policyRef. Answers with a
 * ticket when asked for one.
 */
export const PolicySigned = command('PolicySigned', 0x160, {
  handles: { authObject: 'none', ...session },
  parameters: { ...limits, auth: tpmtAnySignature },
  response: granted,
});
/**
 * Whoever knows the authorization of an object, hierarchy or NV index approves. Answers with a ticket when asked for
 * one.
 */
export const PolicySecret = command('PolicySecret', 0x151, {
  handles: { authHandle: 'user', ...session },
  parameters: limits,
  response: granted,
});
/** Satisfies PolicySigned or PolicySecret again by the ticket that it gave, until that expires. */
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
/** One of up to eight branches: the digest so far must be among them. */
export const PolicyOR = command('PolicyOR', 0x171, {
  handles: session,
  parameters: { pHashList: tpmlDigest },
});
/** Without `pcrDigest` the values that the PCRs have now. */
export const PolicyPCR = command('PolicyPCR', 0x17f, {
  handles: session,
  parameters: { pcrDigest: optionalDigest, pcrs: tpmlPcrSelection },
});
/** Only at these localities: bits 0 to 4, or one number from 32 on. */
export const PolicyLocality = command('PolicyLocality', 0x16f, {
  handles: session,
  parameters: { locality: u8 },
});
/** An NV index must compare so with `operandB` (TPM_EO) from `offset` on. */
export const PolicyNV = command('PolicyNV', 0x149, { handles: nv, parameters: comparison });
/** TPMS_TIME_INFO must compare so with `operandB` (TPM_EO) from `offset` on: time, clock, counts, safe. */
export const PolicyCounterTimer = command('PolicyCounterTimer', 0x16d, {
  handles: session,
  parameters: comparison,
});
/** For one command only. */
export const PolicyCommandCode = command('PolicyCommandCode', 0x16c, {
  handles: session,
  parameters: { code: u32 },
});
/** Somebody must be at the machine, however the platform tells that. */
export const PolicyPhysicalPresence = command('PolicyPhysicalPresence', 0x187, { handles: session });
/** For one command with these very parameters and handles. */
export const PolicyCpHash = command('PolicyCpHash', 0x16e, {
  handles: session,
  parameters: { cpHashA: digest },
});
/** For these very objects: the hash of their names. */
export const PolicyNameHash = command('PolicyNameHash', 0x170, {
  handles: session,
  parameters: { nameHash: digest },
});
/** For duplication to one new parent, of one object if `includeObject` says so. */
export const PolicyDuplicationSelect = command('PolicyDuplicationSelect', 0x188, {
  handles: session,
  parameters: { objectName: name, newParentName: name, includeObject: yesNo('includeObject') },
});
/**
 * A key approves policies that were unknown when the object was made: `checkTicket` is of its signature over the
 * digest so far.
 */
export const PolicyAuthorize = command('PolicyAuthorize', 0x16a, {
  handles: session,
  parameters: {
    approvedPolicy: digest,
    policyRef: optionalDigest,
    keySign: name,
    checkTicket: tpmtTkVerified,
  },
});
/** The object's authorization must be proved by an HMAC, too. */
export const PolicyAuthValue = command('PolicyAuthValue', 0x16b, { handles: session });
/** The object's authorization must be given in clear, too. */
export const PolicyPassword = command('PolicyPassword', 0x18c, { handles: session });
/** An NV index must have been written, or must not have been. */
export const PolicyNvWritten = command('PolicyNvWritten', 0x18f, {
  handles: session,
  parameters: { writtenSet: yesNo('writtenSet') },
});
/** For making an object of this very template. */
export const PolicyTemplate = command('PolicyTemplate', 0x190, {
  handles: session,
  parameters: { templateHash: digest },
});
/** An NV index holds the policy that is approved now. */
export const PolicyAuthorizeNV = command('PolicyAuthorizeNV', 0x192, { handles: nv });
/** The digest of the policy so far, of a trial session too. */
export const PolicyGetDigest = command('PolicyGetDigest', 0x189, {
  handles: session,
  response: { policyDigest: digest },
});
