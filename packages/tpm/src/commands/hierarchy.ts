import { list, u16, u32, yesNo } from '../structures/codec.ts';
import { digest } from './buffers.ts';
import { command } from './command.ts';

const authority = { authHandle: 'user' } as const;
const commandCodes = list('command codes', u32, 256);

export const HierarchyControl = command('HierarchyControl', 0x121, {
  handles: authority,
  parameters: { enable: u32, state: yesNo('state') },
});
export const HierarchyChangeAuth = command('HierarchyChangeAuth', 0x129, {
  handles: authority,
  parameters: { newAuth: digest },
});
export const SetPrimaryPolicy = command('SetPrimaryPolicy', 0x12e, {
  handles: authority,
  parameters: { authPolicy: digest, hashAlg: u16 },
});
export const ChangePPS = command('ChangePPS', 0x125, { handles: authority });
export const ChangeEPS = command('ChangeEPS', 0x124, { handles: authority });
export const Clear = command('Clear', 0x126, { handles: authority });
export const ClearControl = command('ClearControl', 0x127, {
  handles: { auth: 'user' },
  parameters: { disable: yesNo('disable') },
});
export const PP_Commands = command('PP_Commands', 0x12d, {
  handles: { auth: 'user' },
  parameters: { setList: commandCodes, clearList: commandCodes },
});
export const SetAlgorithmSet = command('SetAlgorithmSet', 0x13f, {
  handles: authority,
  parameters: { algorithmSet: u32 },
});
