import { X509Certificate } from 'node:crypto';
import { bytesEqual } from '@nemea/core';
import { activateCredential } from './activation.ts';
import { type Attestation, certify, type QuoteRequest } from './attestation.ts';
import { listHandles, supportsEcdaa } from './capability.ts';
import { isRefusal } from './command.ts';
import type { Credential } from './credential.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import { nvRead } from './nv.ts';
import { readPublic, type TpmKey, withPrimary } from './object.ts';
import { parsePublicArea } from './structures/public-area.ts';
import { toSpki } from './structures/public-key.ts';
import { RC } from './structures/return-code.ts';
import { matchesTemplate, TEMPLATES } from './structures/templates.ts';
import type { Tpm } from './tpm.ts';
import { proveVrf, type VrfProof } from './vrf-prover.ts';

/** The keys a TPM is known by. All follow from its endorsement seed: restarts and TPM2_Clear keep them. */
export interface Identity {
  /** TPMT_PUBLIC of the RSA-2048 endorsement key; `ekCertificate` is its maker's certificate, DER. */
  readonly ekPublic: Uint8Array;
  readonly ekCertificate: Uint8Array;
  readonly akPublic: Uint8Array;
  readonly akName: Uint8Array;
  readonly vrfPublic: Uint8Array;
  quote(request: QuoteRequest): Promise<Attestation>;
  getTime(qualifyingData: Uint8Array): Promise<Attestation>;
  /** The attestation key certifies the VRF key. */
  certifyVrf(qualifyingData: Uint8Array): Promise<Attestation>;
  /** Throws `TPM_CREDENTIAL_REFUSED`. */
  activateCredential(credential: Credential): Promise<Uint8Array>;
  /** `alpha` is a 32-byte hash. */
  vrfProve(alpha: Uint8Array): Promise<VrfProof>;
  /** Frees the attestation key's slot. The `Tpm` stays open. */
  close(): Promise<void>;
}

const EK = { hierarchy: 'endorsement', template: TEMPLATES.ek } as const;
const AK = { hierarchy: 'endorsement', template: TEMPLATES.ak } as const;
const VRF = { hierarchy: 'endorsement', template: TEMPLATES.vrf } as const;
// TCG EK Credential Profile: RSA-2048 certificate index; TCG Provisioning Guidance: persistent RSA EK.
const EK_CERTIFICATE_INDEX = 0x01c00002;
const EK_PERSISTENT_HANDLE = 0x81010001;
const ALPHA_BYTES = 32;

/**
 * Opens the TPM's identity. Only the attestation key stays loaded, so that a quote is one command; the others are made
 * anew for each use, because a TPM without a resource manager holds 3 objects. Throws `TPM_EK_CERTIFICATE_MISSING`,
 * `TPM_KEY_UNEXPECTED` (the certificate is not of this key) or `TPM_ALGORITHM_UNSUPPORTED` (no ECDAA).
 */
export async function openIdentity(tpm: Tpm): Promise<Identity> {
  const { ek, ekCertificate, vrfPublic } = await tpm.exclusive(readIdentity);
  const ak = await tpm.createPrimary(AK);
  return {
    ekPublic: ek.publicArea,
    ekCertificate,
    akPublic: ak.publicArea,
    akName: ak.name,
    vrfPublic,
    quote: (request) => tpm.quote(ak, request),
    getTime: (qualifyingData) => tpm.getTime(ak, qualifyingData),
    certifyVrf: (qualifyingData) =>
      tpm.exclusive((io) => withPrimary(io, VRF, (vrf) => certify(io, vrf, ak, qualifyingData))),
    activateCredential: (credential) =>
      tpm.exclusive((io) =>
        withEk(io, (loaded) => activateCredential(io, { ak, ek: loaded, ...credential })),
      ),
    vrfProve: async (alpha) => {
      assertAlpha(alpha);
      return await tpm.exclusive((io) => withPrimary(io, VRF, (vrf) => proveVrf(io, vrf, alpha)));
    },
    close: () => tpm.flush(ak.handle),
  };
}

async function readIdentity(
  io: TpmIo,
): Promise<{ ek: TpmKey; ekCertificate: Uint8Array; vrfPublic: Uint8Array }> {
  if (!(await supportsEcdaa(io))) {
    throw new TpmError('TPM_ALGORITHM_UNSUPPORTED', 'the tpm has no ecdaa: it cannot hold the vrf key');
  }
  const ekCertificate = await readEkCertificate(io);
  const ek = await withEk(io, async (key) => key);
  assertCertified(ek, ekCertificate);
  const vrf = await withPrimary(io, VRF, async (key) => key);
  return { ek, ekCertificate, vrfPublic: vrf.publicArea };
}

/** Protocol inputs are labelled hashes; a raw message here would be a caller's mistake. */
function assertAlpha(alpha: Uint8Array): void {
  if (alpha.length === ALPHA_BYTES) return;
  throw new TpmError('TPM_ARGUMENT_INVALID', `vrf alpha: got ${alpha.length} bytes, want ${ALPHA_BYTES}`);
}

/** The endorsement key where the maker made it persistent, else from its template, which costs an RSA key generation. */
async function withEk<T>(io: TpmIo, use: (ek: TpmKey) => Promise<T>): Promise<T> {
  if ((await listHandles(io, 'persistent')).includes(EK_PERSISTENT_HANDLE)) {
    const persistent = await readPublic(io, EK_PERSISTENT_HANDLE);
    if (matchesTemplate(persistent.publicArea, TEMPLATES.ek)) return await use(persistent);
  }
  return await withPrimary(io, EK, use);
}

async function readEkCertificate(io: TpmIo): Promise<Uint8Array> {
  try {
    return trimDer(await nvRead(io, EK_CERTIFICATE_INDEX));
  } catch (cause) {
    if (!isRefusal(cause, RC.handle)) throw cause;
    throw new TpmError(
      'TPM_EK_CERTIFICATE_MISSING',
      'the tpm holds no endorsement certificate at 0x01c00002',
      { cause },
    );
  }
}

/** Cuts the padding some makers leave behind the certificate. */
function trimDer(bytes: Uint8Array): Uint8Array {
  if (bytes[0] !== 0x30 || bytes[1] !== 0x82 || bytes.length < 4) {
    throw new TpmError(
      'TPM_STRUCTURE_INVALID',
      'endorsement certificate: want a der sequence with a two-byte length',
    );
  }
  const end = 4 + new DataView(bytes.buffer, bytes.byteOffset).getUint16(2);
  if (end > bytes.length) {
    throw new TpmError(
      'TPM_STRUCTURE_INVALID',
      `endorsement certificate: got ${bytes.length} bytes, want ${end}`,
    );
  }
  return bytes.slice(0, end);
}

function assertCertified(ek: TpmKey, ekCertificate: Uint8Array): void {
  if (!bytesEqual(toSpki(parsePublicArea(ek.publicArea)), certificateSpki(ekCertificate))) {
    throw new TpmError('TPM_KEY_UNEXPECTED', 'the endorsement certificate is not of this endorsement key');
  }
}

function certificateSpki(certificate: Uint8Array): Uint8Array {
  try {
    const { publicKey } = new X509Certificate(certificate);
    return publicKey.export({ type: 'spki', format: 'der' });
  } catch (cause) {
    throw new TpmError('TPM_STRUCTURE_INVALID', 'endorsement certificate: not an x.509 certificate', {
      cause,
    });
  }
}
