import { optional, u8, u16 } from '../structures/codec.ts';
import { tpmtSymDef } from '../structures/scheme.ts';
import { digest, encryptedSecret } from './buffers.ts';
import { command } from './command.ts';

/** TPM_SE. */
export const SESSION = { hmac: 0, policy: 1, trial: 3 } as const;

/** Starts an HMAC, policy or trial session, salted to a key or bound to an object if they are given. */
export const StartAuthSession = command('StartAuthSession', 0x176, {
  handles: { tpmKey: 'none', bind: 'none' },
  parameters: {
    nonceCaller: digest,
    encryptedSalt: optional(encryptedSecret, new Uint8Array(0)),
    sessionType: u8,
    symmetric: tpmtSymDef,
    authHash: u16,
  },
  responseHandle: 'sessionHandle',
  response: { nonceTPM: digest },
});
/** Sets the digest of a policy session back to its start. */
export const PolicyRestart = command('PolicyRestart', 0x180, { handles: { sessionHandle: 'none' } });
