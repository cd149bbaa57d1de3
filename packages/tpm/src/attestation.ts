import { isBytes } from '@nemea/core';
import { HANDLE } from './command.ts';
import { Certify, GetTime, Quote } from './commands/attestation.ts';
import { run } from './commands/run.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import type { TpmKey } from './object.ts';
import { type PcrChoice, toSelections } from './structures/pcr-selection.ts';
import { type AnySignature, encodeSignature } from './structures/signature.ts';

/** TPMS_ATTEST and TPMT_SIGNATURE exactly as the TPM returned them: the signature covers these very bytes. */
export interface Attestation {
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
}

/** What is quoted, and over what. */
export interface QuoteRequest {
  /** At most 66 bytes: a hash algorithm and the longest digest. */
  readonly qualifyingData: Uint8Array;
  readonly pcrs: PcrChoice;
}

/** For callers without types: a statement about nothing would be signed where the nonce goes by another name. */
export function assertQualifying(data: Uint8Array): void {
  if (!isBytes(data))
    throw new TpmError('TPM_ARGUMENT_INVALID', `qualifying data: got ${typeof data}, want Uint8Array`);
}

/** TPM2_Quote, by the scheme of the key, which must have one. */
export async function quote(
  io: TpmIo,
  ak: TpmKey,
  { qualifyingData, pcrs }: QuoteRequest,
): Promise<Attestation> {
  assertQualifying(qualifyingData);
  const { quoted, signature } = await run(io, Quote, {
    handles: { signHandle: ak },
    parameters: { qualifyingData, PCRselect: toSelections(pcrs) },
  });
  return attestation(quoted, signature);
}

/** TPM2_GetTime, by the endorsement hierarchy with an empty password. */
export async function getTime(io: TpmIo, ak: TpmKey, qualifyingData: Uint8Array): Promise<Attestation> {
  assertQualifying(qualifyingData);
  const { timeInfo, signature } = await run(io, GetTime, {
    handles: { privacyAdminHandle: HANDLE.endorsement, signHandle: ak },
    parameters: { qualifyingData },
  });
  return attestation(timeInfo, signature);
}

/** TPM2_Certify: `ak` states that `object` is in the same TPM. */
export async function certify(
  io: TpmIo,
  object: TpmKey,
  ak: TpmKey,
  qualifyingData: Uint8Array,
): Promise<Attestation> {
  assertQualifying(qualifyingData);
  const { certifyInfo, signature } = await run(io, Certify, {
    handles: { objectHandle: object, signHandle: ak },
    parameters: { qualifyingData },
  });
  return attestation(certifyInfo, signature);
}

/** A signature has one encoding, so these are the bytes that came. */
export function attestation(attest: Uint8Array, signature: AnySignature): Attestation {
  return { attest, signature: encodeSignature(signature) };
}
