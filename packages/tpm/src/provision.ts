import type { Authorization } from './command.ts';
import { type EndorsementKey, readEkChain, readEndorsementKey } from './endorsement-key.ts';
import type { TpmIo } from './executor.ts';
import {
  changeHierarchyAuth,
  type DictionaryAttackSettings,
  disableClear,
  type PasswordHierarchy,
  setDictionaryAttack,
} from './hierarchy.ts';
import { inspect, type TpmInfo } from './inspect.ts';
import { lockPlatform } from './lifecycle.ts';
import { type PrimaryRequest, type TpmKey, withPrimary } from './object.ts';
import { findPersistent, storePersistent } from './persistent.ts';
import { OBJECT_ATTRIBUTE } from './structures/algorithms.ts';
import { parseAnyPublicArea } from './structures/public-area.ts';
import { TEMPLATES } from './structures/templates.ts';

/** TCG TPM v2.0 Provisioning Guidance, 7.8: where others look for the storage root key, and a place for the AK. */
export const PERSISTENT = { srk: 0x81000001, ak: 0x81018000 } as const;

/** What `provision` sets; what is absent stays as it is. */
export interface ProvisionRequest {
  /** Passwords to set where there is none yet, and to use where there is one. Absent: left as it is. */
  readonly ownerAuth?: Uint8Array;
  /** Setting it hides every key of the endorsement hierarchy from who does not know it, this project's nodes included. */
  readonly endorsementAuth?: Uint8Array;
  readonly lockoutAuth?: Uint8Array;
  /** Default: 32 tries, one forgotten each 10 minutes, a day after a wrong lockout password. */
  readonly dictionaryAttack?: DictionaryAttackSettings;
  /** Disable TPM2_Clear until the platform allows it again. Default: left as it is. */
  readonly disableClear?: boolean;
  /** Default `PERSISTENT`. */
  readonly handles?: { readonly srk: number; readonly ak: number };
}

/** The steps, in the order of [EK-4]. */
export type ProvisionStepName =
  | 'platform-hierarchy'
  | 'endorsement-keys'
  | 'storage-root-key'
  | 'attestation-key'
  | 'dictionary-attack'
  | 'clear-control'
  | 'lockout-password'
  | 'owner-password'
  | 'endorsement-password';

/** `done`: changed now. `already`: was so. `left`: not asked for, or not possible; `detail` says which. */
export interface ProvisionStep {
  readonly step: ProvisionStepName;
  readonly outcome: 'done' | 'already' | 'left';
  readonly detail: string;
}

/** What each step did, and the TPM after it. */
export interface Provisioned {
  readonly steps: readonly ProvisionStep[];
  readonly info: TpmInfo;
  readonly endorsementKeys: readonly EndorsementKey[];
  /** Authorities above the EK certificates, as the maker stored them. */
  readonly ekChain: readonly Uint8Array[];
  readonly srk: TpmKey;
  readonly ak: TpmKey;
}

const DICTIONARY_ATTACK: DictionaryAttackSettings = {
  maxTries: 32,
  recoveryTimeS: 600,
  lockoutRecoveryS: 86_400,
};

/**
 * Makes a TPM ready for attestation, one step a line. A second run with the same request changes nothing. What cannot be
 * undone without the platform comes last, passwords behind everything that they would guard. Throws what its commands
 * throw, and `TPM_KEY_UNEXPECTED` for a foreign key at the AK's handle or a certificate of another key; what was done
 * until then stays. [EK-4]
 */
export async function provision(io: TpmIo, request: ProvisionRequest = {}): Promise<Provisioned> {
  const before = await inspect(io);
  const auth = currentPasswords(before, request);
  const handles = request.handles ?? PERSISTENT;
  const steps: ProvisionStep[] = [];
  const tell = (...told: readonly ProvisionStep[]): void => void steps.push(...told);

  tell(await offPlatform(io, before));
  const endorsementKeys = await findEndorsementKeys(io, before, auth.endorsement, tell);
  const ekChain = await readEkChain(io);
  const srk = await storeRootKey(io, handles.srk, auth.owner, tell);
  const ak = await storeAttestationKey(io, handles.ak, auth, tell);
  tell(await limitGuessing(io, before, request, auth.lockout));
  tell(await forbidClear(io, before, request, auth.lockout));
  for (const hierarchy of ['lockout', 'owner', 'endorsement'] as const) {
    tell(await setPassword(io, before, hierarchy, request[`${hierarchy}Auth`]));
  }
  return { steps, info: await inspect(io), endorsementKeys, ekChain, srk, ak };
}

type Passwords = Readonly<Record<PasswordHierarchy, Authorization | undefined>>;

/** What authorises now: the given password where one is set already, else the empty one. */
function currentPasswords({ passwordsSet }: TpmInfo, request: ProvisionRequest): Passwords {
  const current = (hierarchy: PasswordHierarchy): Authorization | undefined => {
    const password = request[`${hierarchy}Auth`];
    return passwordsSet[hierarchy] && password !== undefined ? { password } : undefined;
  };
  return { owner: current('owner'), endorsement: current('endorsement'), lockout: current('lockout') };
}

