import type { PcrValue } from '@nemea/attestation';
import { CodedError, concatBytes, fromUtf8, sha256 } from '@nemea/core';
import type { DeviceIdentity } from '@nemea/node/ports';
import {
  ALG,
  digestOf,
  encodeAttest,
  encodePublicArea,
  encodeSignature,
  nameOf,
  type PcrChoice,
  parsePublicArea,
  pcrDigest,
  TEMPLATES,
} from '@nemea/tpm/structures';
import { proveVrf } from '@nemea/vrf';
import { p256 } from '@noble/curves/nist.js';
import type { Kernel } from '../kernel/kernel.ts';
import { type EndorsementKey, endorsementKey } from './endorsement.ts';

export class SimulatedTpmError extends CodedError<'TPM_LOCKED_OUT' | 'TPM_GONE' | 'TPM_CREDENTIAL_REFUSED'> {}

/** TPM_RH_ENDORSEMENT: the hierarchy that attestation keys live in. */
const ENDORSEMENT = Uint8Array.of(0x40, 0x00, 0x00, 0x0b);
const COMMAND_MS = 2;
/** Whose root layer 1 approves. */
export const MAKER = 'maker of simulated TPMs';

interface Volatile {
  readonly pcrs: Map<number, Uint8Array>;
}

/** What a roll-back brings back of a software TPM. */
export interface TpmCounters {
  readonly resetCount: number;
  readonly clockMs: number;
}

/**
 * A TPM in memory: registers, counters and keys that follow from its seed, and signatures that the real judge takes. It
 * signs by RFC 6979, so that one world has one trace.
 */
export class SimulatedTpm {
  readonly #kernel: Kernel;
  readonly #akSecret: Uint8Array;
  readonly #vrfSecret: Uint8Array;
  readonly #endorsement: EndorsementKey;
  readonly akPublic: Uint8Array;
  readonly vrfPublic: Uint8Array;
  #volatile: Volatile = { pcrs: new Map() };
  #resetCount = 1;
  #clockOffsetMs = 0;
  #lockedUntilMs = 0;
  #onReset: (() => void)[] = [];

