import { ByteWriter } from '@nemea/core';
import { type Authorization, returnCodeOf } from './command.ts';
import type { Credential } from './credential.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import type { TpmKey } from './object.ts';
import { policySecretEndorsement, withPolicySession } from './sessions/policy.ts';
import { parseWhole, readSized, writeSized } from './structures/buffer.ts';

const SECRET_BYTES_MAX = 64;

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
  request: ActivationRequest,
  ekAuthorization: Authorization,
): Promise<Uint8Array> {
  const parameters = writeSized(new ByteWriter(), request.credentialBlob);
  writeSized(parameters, request.encryptedSecret);
  try {
    const response = await io.send({
      name: 'activateCredential',
      handles: [request.ak, request.ek],
      authorizations: ['password', ekAuthorization],
      parameters: parameters.toBytes(),
    });
    return parseWhole('credential secret', response.parameters, (reader) =>
      readSized(reader, 'credential secret', SECRET_BYTES_MAX),
    );
  } catch (cause) {
    if (returnCodeOf(cause) === undefined) throw cause;
    throw new TpmError('TPM_CREDENTIAL_REFUSED', 'the credential is not for this tpm and attestation key', {
      cause,
    });
  }
}
