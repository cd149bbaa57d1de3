import { ByteWriter, bytesEqual, fromHex } from '@nemea/core';
import { type Authorization, HANDLE, returnCodeOf } from './command.ts';
import { ActivateCredential } from './commands/credential.ts';
import { PolicyOR } from './commands/policy.ts';
import { run } from './commands/run.ts';
import type { Credential } from './credential.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import type { TpmKey } from './object.ts';
import { policySecretEndorsement, withPolicySession } from './sessions/policy.ts';
import type { Session } from './sessions/session.ts';
import { ALG } from './structures/algorithms.ts';
import { policyDigest } from './structures/policy-digest.ts';
import { type PublicArea, parsePublicArea } from './structures/public-area.ts';

export interface ActivationRequest extends Credential {
  readonly ak: TpmKey;
  readonly ek: TpmKey;
}

/**
 * TPM2_ActivateCredential: the secret comes out only if `ak` is the key the credential names and `ek` the one it was
 * made for, both in this TPM. Throws `TPM_CREDENTIAL_REFUSED` otherwise.
 */
export async function activateCredential(io: TpmIo, request: ActivationRequest): Promise<Uint8Array> {
  const ek = parsePublicArea(request.ek.publicArea);
  const use = async (session: Session): Promise<Uint8Array> => {
    await satisfyPolicy(io, session, ek);
    return await activate(io, request, { session, continueSession: false });
  };
  return await withPolicySession(io, use, { hashAlg: ek.nameAlg });
}

const ENDORSEMENT = new ByteWriter().u32(HANDLE.endorsement).toBytes();
/**
 * What opens keys of the high range besides the endorsement password: the policy that an NV index of the platform holds
 * (TCG EK Credential Profile 2.5, B.6.5, PolicyC).
 */
const POLICY_C: ReadonlyMap<number, Uint8Array> = new Map([
  [ALG.sha256, fromHex('3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde')],
  [
    ALG.sha384,
    fromHex(
      'd6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165',
    ),
  ],
  [
    ALG.sha512,
    fromHex(
      '589ee1e146544716e8deafe6db247b01b81e9f9c7dd16b814aa159138749105fba5388dd1dea702f35240c184933121e2c61b8f50d3ef91393a49a38c3f73fc8',
    ),
  ],
]);

/** PolicyA, the endorsement password; keys of the high range want PolicyB, which is PolicyA or PolicyC. */
async function satisfyPolicy(io: TpmIo, session: Session, ek: PublicArea): Promise<void> {
  await policySecretEndorsement(io, session);
  const policyC = POLICY_C.get(ek.nameAlg);
  if (policyC === undefined) return;
  const branches = [policyDigest([{ type: 'secret', name: ENDORSEMENT }], ek.nameAlg), policyC];
  const policyB = policyDigest([{ type: 'or', digests: branches }], ek.nameAlg);
  if (!bytesEqual(ek.authPolicy, policyB)) return;
  await run(io, PolicyOR, { handles: { policySession: session }, parameters: { pHashList: branches } });
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
