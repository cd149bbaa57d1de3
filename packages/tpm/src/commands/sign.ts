import { optional } from '../structures/codec.ts';
import { NULL_HASH_CHECK, tpmtTkHashCheck, tpmtTkVerified } from '../structures/object.ts';
import { tpmtSigScheme } from '../structures/scheme.ts';
import { tpmtAnySignature } from '../structures/signature.ts';
import { digest } from './buffers.ts';
import { command } from './command.ts';

/** A restricted key demands `validation`: the TPM's ticket that the digest is of nothing that looks like its own. */
export const Sign = command('Sign', 0x15d, {
  handles: { keyHandle: 'user' },
  parameters: { digest, inScheme: tpmtSigScheme, validation: optional(tpmtTkHashCheck, NULL_HASH_CHECK) },
  response: { signature: tpmtAnySignature },
});
/** Verifies a signature by a loaded public key, and gives a ticket for PolicyAuthorize. */
export const VerifySignature = command('VerifySignature', 0x177, {
  handles: { keyHandle: 'none' },
  parameters: { digest, signature: tpmtAnySignature },
  response: { validation: tpmtTkVerified },
});
