import { u32 } from '../structures/codec.ts';
import { command } from './command.ts';

const lockout = { lockHandle: 'user' } as const;

/** Ends a lockout by the password of lockout. */
export const DictionaryAttackLockReset = command('DictionaryAttackLockReset', 0x139, { handles: lockout });
/** Times in seconds. */
export const DictionaryAttackParameters = command('DictionaryAttackParameters', 0x13a, {
  handles: lockout,
  parameters: { newMaxTries: u32, newRecoveryTime: u32, lockoutRecovery: u32 },
});
