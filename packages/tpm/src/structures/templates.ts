import { bytesEqual, fromHex } from '@nemea/core';
import { encodePublicArea, parseAnyPublicArea, parsePublicArea } from './public-area.ts';

// PolicySecret(TPM_RH_ENDORSEMENT), TCG EK Credential Profile B.3.
const EK_POLICY = '837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa';

/**
 * TPMT_PUBLIC templates. A primary key is a function of the TPM's seed and these exact bytes: one changed bit is
 * another key, so they are frozen by `vectors/tpm/templates.json`. Verifiers hold a key's public area against them.
 */
export const TEMPLATES = {
  /** Storage parent of sealed blobs: P-256, restricted decryption, AES-128-CFB. */
  srk: fromHex('0023000b00030472000000060080004300100003001000000000'),
  /** Attestation key: ECDSA P-256, restricted signing, so it signs nothing that only looks TPM-made. */
  ak: fromHex('0023000b00050472000000100018000b0003001000000000'),
  /** Attestation keys of RSA-2048, otherwise the same: RSASSA and RSAPSS, with SHA-256. */
  akRsassa: fromHex('0001000b00050472000000100014000b0800000000000000'),
  akRsapss: fromHex('0001000b00050472000000100016000b0800000000000000'),
  /** Endorsement key: RSA-2048, TCG EK Credential Profile template L-1. */
  ek: fromHex(`0001000b000300b20020${EK_POLICY}00060080004300100800000000000100${'00'.repeat(256)}`),
  /** VRF key: ECDAA P-256, unrestricted, no policy, so it survives approved software updates. */
  vrf: fromHex('0023000b0004047200000010001a000b00000003001000000000'),
} as const;

// fixedTPM, fixedParent, sensitiveDataOrigin, noDA, sign; without userWithAuth the policy is the only way in.
const VRF_BY_POLICY = 0x00040432;

/** The template of a VRF key that is used under a policy alone (by SHA-256): another policy is another key. */
export function vrfTemplate(authPolicy: Uint8Array): Uint8Array {
  const area = parsePublicArea(TEMPLATES.vrf);
  return encodePublicArea({ ...area, attributes: VRF_BY_POLICY, authPolicy });
}

/**
 * Whether a public area is the template in every field but the key itself. Of a type that is not known here it is none.
 * Throws `TPM_STRUCTURE_INVALID`, and for the template what `parsePublicArea` throws.
 */
export function matchesTemplate(publicArea: Uint8Array, template: Uint8Array): boolean {
  const wanted = withoutKey(template);
  return parseAnyPublicArea(publicArea).type !== 'unknown' && bytesEqual(withoutKey(publicArea), wanted);
}

function withoutKey(publicArea: Uint8Array): Uint8Array {
  const area = parsePublicArea(publicArea);
  const empty = new Uint8Array(0);
  if (area.type === 'ecc') return encodePublicArea({ ...area, x: empty, y: empty });
  if (area.type === 'rsa') return encodePublicArea({ ...area, modulus: empty });
  return encodePublicArea({ ...area, unique: empty });
}
