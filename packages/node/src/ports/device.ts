import type { MeasuredLog, PcrReader } from '@nemea/attestation';
import type { CodedError } from '@nemea/core';
import type { Identity } from '@nemea/tpm';
import type { Endpoint } from '../protocol.ts';

/** The keys that a node's TPM holds, and what they do. None of them leaves it. */
export type DeviceIdentity = Pick<
  Identity,
  'ekPublic' | 'akPublic' | 'vrfPublic' | 'quote' | 'certifyVrf' | 'activateCredential' | 'vrfProve'
>;

/** A machine that runs: its TPM is open, its software measured, its keys unsealed. */
export interface Device {
  readonly account: string;
  /** Ed25519, raw; the PeerId follows from it. */
  readonly peerKey: Uint8Array;
  readonly peerId: string;
  /** Where it listens; port 0 means any. */
  readonly endpoint: Endpoint;
  readonly release: { readonly digest: Uint8Array; readonly name: string };
  readonly keys: { readonly peerSeed: Uint8Array; readonly accountKey: Uint8Array };
  readonly identity: DeviceIdentity;
  readonly tpm: PcrReader;
  readonly measured: MeasuredLog;
  /** Reads the firmware's event log; undefined for a TPM that no firmware measured into. */
  readonly eventLog: (() => Promise<Uint8Array>) | undefined;
  /** DER, the EK certificate first, up to its root. */
  readonly ekChain: readonly Uint8Array[];
  /**
   * Settles when the TPM is gone. Nothing can be proved any more, and what was measured is forgotten when the TPM
   * starts anew: close the device, and open it again from the beginning.
   */
  readonly lost: Promise<CodedError>;
  /** Ed25519 with the peer key. */
  sign(message: Uint8Array): Uint8Array;
  verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  close(): Promise<void>;
}