async function offPlatform(io: TpmIo, { hierarchies }: TpmInfo): Promise<ProvisionStep> {
  const step = 'platform-hierarchy';
  if (!hierarchies.platform) return { step, outcome: 'already', detail: 'off until the next start' };
  await lockPlatform(io);
  return { step, outcome: 'done', detail: 'off until the next start' };
}

type Tell = (step: ProvisionStep) => void;

async function findEndorsementKeys(
  io: TpmIo,
  { ekCertificates }: TpmInfo,
  endorsementAuth: Authorization | undefined,
  tell: Tell,
): Promise<EndorsementKey[]> {
  const keys: EndorsementKey[] = [];
  const options = endorsementAuth === undefined ? {} : { endorsementAuth };
  for (const id of ekCertificates) keys.push(await readEndorsementKey(io, id, options));
  const step = 'endorsement-keys';
  if (keys.length === 0) tell({ step, outcome: 'left', detail: 'the maker stored no certificate' });
  else tell({ step, outcome: 'already', detail: `${ekCertificates.join(', ')}, each of its certificate` });
  return keys;
}

/** Whoever stored a storage root key first keeps it: what is sealed under it would be lost. */
async function storeRootKey(
  io: TpmIo,
  handle: number,
  ownerAuth: Authorization | undefined,
  tell: Tell,
): Promise<TpmKey> {
  const step = 'storage-root-key';
  const found = await findPersistent(io, handle);
  if (found !== undefined) {
    tell({ step, outcome: 'already', detail: describe(found) });
    return found;
  }
  const primary = { hierarchy: 'owner', template: TEMPLATES.srk, auth: ownerAuth } as const;
  const stored = await storePrimary(io, primary, handle, ownerAuth);
  tell({ step, outcome: 'done', detail: describe(stored) });
  return stored;
}

/** The noDA attestation key that identities use: it works on while the TPM is locked out. */
async function storeAttestationKey(io: TpmIo, handle: number, auth: Passwords, tell: Tell): Promise<TpmKey> {
  const wasThere = (await findPersistent(io, handle)) !== undefined;
  const primary = { hierarchy: 'endorsement', template: TEMPLATES.ak, auth: auth.endorsement } as const;
  const stored = await storePrimary(io, primary, handle, auth.owner);
  tell({ step: 'attestation-key', outcome: wasThere ? 'already' : 'done', detail: describe(stored) });
  return stored;
}

async function storePrimary(
  io: TpmIo,
  primary: PrimaryRequest,
  handle: number,
  ownerAuth: Authorization | undefined,
): Promise<TpmKey> {
  const options = ownerAuth === undefined ? {} : { ownerAuth };
  return await withPrimary(io, primary, (key) => storePersistent(io, key, handle, options));
}

async function limitGuessing(
  io: TpmIo,
  before: TpmInfo,
  { dictionaryAttack: wanted = DICTIONARY_ATTACK }: ProvisionRequest,
  auth: Authorization | undefined,
): Promise<ProvisionStep> {
  const step = 'dictionary-attack';
  const { maxTries, recoveryTimeS, lockoutRecoveryS } = wanted;
  const detail = `${maxTries} tries, one forgotten each ${recoveryTimeS} s, ${lockoutRecoveryS} s for lockout`;
  const { dictionaryAttack: is } = before;
  if (
    is.maxTries === maxTries &&
    is.recoveryTimeS === recoveryTimeS &&
    is.lockoutRecoveryS === lockoutRecoveryS
  )
    return { step, outcome: 'already', detail };
  // A wrong lockout password blocks the lockout hierarchy for a day: none is tried.
  if (before.passwordsSet.lockout && auth === undefined) return leftForPassword(step);
  await setDictionaryAttack(io, wanted, auth);
  return { step, outcome: 'done', detail };
}

async function forbidClear(
  io: TpmIo,
  before: TpmInfo,
  request: ProvisionRequest,
  auth: Authorization | undefined,
): Promise<ProvisionStep> {
  const step = 'clear-control';
  if (before.clearDisabled) return { step, outcome: 'already', detail: 'TPM2_Clear is disabled' };
  if (request.disableClear !== true) return { step, outcome: 'left', detail: 'TPM2_Clear is allowed' };
  if (before.passwordsSet.lockout && auth === undefined) return leftForPassword(step);
  await disableClear(io, auth);
  return { step, outcome: 'done', detail: 'TPM2_Clear is disabled' };
}

async function setPassword(
  io: TpmIo,
  { passwordsSet }: TpmInfo,
  hierarchy: PasswordHierarchy,
  password: Uint8Array | undefined,
): Promise<ProvisionStep> {
  const step = `${hierarchy}-password` as const;
  if (passwordsSet[hierarchy]) return { step, outcome: 'already', detail: 'set' };
  if (password === undefined) return { step, outcome: 'left', detail: 'empty' };
  await changeHierarchyAuth(io, hierarchy, password);
  return { step, outcome: 'done', detail: 'set' };
}

function leftForPassword(step: ProvisionStepName): ProvisionStep {
  return { step, outcome: 'left', detail: 'needs the lockout password, which is set and was not given' };
}

function describe({ handle, publicArea }: TpmKey): string {
  const { type, attributes } = parseAnyPublicArea(publicArea);
  const guarded = attributes & OBJECT_ATTRIBUTE.noDa ? 'noDA' : 'guarded against guessing';
  return `${type} key at 0x${handle.toString(16)}, ${guarded}`;
}
