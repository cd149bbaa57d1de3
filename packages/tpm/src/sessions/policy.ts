import { type Authorization, HANDLE, returnCodeOf } from '../command.ts';
import { PolicyPCR, PolicySecret } from '../commands/policy.ts';
import { run } from '../commands/run.ts';
import { PolicyRestart } from '../commands/session.ts';
import { TpmError } from '../errors.ts';
import type { TpmIo } from '../executor.ts';
import { type PcrChoice, toSelections } from '../structures/pcr-selection.ts';
import { RC } from '../structures/return-code.ts';
import { type Session, type SessionRequest, withSession } from './session.ts';

const POLICY_ATTEMPTS_MAX = 8;

/** A policy session for the length of `use`. */
export async function withPolicySession<T>(
  io: TpmIo,
  use: (session: Session) => Promise<T>,
  request: Omit<SessionRequest, 'type'> = {},
): Promise<T> {
  return await withSession(io, { ...request, type: 'policy' }, use);
}

/** What satisfies a policy, and the command that needs it satisfied. */
export interface PolicyWork<T> {
  assert(session: Session): Promise<void>;
  use(session: Session): Promise<T>;
}

/**
 * Satisfies a policy and uses it. Any extend between PolicyPCR and use ends the session's policy, even one of a PCR
 * that the policy does not name: with IMA that happens all the time, so both steps are repeated, a bounded number of
 * times. Throws `TPM_RETRIES_EXHAUSTED`.
 */
export async function underPolicy<T>(io: TpmIo, work: PolicyWork<T>): Promise<T> {
  return await withPolicySession(io, async (session) => {
    let changed: unknown;
    for (let attempt = 0; attempt < POLICY_ATTEMPTS_MAX; attempt++) {
      if (attempt > 0) await policyRestart(io, session);
      try {
        await work.assert(session);
        return await work.use(session);
      } catch (error) {
        if (returnCodeOf(error) !== RC.pcrChanged) throw error;
        changed = error;
      }
    }
    throw new TpmError(
      'TPM_RETRIES_EXHAUSTED',
      `pcrs changed during each of ${POLICY_ATTEMPTS_MAX} attempts`,
      {
        cause: changed,
      },
    );
  });
}

/** TPM2_PolicyRestart: back to the policy of a new session. */
export async function policyRestart(io: TpmIo, session: Session): Promise<void> {
  await run(io, PolicyRestart, { handles: { sessionHandle: session } });
}

/** TPM2_PolicySecret(endorsement): the policy of every TCG endorsement key. */
export async function policySecretEndorsement(
  io: TpmIo,
  session: Session,
  auth: Authorization = 'password',
): Promise<void> {
  const handles = { authHandle: HANDLE.endorsement, policySession: session };
  await run(io, PolicySecret, { handles, auth: [auth] });
}

/** TPM2_PolicyPCR over the values the PCRs have now. */
export async function policyPcr(io: TpmIo, session: Session, pcrs: PcrChoice): Promise<void> {
  await run(io, PolicyPCR, {
    handles: { policySession: session },
    parameters: { pcrs: toSelections(pcrs) },
  });
}
