import { activateCredential } from './activation.ts';
import { type Attestation, certify, type QuoteRequest } from './attestation.ts';
import { supportsEcdaa } from './capability.ts';
import type { Credential } from './credential.ts';
import {
  type EndorsementKey,
  listEkCertificates,
  readEkChain,
  readEndorsementKey,
  withEk,
} from './endorsement-key.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import { type PrimaryRequest, withPrimary } from './object.ts';
import { type PcrPolicy, pcrPolicyDigestOf } from './pcr-policy.ts';
import type { EkTemplateId } from './structures/ek-templates.ts';
import { TEMPLATES, vrfTemplate } from './structures/templates.ts';
import type { Tpm } from './tpm.ts';
import { proveVrf, type VrfProof } from './vrf-prover.ts';

/** The keys a TPM is known by. All follow from its endorsement seed: restarts and TPM2_Clear keep them. */
export interface Identity {
  /** Which endorsement key stands for the TPM. */
  readonly ekTemplate: EkTemplateId;
  /** TPMT_PUBLIC of the endorsement key; `ekCertificate` is its maker's certificate, DER. */
  readonly ekPublic: Uint8Array;
  readonly ekCertificate: Uint8Array;
  /** Authorities above it, where the maker stored them. */
  readonly ekChain: readonly Uint8Array[];
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

/** Which endorsement key stands for the TPM, and what else `openIdentity` may need. */
export interface IdentityOptions {
  /** Default: the first template that has a certificate, which is the RSA 2048 key L-1 where there is one. */
  readonly ek?: EkTemplateId;
  /** Binds the VRF key to PCRs: another key for each policy. Default: no policy, one key for good. */
  readonly vrfPolicy?: PcrPolicy;
}

const AK = { hierarchy: 'endorsement', template: TEMPLATES.ak } as const;
const ALPHA_BYTES = 32;

/**
 * Opens the TPM's identity. Only the attestation key stays loaded, so that a quote is one command; the others are made
 * anew for each use, because a TPM without a resource manager holds 3 objects. Throws `TPM_EK_CERTIFICATE_MISSING`,
 * `TPM_KEY_UNEXPECTED` (the certificate is not of this key) or `TPM_ALGORITHM_UNSUPPORTED` (no ECDAA).
 */
export async function openIdentity(tpm: Tpm, options: IdentityOptions = {}): Promise<Identity> {
  const { ek, ekChain, vrf } = await tpm.exclusive((io) => readIdentity(io, options));
  const ak = await tpm.createPrimary(AK);
  return {
    ekTemplate: ek.id,
    ekPublic: ek.publicArea,
    ekCertificate: ek.certificate,
    ekChain,
    akPublic: ak.publicArea,
    akName: ak.name,
    vrfPublic: vrf.publicArea,
    quote: (request) => tpm.quote(ak, request),
    getTime: (qualifyingData) => tpm.getTime(ak, qualifyingData),
    certifyVrf: (qualifyingData) =>
      tpm.exclusive((io) => withPrimary(io, vrf.request, (key) => certify(io, key, ak, qualifyingData))),
    activateCredential: (credential) =>
      tpm.exclusive((io) =>
        withEk(io, ek.id, (loaded) => activateCredential(io, { ak, ek: loaded, ...credential })),
      ),
    vrfProve: async (alpha) => {
      assertAlpha(alpha);
      return await tpm.exclusive((io) =>
        withPrimary(io, vrf.request, (key) => proveVrf(io, key, alpha, options.vrfPolicy)),
      );
    },
    close: () => tpm.flush(ak.handle),
  };
}

interface ReadIdentity {
  readonly ek: EndorsementKey;
  readonly ekChain: readonly Uint8Array[];
  readonly vrf: { readonly request: PrimaryRequest; readonly publicArea: Uint8Array };
}

async function readIdentity(io: TpmIo, options: IdentityOptions): Promise<ReadIdentity> {
  if (!(await supportsEcdaa(io))) {
    throw new TpmError('TPM_ALGORITHM_UNSUPPORTED', 'the tpm has no ecdaa: it cannot hold the vrf key');
  }
  const [first = 'L-1'] = await listEkCertificates(io);
  const ek = await readEndorsementKey(io, options.ek ?? first);
  const ekChain = await readEkChain(io);
  const request = { hierarchy: 'endorsement', template: await vrfTemplateOf(io, options.vrfPolicy) } as const;
  const { publicArea } = await withPrimary(io, request, async (key) => key);
  return { ek, ekChain, vrf: { request, publicArea } };
}

async function vrfTemplateOf(io: TpmIo, policy: PcrPolicy | undefined): Promise<Uint8Array> {
  return policy === undefined ? TEMPLATES.vrf : vrfTemplate(await pcrPolicyDigestOf(io, policy));
}

/** Protocol inputs are labelled hashes; a raw message here would be a caller's mistake. */
function assertAlpha(alpha: Uint8Array): void {
  if (alpha.length === ALPHA_BYTES) return;
  throw new TpmError('TPM_ARGUMENT_INVALID', `vrf alpha: got ${alpha.length} bytes, want ${ALPHA_BYTES}`);
}
