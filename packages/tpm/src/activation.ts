import { bytesEqual } from '@nemea/core';
import { type Authorization, returnCodeOf } from './command.ts';
import { ActivateCredential } from './commands/credential.ts';
import { PolicyOR } from './commands/policy.ts';
import { run } from './commands/run.ts';
import type { Credential } from './credential.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import type { TpmKey } from './object.ts';
import { policySecretEndorsement, withPolicySession } from './sessions/policy.ts';
import type { Session } from './sessions/session.ts';
import { EK_POLICIES } from './structures/ek-templates.ts';
import { type PublicArea, parsePublicArea } from './structures/public-area.ts';

/** A credential, and the two keys that it was made for. */
export interface ActivationRequest extends Credential {
  readonly ak: TpmKey;
  readonly ek: TpmKey;
  /** Of the endorsement hierarchy; the empty password when absent. */
  readonly endorsementAuth?: Authorization | undefined;
}

/**
 * TPM2_ActivateCredential: the secret comes out only if `ak` is the key the credential names and `ek` the one it was
 * made for, both in this TPM. Throws `TPM_CREDENTIAL_REFUSED` otherwise.
 */
export async function activateCredential(io: TpmIo, request: ActivationRequest): Promise<Uint8Array> {
  const ek = parsePublicArea(request.ek.publicArea);
  const use = async (session: Session): Promise<Uint8Array> => {
    await satisfyPolicy(io, session, ek, request.endorsementAuth);
    return await activate(io, request, { session, continueSession: false });
  };
  return await withPolicySession(io, use, { hashAlg: ek.nameAlg });
}

/** PolicyA, the endorsement password; keys of the high range want PolicyB, which is PolicyA or PolicyC. [EK-3] */
async function satisfyPolicy(
  io: TpmIo,
  session: Session,
  ek: PublicArea,
  endorsementAuth: Authorization | undefined,
): Promise<void> {
  await policySecretEndorsement(io, session, endorsementAuth);
  const policies = EK_POLICIES.get(ek.nameAlg);
  if (policies === undefined || !bytesEqual(ek.authPolicy, policies.b)) return;
  const branches = { pHashList: [policies.a, policies.c] };
  await run(io, PolicyOR, { handles: { policySession: session }, parameters: branches });
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
