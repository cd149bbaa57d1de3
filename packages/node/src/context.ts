import type { AttestationResult, MeasuredLog } from '@nemea/attestation';
import type { Member, MembershipState, OperationBody } from '@nemea/membership';
import type { Ledger } from '@nemea/sdk';
import type { Logger } from 'pino';
import type { Clock } from './ports/clock.ts';
import type { Random } from './ports/random.ts';
import type { Overlay } from './ports/transport.ts';

/** What a node's services share. Everything impure that they touch is named here. */
export interface NodeContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly measured: MeasuredLog;
  readonly tpm: NodeTpm;
  /** Signs with the peer key (Ed25519, 64 bytes). */
  sign(message: Uint8Array): Uint8Array;
  verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** The state that consensus has reached; undefined until this node has caught up with the order. */
  state(): MembershipState;
  /** This node as a member; undefined while it is none. */
  self(): Member | undefined;
  overlay(): Overlay;
  /** Puts an operation into the order: signs it, sends it to every member, repeats until it is executed or stale. */
  propose(body: OperationBody): void;
  /** Fresh evidence of this node over a challenge (32 bytes) and a binding (32 bytes). */
  collectEvidence(challenge: Uint8Array, binding: Uint8Array): Promise<Uint8Array>;
  /** A bare quote of this node over a challenge and a binding, for public certificates. */
  quote(challenge: Uint8Array, binding: Uint8Array): Promise<{ attest: Uint8Array; signature: Uint8Array }>;
  /** Judges a member's evidence by the agreed policy, and remembers its TPM clock. */
  appraiseMember(
    member: Member,
    evidence: Uint8Array,
    expected: { challenge: Uint8Array; binding: Uint8Array },
  ): AttestationResult;
}

/** What services need of the TPM identity. */
export interface NodeTpm {
  vrfProve(alpha: Uint8Array): Promise<{ beta: Uint8Array; proof: Uint8Array }>;
}
