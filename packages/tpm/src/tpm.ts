import { type ActivationRequest, activateCredential } from './activation.ts';
import { type Attestation, certify, getTime, type QuoteRequest, quote } from './attestation.ts';
import { capabilities, type HandleRange, listAlgorithms, listHandles, supportsEcdaa } from './capability.ts';
import type { CommandDefinition, HandleRoles, ResultOf } from './commands/command.ts';
import { type RunArguments, run } from './commands/run.ts';
import { Connection, type TpmOpenOptions, type TpmSource } from './connection.ts';
import type { TpmIo } from './executor.ts';
import { type HashRequest, type HashResult, hash } from './hash.ts';
import { inspect, type TpmInfo } from './inspect.ts';
import { getRandom, lockPlatform, shutdown, startup } from './lifecycle.ts';
import {
  type NvAccess,
  type NvCertifyRequest,
  type NvDefinition,
  nvCertify,
  nvDefine,
  nvExtend,
  nvIncrement,
  nvRead,
  nvReadCounter,
  nvReadPublic,
  nvUndefine,
  nvWrite,
} from './nv.ts';
import {
  createPrimary,
  flush,
  type LoadedKey,
  type PrimaryRequest,
  readPublic,
  type TpmKey,
} from './object.ts';
import { pcrExtend, pcrRead, pcrReadBanks } from './pcr.ts';
import { type PcrPolicy, pcrPolicyDigestOf } from './pcr-policy.ts';
import { type Provisioned, type ProvisionRequest, provision } from './provision.ts';
import type { TurnTerms } from './queue.ts';
import { type SealOptions, seal, unseal } from './sealing.ts';
import type { CapabilityGroup, CapabilityItem } from './structures/capability-data.ts';
import type { Fields } from './structures/codec.ts';
import type { NvPublic } from './structures/context.ts';
import type { PcrBankValues, PcrChoice, PcrValue } from './structures/pcr-selection.ts';
import type { HashValue } from './structures/signature.ts';
import { proveVrf, type VrfProof } from './vrf-prover.ts';

const FIRST_RESPONSE_MS = 10_000;

/**
 * A TPM 2.0. Every method is atomic: its commands run without another method's between them. Errors are `TpmError`.
 */
export class Tpm {
  readonly #connection: Connection;
  readonly #terms: TurnTerms | undefined;

  private constructor(connection: Connection, terms?: TurnTerms) {
    this.#connection = connection;
    this.#terms = terms;
  }

  /**
   * Starts the TPM if nobody has, and frees its slots. Given how to open a channel, it opens another one when that one
   * dies; see `Connection` for what is lost then. Owns the channel from here on, and closes it on failure.
   */
  static async open(source: TpmSource, options: TpmOpenOptions = {}): Promise<Tpm> {
    return new Tpm(await Connection.open(source, options));
  }

  /** False once its channel is known to be dead, or was closed. Where another can be opened, the next call does so. */
  get isOpen(): boolean {
    return this.#connection.isOpen;
  }

