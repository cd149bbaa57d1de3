import { bytesEqual } from '@nemea/core';
import { type Authorization, HANDLE, isRefusal } from './command.ts';
import { LoadExternal } from './commands/object.ts';
import { PolicyAuthorize } from './commands/policy.ts';
import { run } from './commands/run.ts';
import { VerifySignature } from './commands/sign.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import { flush, released } from './object.ts';
import { pcrRead } from './pcr.ts';
import { policyPcr, underPolicy } from './sessions/policy.ts';
import type { Session } from './sessions/session.ts';
import { pcrDigest } from './structures/pcr-selection.ts';
import { approvalDigest, pcrPolicyDigest, policyDigest } from './structures/policy-digest.ts';
import { nameOf, parsePublicArea } from './structures/public-area.ts';
import { RC } from './structures/return-code.ts';
import { parseSignature } from './structures/signature.ts';

/** SHA-256 PCRs that a key is bound to: to the values of its making or, with an authority, to any that it approves. [EK-17] */
export interface PcrPolicy {
  readonly pcrs: readonly number[];
  readonly authority?: PolicyAuthority;
}

/** Who approves PCR values, so that a key outlives the update of what they measure (TPM2_PolicyAuthorize). */
export interface PolicyAuthority {
  /** TPMT_PUBLIC of a signing key whose private half is with whoever releases the software, not on this machine. */
  readonly publicArea: Uint8Array;
  /** Names the purpose, so that an approval for one is none for another. */
  readonly policyRef: Uint8Array;
  /** Approvals known by now; the one for the present values is looked up. */
  readonly approvals: readonly PcrApproval[];
}

export interface PcrApproval {
  /** `pcrPolicyDigest` of the approved values. */
  readonly approvedPolicy: Uint8Array;
  /** TPMT_SIGNATURE by the authority over `approvalDigest`. */
  readonly signature: Uint8Array;
}

/** The policy digest of a key that is bound by it, for its template: of the PCR values of now, or of the authority. */
export async function pcrPolicyDigestOf(io: TpmIo, { pcrs, authority }: PcrPolicy): Promise<Uint8Array> {
  return authority === undefined ? await digestNow(io, pcrs) : authorityPolicyDigest(authority);
}

/** The same for an authority, computed without a TPM. */
export function authorityPolicyDigest({
  publicArea,
  policyRef,
}: Omit<PolicyAuthority, 'approvals'>): Uint8Array {
  return policyDigest([{ type: 'authorize', name: nameOf(publicArea), policyRef }]);
}

/** Satisfies the policy for one use of the key. Throws `TPM_POLICY_REFUSED` when the PCRs hold other values. */
export async function underPcrPolicy<T>(
  io: TpmIo,
  policy: PcrPolicy,
  use: (auth: Authorization) => Promise<T>,
): Promise<T> {
  try {
    return await underPolicy(io, {
      assert: (session) => assertPolicy(io, session, policy),
      use: (session) => use({ session, continueSession: false }),
    });
  } catch (cause) {
    if (!isRefusal(cause, RC.policyFail)) throw cause;
    throw new TpmError('TPM_POLICY_REFUSED', 'the pcrs are not what the policy of the key demands', {
      cause,
    });
  }
}

async function assertPolicy(io: TpmIo, session: Session, { pcrs, authority }: PcrPolicy): Promise<void> {
  await policyPcr(io, session, pcrs);
  if (authority !== undefined) await authorize(io, session, authority, await digestNow(io, pcrs));
}

/** The TPM checks the approval's signature itself, and notes it in a ticket that PolicyAuthorize demands. */
async function authorize(
  io: TpmIo,
  session: Session,
  { publicArea, policyRef, approvals }: PolicyAuthority,
  policyNow: Uint8Array,
): Promise<void> {
  const approval = approvals.find(({ approvedPolicy }) => bytesEqual(approvedPolicy, policyNow));
  if (approval === undefined) throw new TpmError('TPM_POLICY_REFUSED', 'nobody approved these pcr values');
  const { approvedPolicy, signature } = approval;
  const { objectHandle } = await run(io, LoadExternal, {
    parameters: { inPrivate: undefined, inPublic: parsePublicArea(publicArea), hierarchy: HANDLE.owner },
  });
  const checkTicket = await released(
    async () => {
      const digest = approvalDigest(approvedPolicy, policyRef);
      const verified = await run(io, VerifySignature, {
        handles: { keyHandle: objectHandle },
        parameters: { digest, signature: parseSignature(signature) },
      });
      return verified.validation;
    },
    () => flush(io, objectHandle),
  );
  await run(io, PolicyAuthorize, {
    handles: { policySession: session },
    parameters: { approvedPolicy, policyRef, keySign: nameOf(publicArea), checkTicket },
  });
}

async function digestNow(io: TpmIo, pcrs: readonly number[]): Promise<Uint8Array> {
  const values = await pcrRead(io, pcrs);
  return pcrPolicyDigest(
    values.map(({ pcr }) => pcr),
    pcrDigest(values.map(({ value }) => value)),
  );
}
