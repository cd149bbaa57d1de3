import { type ActivationRequest, activateCredential } from './activation.ts';
import { type Attestation, certify, getTime, type QuoteRequest, quote } from './attestation.ts';
import { type HandleRange, listAlgorithms, listHandles, supportsEcdaa } from './capability.ts';
import type { TpmChannel } from './channel/channel.ts';
import { openExecutor, type TpmIo } from './executor.ts';
import { flushLeftovers, getRandom, lockPlatform, shutdown, startup } from './lifecycle.ts';
import { nvRead } from './nv.ts';
import { createPrimary, flush, type PrimaryRequest, readPublic, type TpmKey } from './object.ts';
import { type PcrValue, pcrExtend, pcrRead } from './pcr.ts';
import { TurnQueue } from './queue.ts';
import { type SealOptions, seal, unseal } from './sealing.ts';
import { proveVrf, type VrfProof } from './vrf-prover.ts';

export interface TpmOpenOptions {
  /**
   * Flush objects and sessions an earlier client left behind (default). Say no behind a resource manager such as
   * /dev/tpmrm0, which does it by itself and where sessions of other programs would be hit.
   */
  readonly flushLeftovers?: boolean;
  /** Limit for the first response: a software TPM that serves another client answers nothing at all. */
  readonly timeoutMs?: number;
}

const FIRST_RESPONSE_MS = 10_000;
const CALLS_WAITING_MAX = 256;

/**
 * A TPM 2.0. Every method is atomic: its commands run without another method's between them. Errors are `TpmError`.
 */
export class Tpm {
  readonly #io: TpmIo;
  readonly #channel: TpmChannel;
  readonly #turns = new TurnQueue(CALLS_WAITING_MAX);

  private constructor(channel: TpmChannel) {
    this.#channel = channel;
    this.#io = openExecutor(channel);
  }

  /** Starts the TPM if nobody has, and frees its slots. Owns `channel` from here on, and closes it on failure. */
  static async open(channel: TpmChannel, options: TpmOpenOptions = {}): Promise<Tpm> {
    const tpm = new Tpm(channel);
    try {
      await tpm.exclusive((io) => startup(io, options.timeoutMs ?? FIRST_RESPONSE_MS));
      if (options.flushLeftovers ?? true) await tpm.exclusive(flushLeftovers);
      return tpm;
    } catch (error) {
      await channel.close();
      throw error;
    }
  }

  /** Runs several commands as one. `work` must use the `io` it is given; calling a method of this object would wait for ever. */
  exclusive<T>(work: (io: TpmIo) => Promise<T>): Promise<T> {
    return this.#turns.run(() => work(this.#io));
  }

  /** TPM2_Startup(CLEAR); a running TPM is left as it is. */
  startup(): Promise<void> {
    return this.exclusive((io) => startup(io, FIRST_RESPONSE_MS));
  }

  /** TPM2_Shutdown(CLEAR), the last command before power is cut. */
  shutdown(): Promise<void> {
    return this.exclusive(shutdown);
  }

  /** Closes the channel. Objects stay in a software TPM until the next `open`. */
  close(): Promise<void> {
    return this.#channel.close();
  }

  getRandom(length: number): Promise<Uint8Array> {
    return this.exclusive((io) => getRandom(io, length));
  }

  /** SHA-256 bank, ascending order, all of one moment. */
  pcrRead(pcrs: readonly number[]): Promise<PcrValue[]> {
    return this.exclusive((io) => pcrRead(io, pcrs));
  }

  pcrExtend(pcr: number, digest: Uint8Array): Promise<void> {
    return this.exclusive((io) => pcrExtend(io, pcr, digest));
  }

  /** Takes an object slot until `flush`. */
  createPrimary(request: PrimaryRequest): Promise<TpmKey> {
    return this.exclusive((io) => createPrimary(io, request));
  }

  readPublic(handle: number): Promise<TpmKey> {
    return this.exclusive((io) => readPublic(io, handle));
  }

  flush(handle: number): Promise<void> {
    return this.exclusive((io) => flush(io, handle));
  }

  nvRead(index: number): Promise<Uint8Array> {
    return this.exclusive((io) => nvRead(io, index));
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

  /** Proves a VRF output with an ECDAA key. `alpha` is at most 91 bytes: hash what is longer. */
  vrfProve(key: TpmKey, alpha: Uint8Array): Promise<VrfProof> {
    return this.exclusive((io) => proveVrf(io, key, alpha));
  }

  /** Disables the platform hierarchy until the next start. */
  lockPlatform(): Promise<void> {
    return this.exclusive(lockPlatform);
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
}

/** `Tpm.vrfProve` as a function, beside the RFC 9381 prover of the same shape. */
export function tpmVrfProve(tpm: Tpm, key: TpmKey, alpha: Uint8Array): Promise<VrfProof> {
  return tpm.vrfProve(key, alpha);
}
