import { ByteWriter } from '@nemea/core';
import { type Command, HANDLE } from './command.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import type { TpmKey } from './object.ts';
import { ALG } from './structures/algorithms.ts';
import { parseWhole, readSized, STRUCTURE_BYTES_MAX, writeSized } from './structures/buffer.ts';
import { encodePcrSelection } from './structures/pcr-selection.ts';

/** TPMS_ATTEST and TPMT_SIGNATURE exactly as the TPM returned them: the signature covers these very bytes. */
export interface Attestation {
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
}

export interface QuoteRequest {
  readonly qualifyingData: Uint8Array;
  readonly pcrs: readonly number[];
}

// TPM2B_DATA holds a name-sized value: algorithm and SHA-512 digest.
const QUALIFYING_BYTES_MAX = 66;

/** TPM2_Quote over SHA-256 PCRs. */
export async function quote(io: TpmIo, ak: TpmKey, request: QuoteRequest): Promise<Attestation> {
  return await attest(io, {
    name: 'quote',
    handles: [ak.handle],
    authorizations: ['password'],
    parameters: qualified(request.qualifyingData).bytes(encodePcrSelection(request.pcrs)).toBytes(),
  });
}

/** TPM2_GetTime, by the endorsement hierarchy with an empty password. */
export async function getTime(io: TpmIo, ak: TpmKey, qualifyingData: Uint8Array): Promise<Attestation> {
  return await attest(io, {
    name: 'getTime',
    handles: [HANDLE.endorsement, ak.handle],
    authorizations: ['password', 'password'],
    parameters: qualified(qualifyingData).toBytes(),
  });
}

/** TPM2_Certify: `ak` states that `object` is in the same TPM. */
export async function certify(
  io: TpmIo,
  object: TpmKey,
  ak: TpmKey,
  qualifyingData: Uint8Array,
): Promise<Attestation> {
  return await attest(io, {
    name: 'certify',
    handles: [object.handle, ak.handle],
    authorizations: ['password', 'password'],
    parameters: qualified(qualifyingData).toBytes(),
  });
}

/** Qualifying data, then TPM_ALG_NULL: the key's own scheme. */
function qualified(qualifyingData: Uint8Array): ByteWriter {
  if (qualifyingData.length > QUALIFYING_BYTES_MAX) {
    throw new TpmError(
      'TPM_ARGUMENT_INVALID',
      `qualifying data: got ${qualifyingData.length} bytes, want at most ${QUALIFYING_BYTES_MAX}`,
    );
  }
  return writeSized(new ByteWriter(), qualifyingData).u16(ALG.null);
}

async function attest(io: TpmIo, command: Command): Promise<Attestation> {
  const { parameters } = await io.send(command);
  return parseWhole(command.name, parameters, (reader) => ({
    attest: readSized(reader, 'attestation', STRUCTURE_BYTES_MAX),
    signature: reader.bytes(reader.remaining),
  }));
}
