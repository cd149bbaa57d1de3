import { type Authorization, returnCodeOf } from './command.ts';
import { ActivateCredential } from './commands/credential.ts';
import { run } from './commands/run.ts';
import type { Credential } from './credential.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import type { TpmKey } from './object.ts';
import { policySecretEndorsement, withPolicySession } from './sessions/policy.ts';

export interface ActivationRequest extends Credential {
  readonly ak: TpmKey;
  readonly ek: TpmKey;
}

/**
 * TPM2_ActivateCredential: the secret comes out only if `ak` is the key the credential names and `ek` the one it was
 * made for, both in this TPM. Throws `TPM_CREDENTIAL_REFUSED` otherwise.
 */
export async function activateCredential(io: TpmIo, request: ActivationRequest): Promise<Uint8Array> {
  return await withPolicySession(io, async (session) => {
    await policySecretEndorsement(io, session);
    return await activate(io, request, { session, continueSession: false });
  });
}

async function activate(
  io: TpmIo,
  { ak, ek, credentialBlob, encryptedSecret }: ActivationRequest,
  ekAuthorization: Authorization,
): Promise<Uint8Array> {
  try {
    const { certInfo } = await run(io, ActivateCredential, {
      handles: { activateHandle: ak, keyHandle: ek },
      parameters: { credentialBlob, secret: encryptedSecret },
      auth: ['password', ekAuthorization],
    });
    return certInfo;
  } catch (cause) {
    if (returnCodeOf(cause) === undefined) throw cause;
    throw new TpmError('TPM_CREDENTIAL_REFUSED', 'the credential is not for this tpm and attestation key', {
      cause,
    });
  }
}
