import { type Authorization, returnCodeOf } from './command.ts';
import { Create, Unseal } from './commands/object.ts';
import { run } from './commands/run.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import { type TpmKey, withLoaded, withPrimary } from './object.ts';
import { pcrRead } from './pcr.ts';
import { canonicalPcrs, encodeSealedBlob, parseSealedBlob } from './sealed-blob.ts';
import { policyPcr, underPolicy } from './sessions/policy.ts';
import { ALG, OBJECT_ATTRIBUTE } from './structures/algorithms.ts';
import { pcrDigest } from './structures/pcr-selection.ts';
import { pcrPolicyDigest } from './structures/policy-digest.ts';
import { encodePublicArea, type PublicArea } from './structures/public-area.ts';
import { TEMPLATES } from './structures/templates.ts';

/** Without `pcrs` the secret is bound to the TPM alone, not to what runs on the machine. */
export interface SealOptions {
  readonly pcrs?: readonly number[];
}

// Endorsement hierarchy: nothing to store, and no owner password in the way. TPM2_Clear still destroys what is sealed.
const SRK = { hierarchy: 'endorsement', template: TEMPLATES.srk } as const;
// TPM2B_SENSITIVE_DATA of the smallest TPMs (MAX_SYM_DATA).
const SECRET_BYTES_MAX = 128;
const EMPTY = new Uint8Array(0);

/** Seals `secret` under the storage root key, to the values the PCRs have now. Returns one self-describing blob. */
export async function seal(io: TpmIo, secret: Uint8Array, options: SealOptions): Promise<Uint8Array> {
  if (secret.length === 0 || secret.length > SECRET_BYTES_MAX) {
    throw new TpmError(
      'TPM_ARGUMENT_INVALID',
      `secret: got ${secret.length} bytes, want 1 to ${SECRET_BYTES_MAX}`,
    );
  }
  const pcrs = canonicalPcrs(options.pcrs ?? []);
  const inPublic = await sealedTemplate(io, pcrs);
  return await withPrimary(io, SRK, async (srk) => {
    const { outPrivate, outPublic } = await run(io, Create, {
      handles: { parentHandle: srk },
      parameters: { inSensitive: { userAuth: EMPTY, data: secret }, inPublic },
    });
    return encodeSealedBlob({ pcrs, privateArea: outPrivate, publicArea: encodePublicArea(outPublic) });
  });
}

/** TPMT_PUBLIC of what `seal` made: its policy says to which PCR values. Throws `TPM_STRUCTURE_INVALID`. */
export function sealedPublicArea(blob: Uint8Array): Uint8Array {
  return parseSealedBlob(blob).publicArea;
}

async function sealedTemplate(io: TpmIo, pcrs: readonly number[]): Promise<PublicArea> {
  const fixed = OBJECT_ATTRIBUTE.fixedTpm | OBJECT_ATTRIBUTE.fixedParent | OBJECT_ATTRIBUTE.noDa;
  const area = {
    type: 'keyed-hash',
    nameAlg: ALG.sha256,
    scheme: undefined,
    unique: EMPTY,
  } as const;
  if (pcrs.length === 0) {
    const attributes = fixed | OBJECT_ATTRIBUTE.userWithAuth;
    return { ...area, attributes, authPolicy: EMPTY };
  }
  const values = (await pcrRead(io, pcrs)).map(({ value }) => value);
  // Without userWithAuth the policy is the only way in.
  return { ...area, attributes: fixed, authPolicy: pcrPolicyDigest(pcrs, pcrDigest(values)) };
}

/**
 * The secret of a blob made by `seal` on this TPM. Throws `TPM_UNSEAL_REFUSED` when the PCRs differ from the sealed
 * ones or the blob belongs to another TPM, `TPM_STRUCTURE_INVALID` for other bytes.
 */
export async function unseal(io: TpmIo, bytes: Uint8Array): Promise<Uint8Array> {
  const { pcrs, privateArea, publicArea } = parseSealedBlob(bytes);
  try {
    return await withPrimary(io, SRK, (srk) =>
      withLoaded(io, { parent: srk, privateArea, publicArea }, (object) =>
        pcrs.length === 0 ? unsealObject(io, object, 'password') : unsealByPolicy(io, object, pcrs),
      ),
    );
  } catch (cause) {
    if (returnCodeOf(cause) === undefined) throw cause;
    throw new TpmError('TPM_UNSEAL_REFUSED', 'the tpm refuses to unseal: other pcr values or another tpm', {
      cause,
    });
  }
}

async function unsealByPolicy(io: TpmIo, object: TpmKey, pcrs: readonly number[]): Promise<Uint8Array> {
  return await underPolicy(io, {
    assert: (session) => policyPcr(io, session, pcrs),
    use: (session) => unsealObject(io, object, { session, continueSession: false }),
  });
}

async function unsealObject(io: TpmIo, object: TpmKey, authorization: Authorization): Promise<Uint8Array> {
  const { outData } = await run(io, Unseal, { handles: { itemHandle: object }, auth: [authorization] });
  return outData;
}