  /**
   * The same TPM on other terms: a caller's own lane, a limit for each call that includes waiting, a signal that cancels.
   * A call given up is let go at once (`TPM_CANCELLED`, `TPM_CHANNEL_TIMEOUT`); the command on its way is still executed,
   * none after it is sent, and what the call made is flushed.
   */
  with(terms: TurnTerms): Tpm {
    return new Tpm(this.#connection, { ...this.#terms, ...terms });
  }

  /**
   * Runs several commands as one. When `work` fails, every object and session that it made is flushed. It must use the
   * `io` it is given: a method of this object throws `TPM_CALL_NESTED` there, because it would wait for its own end.
   */
  exclusive<T>(work: (io: TpmIo) => Promise<T>): Promise<T> {
    return this.#connection.exclusive(work, this.#terms);
  }

  /** Any command of `@nemea/tpm/commands`. Throws what `run` throws. */
  run<H extends HandleRoles, P extends Fields, N extends string, R extends Fields>(
    command: CommandDefinition<H, P, N, R>,
    ...request: RunArguments<H, P>
  ): Promise<ResultOf<N, R>> {
    return this.exclusive((io) => run(io, command, ...request));
  }

  /** TPM2_Startup(CLEAR); a running TPM is left as it is. */
  startup(): Promise<void> {
    return this.exclusive((io) => startup(io, FIRST_RESPONSE_MS));
  }

  /** TPM2_Shutdown(CLEAR), the last command before power is cut. */
  shutdown(): Promise<void> {
    return this.exclusive(shutdown);
  }

  /** Ends the session that hides secrets, and closes the channel. Objects stay in a software TPM until the next `open`. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  /** `await using` closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  getRandom(length: number): Promise<Uint8Array> {
    return this.exclusive((io) => getRandom(io, length));
  }

  /** SHA-256 bank, ascending order, all of one moment. */
  pcrRead(pcrs: readonly number[]): Promise<PcrValue[]> {
    return this.exclusive((io) => pcrRead(io, pcrs));
  }

  /** As `pcrRead`, of several banks, all of one moment. */
  pcrReadBanks(choice: PcrChoice): Promise<PcrBankValues[]> {
    return this.exclusive((io) => pcrReadBanks(io, choice));
  }

  /** Extends the SHA-256 bank, or each bank for which a digest is given and that the TPM keeps. */
  pcrExtend(pcr: number, digest: Uint8Array | readonly HashValue[]): Promise<void> {
    return this.exclusive((io) => pcrExtend(io, pcr, digest));
  }

  /** Stays in the TPM until it is disposed of (`await using`) or flushed. */
  async createPrimary(request: PrimaryRequest): Promise<LoadedKey> {
    return this.#owned(await this.exclusive((io) => createPrimary(io, request)));
  }

  readPublic(handle: number): Promise<TpmKey> {
    return this.exclusive((io) => readPublic(io, handle));
  }

  flush(handle: number): Promise<void> {
    return this.exclusive((io) => flush(io, handle));
  }

  /** Defines an NV index in the owner hierarchy. */
  nvDefine(definition: NvDefinition, access?: NvAccess): Promise<void> {
    return this.exclusive((io) => nvDefine(io, definition, access));
  }

  nvUndefine(index: number, access?: NvAccess): Promise<void> {
    return this.exclusive((io) => nvUndefine(io, index, access));
  }

  nvReadPublic(index: number): Promise<NvPublic & { name: Uint8Array }> {
    return this.exclusive((io) => nvReadPublic(io, index));
  }

  /** The whole contents, by the index's own password where it allows that, else by the owner's. */
  nvRead(index: number, access?: NvAccess): Promise<Uint8Array> {
    return this.exclusive((io) => nvRead(io, index, access));
  }

  /** The value of a counter, which was incremented once at least. */
  nvReadCounter(index: number, access?: NvAccess): Promise<bigint> {
    return this.exclusive((io) => nvReadCounter(io, index, access));
  }

  /** Writes from the start of the index. */
  nvWrite(index: number, data: Uint8Array, access?: NvAccess): Promise<void> {
    return this.exclusive((io) => nvWrite(io, index, data, access));
  }

  /** Counts up, and returns the new value. */
  nvIncrement(index: number, access?: NvAccess): Promise<bigint> {
    return this.exclusive((io) => nvIncrement(io, index, access));
  }

  nvExtend(index: number, data: Uint8Array, access?: NvAccess): Promise<void> {
    return this.exclusive((io) => nvExtend(io, index, data, access));
  }

  nvCertify(ak: TpmKey, request: NvCertifyRequest): Promise<Attestation> {
    return this.exclusive((io) => nvCertify(io, ak, request));
  }

  /** A digest by the TPM, of data of any length. */
  hash(request: HashRequest): Promise<HashResult> {
    return this.exclusive((io) => hash(io, request));
  }

  quote(ak: TpmKey, request: QuoteRequest): Promise<Attestation> {
    return this.exclusive((io) => quote(io, ak, request));
  }

  getTime(ak: TpmKey, qualifyingData: Uint8Array): Promise<Attestation> {
    return this.exclusive((io) => getTime(io, ak, qualifyingData));
  }

  certify(object: TpmKey, ak: TpmKey, qualifyingData: Uint8Array): Promise<Attestation> {
    return this.exclusive((io) => certify(io, object, ak, qualifyingData));
  }

  /** Throws `TPM_CREDENTIAL_REFUSED`. */
  activateCredential(request: ActivationRequest): Promise<Uint8Array> {
    return this.exclusive((io) => activateCredential(io, request));
  }

  /** Seals up to 128 bytes to this TPM and, with `pcrs`, to their values of now. */
  seal(secret: Uint8Array, options: SealOptions = {}): Promise<Uint8Array> {
    return this.exclusive((io) => seal(io, secret, options));
  }

  /** Throws `TPM_UNSEAL_REFUSED`. */
  unseal(blob: Uint8Array): Promise<Uint8Array> {
    return this.exclusive((io) => unseal(io, blob));
  }

  /**
   * Proves a VRF output with an ECDAA key. `alpha` is at most 91 bytes: hash what is longer. A key under a policy wants
   * the policy; `TPM_POLICY_REFUSED` when it does not hold.
   */
  vrfProve(key: TpmKey, alpha: Uint8Array, policy?: PcrPolicy): Promise<VrfProof> {
    return this.exclusive((io) => proveVrf(io, key, alpha, policy));
  }

  /** The policy digest for the template of a key that is bound to PCRs, as they are now or as an authority approves. */
  pcrPolicyDigest(policy: PcrPolicy): Promise<Uint8Array> {
    return this.exclusive((io) => pcrPolicyDigestOf(io, policy));
  }

  /** Disables the platform hierarchy until the next start. */
  lockPlatform(): Promise<void> {
    return this.exclusive(lockPlatform);
  }

  /** All that the TPM says of itself in one group, however many pages that takes. */
  capabilities<G extends CapabilityGroup>(group: G, first?: number): Promise<CapabilityItem<G>[]> {
    return this.exclusive((io) => capabilities(io, group, first));
  }

  /** What the TPM says of itself, by no password and without a change. */
  inspect(): Promise<TpmInfo> {
    return this.exclusive(inspect);
  }

  /** Makes the TPM ready for attestation; see the function of this name. */
  provision(request: ProvisionRequest = {}): Promise<Provisioned> {
    return this.exclusive((io) => provision(io, request));
  }

  listHandles(range: HandleRange): Promise<number[]> {
    return this.exclusive((io) => listHandles(io, range));
  }

  listAlgorithms(): Promise<number[]> {
    return this.exclusive(listAlgorithms);
  }

  supportsEcdaa(): Promise<boolean> {
    return this.exclusive(supportsEcdaa);
  }

  #owned(key: TpmKey): LoadedKey {
    return { ...key, [Symbol.asyncDispose]: () => this.#connection.release(key.handle) };
  }
}

/** `Tpm.vrfProve` as a function, beside the RFC 9381 prover of the same shape. */
export function tpmVrfProve(tpm: Tpm, key: TpmKey, alpha: Uint8Array): Promise<VrfProof> {
  return tpm.vrfProve(key, alpha);
}
