/**
 * A TPM 2.0 client: keys, PCRs, quotes, credential activation, sealing and a VRF whose secret never leaves the TPM
 * (TPM 2.0 Library Specification revision 1.64). It trusts the TPM and the channel to it. It does not judge what the TPM
 * says (`@nemea/attestation` does), and its verifier-side half is the entry `@nemea/tpm/structures`.
 *
 * Any command of the specification is a typed call: `tpm.run(Quote, { handles, parameters })`, with the table in the entry
 * `@nemea/tpm/commands`. The methods of `Tpm` are for what takes several commands.
 *
 * Secrets cross the wire encrypted by a salted HMAC session (`EncryptionOptions`), and responses to them are
 * authenticated: a listener on the bus learns none of them. Against an active man in the middle the salt key has to be
 * pinned. Everything else (public keys, PCR values, quotes, sizes, which command was sent) is in the clear, and a
 * software TPM's socket still belongs in a folder of mode 0700: who may send commands needs no secrets of ours.
 *
 * **Channels.** `openUnixChannel`, `openTcpChannel` (software TPMs) and `openDeviceChannel` (/dev/tpmrm0, /dev/tpm0) give a
 * `TpmChannel`, and so does any `BytePipe` through `serialChannel`; `recordChannel` and `replayChannel` are for tests. Give
 * `Tpm.open` a function that opens a channel, and it opens another when one dies:
 *
 *     const tpm = await Tpm.open(() => openDeviceChannel());
 *
 * A new machine: `tpm.inspect()` says what it is, `tpm.provision()` makes it ready, `openIdentity` opens its keys.
 *
 * - **Callers** share a `Tpm`. A call is atomic; calls wait in a bounded queue, and lanes take turns:
 *   `tpm.with({ lane, timeoutMs, signal })` is the same TPM for one caller, with a limit and a way to cancel.
 * - **A lost TPM** fails the call that was on its way with `TPM_CHANNEL_*`. No command is sent again by itself, because it
 *   may have been executed; calls that waited and the next ones go to the new channel. Primary keys are made again when
 *   they are used, under the handles they had (`TPM_KEY_UNEXPECTED` if another TPM answers); other objects and all sessions
 *   of the old channel are gone, and their handles are never given again. Who must know that a TPM was started anew, and
 *   its PCRs with it, reads `resetCount` of a quote.
 * - **Slots** are managed: objects and sessions beyond the TPM's three or so are saved and loaded as they are needed, and
 *   what a failed or cancelled call made is flushed. A key is flushed when it is disposed of (`await using`).
 */
export type { ActivationRequest } from './activation.ts';
export type { Attestation, QuoteRequest } from './attestation.ts';
export type { HandleRange } from './capability.ts';
export {
  type BytePipe,
  type ChannelOptions,
  serialChannel,
  type TpmChannel,
  type TransmitOptions,
} from './channel/channel.ts';
export { openDeviceChannel } from './channel/device.ts';
export { type Exchange, recordChannel, replayChannel } from './channel/recording.ts';
export { openTcpChannel, type TcpAddress } from './channel/tcp.ts';
export { assertSocketPath, openUnixChannel } from './channel/unix.ts';
export {
  type Authorization,
  type Command,
  HANDLE,
  type HandleRef,
  isRefusal,
  type Response,
  returnCodeOf,
} from './command.ts';
export type { CommandDefinition, Role } from './commands/command.ts';
export { type RunRequest, run } from './commands/run.ts';
export type { TpmOpenOptions, TpmSource } from './connection.ts';
export { type Credential, makeCredential } from './credential.ts';
export {
  type EkOptions,
  type EndorsementKey,
  listEkCertificates,
  readEkCertificate,
  readEkChain,
  readEkTemplate,
  readEndorsementKey,
  withEk,
} from './endorsement-key.ts';
export { TpmError, type TpmErrorCode } from './errors.ts';
export type { TpmIo } from './executor.ts';
export type { HashRequest, HashResult } from './hash.ts';
export {
  changeHierarchyAuth,
  type DictionaryAttackSettings,
  disableClear,
  type PasswordHierarchy,
  resetLockout,
  setDictionaryAttack,
} from './hierarchy.ts';
export { type Identity, type IdentityOptions, openIdentity } from './identity.ts';
export { type DictionaryAttack, inspect, type TpmInfo } from './inspect.ts';
export type { NvAccess, NvCertifyRequest, NvDefinition } from './nv.ts';
export type { Hierarchy, LoadedKey, PrimaryRequest, TpmKey } from './object.ts';
export { authorityPolicyDigest, type PcrPolicy } from './pcr-policy.ts';
export { findPersistent, type PersistentOptions, removePersistent, storePersistent } from './persistent.ts';
export {
  PERSISTENT,
  type Provisioned,
  type ProvisionRequest,
  type ProvisionStep,
  type ProvisionStepName,
  provision,
} from './provision.ts';
export type { TurnTerms } from './queue.ts';
export { ResourceManager } from './resources/resource-manager.ts';
export { type SealOptions, sealedPublicArea } from './sealing.ts';
export { policyPcr, policyRestart, underPolicy, withPolicySession } from './sessions/policy.ts';
export type { PolicyApproval, PolicyAuthority, PolicyMeans, PolicySigner } from './sessions/policy-means.ts';
export type { EncryptionOptions } from './sessions/protection.ts';
export { satisfyPolicy } from './sessions/satisfy.ts';
export {
  type Session,
  type SessionRequest,
  type SessionUse,
  startSession,
  withSession,
} from './sessions/session.ts';
export { ALG, CURVE, NV_ATTRIBUTE, OBJECT_ATTRIBUTE } from './structures/algorithms.ts';
export type { PcrBankValues, PcrChoice, PcrSelection, PcrValue } from './structures/pcr-selection.ts';
export { nameOf } from './structures/public-area.ts';
export { TEMPLATES } from './structures/templates.ts';
export { Tpm, tpmVrfProve } from './tpm.ts';
export type { VrfProof } from './vrf-prover.ts';
