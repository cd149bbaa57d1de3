import { list, u16, u32, yesNo } from '../structures/codec.ts';
import { digest } from './buffers.ts';
import { command } from './command.ts';

const authority = { authHandle: 'user' } as const;
const commandCodes = list('command codes', u32, 256);

/** Enables or disables a hierarchy until the next start. */
export const HierarchyControl = command('HierarchyControl', 0x121, {
  handles: authority,
  parameters: { enable: u32, state: yesNo('state') },
});
/** Sets the password of a hierarchy or of lockout. */
export const HierarchyChangeAuth = command('HierarchyChangeAuth', 0x129, {
  handles: authority,
  parameters: { newAuth: digest },
});
/** Sets the policy by which a hierarchy or lockout may be used besides its password. */
export const SetPrimaryPolicy = command('SetPrimaryPolicy', 0x12e, {
  handles: authority,
  parameters: { authPolicy: digest, hashAlg: u16 },
});
/** Replaces the platform's seed: all its keys are gone. */
export const ChangePPS = command('ChangePPS', 0x125, { handles: authority });
/** Replaces the endorsement seed: **every EK certificate becomes worthless**. */
export const ChangeEPS = command('ChangeEPS', 0x124, { handles: authority });
/** Gives the TPM a new owner: storage keys, owner's NV indexes and passwords are gone; endorsement keys stay. */
export const Clear = command('Clear', 0x126, { handles: authority });
/** Forbids TPM2_Clear, or allows it again. */
export const ClearControl = command('ClearControl', 0x127, {
  handles: { auth: 'user' },
  parameters: { disable: yesNo('disable') },
});
/** Which commands want physical presence. */
export const PP_Commands = command('PP_Commands', 0x12d, {
  handles: { auth: 'user' },
  parameters: { setList: commandCodes, clearList: commandCodes },
});
/** Which set of algorithms the maker's firmware runs with. */
export const SetAlgorithmSet = command('SetAlgorithmSet', 0x13f, {
  handles: authority,
  parameters: { algorithmSet: u32 },
});
