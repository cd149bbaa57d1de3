import { type Authorization, HANDLE } from './command.ts';
import { DictionaryAttackLockReset, DictionaryAttackParameters } from './commands/dictionary-attack.ts';
import { ClearControl, HierarchyChangeAuth } from './commands/hierarchy.ts';
import { run } from './commands/run.ts';
import type { TpmIo } from './executor.ts';

/** Hierarchies whose password `provision` sets. */
export type PasswordHierarchy = 'owner' | 'endorsement' | 'lockout';

/** After how many wrong guesses the TPM locks, and how fast it forgets them (s). */
export interface DictionaryAttackSettings {
  readonly maxTries: number;
  readonly recoveryTimeS: number;
  readonly lockoutRecoveryS: number;
}

/** TPM2_HierarchyChangeAuth. Both passwords stay off the wire where encryption is on, as it is by default. */
export async function changeHierarchyAuth(
  io: TpmIo,
  hierarchy: PasswordHierarchy,
  newAuth: Uint8Array,
  auth: Authorization = 'password',
): Promise<void> {
  await run(io, HierarchyChangeAuth, {
    handles: { authHandle: HANDLE[hierarchy] },
    parameters: { newAuth },
    auth: [auth],
  });
}

/** TPM2_DictionaryAttackParameters. */
export async function setDictionaryAttack(
  io: TpmIo,
  { maxTries, recoveryTimeS, lockoutRecoveryS }: DictionaryAttackSettings,
  auth: Authorization = 'password',
): Promise<void> {
  await run(io, DictionaryAttackParameters, {
    handles: { lockHandle: HANDLE.lockout },
    parameters: { newMaxTries: maxTries, newRecoveryTime: recoveryTimeS, lockoutRecovery: lockoutRecoveryS },
    auth: [auth],
  });
}

/** TPM2_DictionaryAttackLockReset: failed tries are forgotten. */
export async function resetLockout(io: TpmIo, auth: Authorization = 'password'): Promise<void> {
  await run(io, DictionaryAttackLockReset, { handles: { lockHandle: HANDLE.lockout }, auth: [auth] });
}

/** TPM2_ClearControl by lockout: after that only the platform can allow TPM2_Clear again. */
export async function disableClear(io: TpmIo, auth: Authorization = 'password'): Promise<void> {
  await run(io, ClearControl, {
    handles: { auth: HANDLE.lockout },
    parameters: { disable: true },
    auth: [auth],
  });
}
