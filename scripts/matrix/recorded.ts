import type { QuotedPcr } from '@nemea/attestation/eventlog';
import { fromHex } from '@nemea/core';
import { readVectorJson } from './bytes.ts';

interface RecordedAttestation {
  readonly name: string;
  readonly qualifyingData: string;
  readonly attest: string;
  readonly signature: string;
  readonly pcrs?: readonly { readonly pcr: number; readonly value: string }[];
}

const identity =
  readVectorJson<
    Record<
      'akPublic' | 'vrfPublic' | 'ekPublic' | 'ekCertificate' | 'caIntermediate' | 'caRoot' | 'akName',
      string
    >
  >('tpm/identity.json');
const attestations = readVectorJson<readonly RecordedAttestation[]>('tpm/attestations.json');

/** The keys of the TPM of `vectors/tpm`, and its certificate chain. */
export const IDENTITY = {
  akPublic: fromHex(identity.akPublic),
  vrfPublic: fromHex(identity.vrfPublic),
  ekPublic: fromHex(identity.ekPublic),
  ekCertificate: fromHex(identity.ekCertificate),
  caIntermediate: fromHex(identity.caIntermediate),
  caRoot: fromHex(identity.caRoot),
};

/** What that TPM said. */
export function recordedAttestation(name: 'quote' | 'get-time' | 'certify') {
  const found = attestations.find((it) => it.name === name);
  if (found === undefined) throw new Error(`no recorded ${name}`);
  const { qualifyingData, attest, signature, pcrs = [] } = found;
  return {
    qualifyingData: fromHex(qualifyingData),
    attest: fromHex(attest),
    signature: fromHex(signature),
    pcrs: pcrs.map(({ pcr, value }): QuotedPcr => ({ bank: 'sha256', pcr, value: fromHex(value) })),
  };
}
