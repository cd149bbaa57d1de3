import { type Authorization, isRefusal } from './command.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import { pcrRead } from './pcr.ts';
import { policyPcr, underPolicy } from './sessions/policy.ts';
import { approve, type PolicyAuthority } from './sessions/policy-means.ts';
import type { Session } from './sessions/session.ts';
import { pcrDigest } from './structures/pcr-selection.ts';
import { pcrPolicyDigest, policyDigest } from './structures/policy-digest.ts';
import { nameOf } from './structures/public-area.ts';
import { RC } from './structures/return-code.ts';

/** SHA-256 PCRs that a key is bound to: to the values of its making or, with an authority, to any that it approves. [EK-17] */
export interface PcrPolicy {
  readonly pcrs: readonly number[];
  readonly authority?: PolicyAuthority;
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
  if (authority !== undefined) await approve(io, session, authority);
}

async function digestNow(io: TpmIo, pcrs: readonly number[]): Promise<Uint8Array> {
  const values = await pcrRead(io, pcrs);
  return pcrPolicyDigest(
    values.map(({ pcr }) => pcr),
    pcrDigest(values.map(({ value }) => value)),
  );
}
