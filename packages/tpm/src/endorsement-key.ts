import { bytesEqual, concatBytes } from '@nemea/core';
import { capabilities, listHandles } from './capability.ts';
import type { Authorization } from './command.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import { nvRead } from './nv.ts';
import { readPublicArea, type TpmKey, toKey, withPrimary } from './object.ts';
import {
  certificateKeyBits,
  spkiKeyBits,
  splitCertificates,
  trimCertificate,
} from './structures/certificate.ts';
import {
  EK_CHAIN_INDEX,
  EK_TEMPLATE_IDS,
  EK_TEMPLATES,
  type EkTemplateId,
  withNonce,
} from './structures/ek-templates.ts';
import { encodePublicArea, parsePublicArea } from './structures/public-area.ts';
import { toSpki } from './structures/public-key.ts';
import { matchesTemplate } from './structures/templates.ts';

/** An endorsement key that has a maker's certificate. */
export interface EndorsementKey {
  readonly id: EkTemplateId;
  readonly publicArea: Uint8Array;
  readonly name: Uint8Array;
  /** DER. */
  readonly certificate: Uint8Array;
}

/** What opening an endorsement key may need. */
export interface EkOptions {
  /** Of the endorsement hierarchy; empty when absent. It is needed where the key is not persistent. */
  readonly endorsementAuth?: Authorization;
}

// TCG TPM v2.0 Provisioning Guidance, 7.8: reserved for endorsement keys.
const PERSISTENT_EKS = { first: 0x81010000, last: 0x8101ffff } as const;

/** The templates for which this TPM has a certificate, low range first. */
export async function listEkCertificates(io: TpmIo): Promise<EkTemplateId[]> {
  const indexes = new Set(await listHandles(io, 'nvIndex'));
  return EK_TEMPLATE_IDS.filter((id) => indexes.has(EK_TEMPLATES[id].certificateIndex));
}

/** The maker's certificate, DER. Throws `TPM_EK_CERTIFICATE_MISSING` or `TPM_STRUCTURE_INVALID`. */
export async function readEkCertificate(io: TpmIo, id: EkTemplateId): Promise<Uint8Array> {
  const { certificateIndex, algorithm } = EK_TEMPLATES[id];
  if ((await listHandles(io, 'nvIndex')).includes(certificateIndex))
    return trimCertificate(await nvRead(io, certificateIndex));
  throw new TpmError(
    'TPM_EK_CERTIFICATE_MISSING',
    `the tpm holds no certificate of an endorsement key ${id} (${algorithm}) at 0x0${certificateIndex.toString(16)}`,
  );
}

/** The authorities above the certificates, as the maker stored them; mostly none. */
export async function readEkChain(io: TpmIo): Promise<Uint8Array[]> {
  const indexes = await capabilities(io, 'handles', EK_CHAIN_INDEX.first);
  const pieces: Uint8Array[] = [];
  for (const index of indexes.filter((it) => it <= EK_CHAIN_INDEX.last)) pieces.push(await nvRead(io, index));
  // One certificate may go over from one index to the next.
  return splitCertificates(concatBytes(...pieces));
}

/** The template that counts on this TPM: the maker's own where it stored one, with its nonce, else the profile's. */
export async function readEkTemplate(io: TpmIo, id: EkTemplateId): Promise<Uint8Array> {
  const { template, templateIndex, nonceIndex } = EK_TEMPLATES[id];
  const indexes = await listHandles(io, 'nvIndex');
  const stored = indexes.includes(templateIndex) ? await nvRead(io, templateIndex) : template;
  const area = parsePublicArea(stored);
  if (nonceIndex === undefined || !indexes.includes(nonceIndex)) return encodePublicArea(area);
  return encodePublicArea(withNonce(area, await nvRead(io, nonceIndex)));
}

/** Holds an endorsement key: the one the maker made persistent, else one made from its template, which takes a while. */
export async function withEk<T>(
  io: TpmIo,
  id: EkTemplateId,
  use: (ek: TpmKey) => Promise<T>,
  { endorsementAuth }: EkOptions = {},
): Promise<T> {
  const template = await readEkTemplate(io, id);
  for (const handle of await capabilities(io, 'handles', PERSISTENT_EKS.first)) {
    if (handle > PERSISTENT_EKS.last) break;
    const area = await readPublicArea(io, handle);
    if (matchesTemplate(encodePublicArea(area), template)) return await use(toKey(handle, area));
  }
  return await withPrimary(io, { hierarchy: 'endorsement', template, auth: endorsementAuth }, use);
}

/**
 * The endorsement key of a template with its certificate, which must be of this key. Throws `TPM_EK_CERTIFICATE_MISSING`,
 * `TPM_KEY_UNEXPECTED` or `TPM_STRUCTURE_INVALID`. Whether the certificate is good is for a verifier to say. [EK-2]
 */
export async function readEndorsementKey(
  io: TpmIo,
  id: EkTemplateId,
  options: EkOptions = {},
): Promise<EndorsementKey> {
  const certificate = await readEkCertificate(io, id);
  const { publicArea, name } = await withEk(io, id, async (key) => key, options);
  const isOfKey = bytesEqual(
    spkiKeyBits(toSpki(parsePublicArea(publicArea))),
    certificateKeyBits(certificate),
  );
  if (isOfKey) return { id, publicArea, name, certificate };
  throw new TpmError('TPM_KEY_UNEXPECTED', `the certificate is not of the endorsement key ${id}`);
}