  constructor(kernel: Kernel, name: string) {
    this.#kernel = kernel;
    this.#akSecret = sha256(fromUtf8(`ak ${name}`));
    this.#vrfSecret = sha256(fromUtf8(`vrf ${name}`));
    this.#endorsement = endorsementKey(name, MAKER);
    this.akPublic = publicAreaOf(TEMPLATES.ak, this.#akSecret);
    this.vrfPublic = publicAreaOf(TEMPLATES.vrf, this.#vrfSecret);
  }

  /** DER: the endorsement certificate, then its maker's root. */
  get ekChain(): readonly Uint8Array[] {
    return this.#endorsement.chain;
  }

  /** Power off and on: registers are zero, and whoever held the TPM open has lost it. */
  reset(): void {
    this.#volatile = { pcrs: new Map() };
    this.#resetCount++;
    for (const tell of this.#onReset.splice(0)) tell();
  }

  /** A software TPM whose state was copied and put back; only what a snapshot holds goes back, and it starts anew. */
  rollBack(to: TpmCounters): void {
    this.reset();
    this.#resetCount = to.resetCount;
    this.#clockOffsetMs = to.clockMs - this.#kernel.nowMs;
  }

  lockOut(durationMs: number): void {
    this.#lockedUntilMs = this.#kernel.nowMs + durationMs;
  }

  get #clockMs(): number {
    return Math.floor(this.#kernel.nowMs + this.#clockOffsetMs);
  }

  /** A session with this TPM: it ends with the next reset. */
  open(): {
    tpm: {
      pcrRead(pcrs: readonly number[]): Promise<readonly PcrValue[]>;
      pcrExtend(pcr: number, digest: Uint8Array): Promise<void>;
    };
    identity: DeviceIdentity;
    lost: Promise<CodedError>;
  } {
    const volatile = this.#volatile;
    const command = async <T>(run: () => T): Promise<T> => {
      await this.#kernel.sleep(COMMAND_MS);
      if (this.#volatile !== volatile) throw new SimulatedTpmError('TPM_GONE', 'the tpm was reset');
      if (this.#kernel.nowMs < this.#lockedUntilMs)
        throw new SimulatedTpmError('TPM_LOCKED_OUT', 'too many failed authorisations');
      return run();
    };
    const lost = new Promise<CodedError>((resolve) => {
      this.#onReset.push(() => resolve(new SimulatedTpmError('TPM_GONE', 'the tpm was reset')));
    });
    return {
      tpm: {
        pcrRead: (pcrs) => command(() => pcrs.map((pcr) => ({ pcr, value: registerOf(volatile, pcr) }))),
        pcrExtend: (pcr, digest) =>
          command(() => {
            volatile.pcrs.set(pcr, sha256(concatBytes(registerOf(volatile, pcr), digest)));
          }),
      },
      identity: {
        ekPublic: this.#endorsement.publicArea,
        akPublic: this.akPublic,
        vrfPublic: this.vrfPublic,
        quote: ({ pcrs, qualifyingData }) => command(() => this.#quote(volatile, pcrs, qualifyingData)),
        certifyVrf: (qualifyingData) => command(() => this.#certifyVrf(qualifyingData)),
        activateCredential: (credential) => command(() => this.#activate(credential)),
        vrfProve: (alpha) => command(() => proveVrf(this.#vrfSecret, alpha)),
      },
      lost,
    };
  }

  #activate(credential: Parameters<DeviceIdentity['activateCredential']>[0]): Uint8Array {
    const secret = this.#endorsement.activate(credential, nameOf(this.akPublic));
    if (secret === undefined)
      throw new SimulatedTpmError('TPM_CREDENTIAL_REFUSED', 'the credential is for another key');
    return secret;
  }

  #quote(volatile: Volatile, choice: PcrChoice, qualifyingData: Uint8Array) {
    const pcrs = choice.filter((pcr) => typeof pcr === 'number');
    const attest = encodeAttest({
      type: 'quote',
      ...this.#header(qualifyingData),
      pcrSelections: [{ hashAlg: ALG.sha256, pcrs }],
      pcrDigest: pcrDigest(pcrs.map((pcr) => registerOf(volatile, pcr))),
    });
    return { attest, signature: this.#sign(attest) };
  }

  #certifyVrf(qualifyingData: Uint8Array) {
    const name = nameOf(this.vrfPublic);
    const attest = encodeAttest({
      type: 'certify',
      ...this.#header(qualifyingData),
      name,
      qualifiedName: name,
    });
    return { attest, signature: this.#sign(attest) };
  }

  #header(extraData: Uint8Array) {
    const digest = digestOf(ALG.sha256, ENDORSEMENT, nameOf(this.akPublic));
    return {
      qualifiedSigner: concatBytes(Uint8Array.of(0x00, 0x0b), digest),
      extraData,
      clockInfo: { clock: BigInt(this.#clockMs), resetCount: this.#resetCount, restartCount: 0, safe: true },
      firmwareVersion: 1n,
    };
  }

  #sign(message: Uint8Array): Uint8Array {
    const rs = p256.sign(message, this.#akSecret, { lowS: false });
    return encodeSignature({ scheme: 'ecdsa', hashAlg: ALG.sha256, r: rs.slice(0, 32), s: rs.slice(32) });
  }
}

const PCR_BYTES = 32;

function registerOf({ pcrs }: Volatile, pcr: number): Uint8Array {
  return pcrs.get(pcr) ?? new Uint8Array(PCR_BYTES);
}

function publicAreaOf(template: Uint8Array, secret: Uint8Array): Uint8Array {
  const point = p256.getPublicKey(secret, false);
  const area = parsePublicArea(template);
  if (area.type !== 'ecc') throw new TypeError('the template is of an ECC key');
  return encodePublicArea({ ...area, x: point.slice(1, 33), y: point.slice(33) });
}
