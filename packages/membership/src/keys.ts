import { assert } from '@nemea/core';
import { encodePublicArea, parsePublicArea, TEMPLATES } from '@nemea/tpm/structures';

/**
 * The attestation key's TPMT_PUBLIC, rebuilt from the point that layer 1 holds: the template is fixed, so that nothing
 * else about the key is left to claim.
 */
export function akPublicArea(x: Uint8Array, y: Uint8Array): Uint8Array {
  const template = parsePublicArea(TEMPLATES.ak);
  assert(template.type === 'ecc', 'the attestation key is an ECC key');
  return encodePublicArea({ ...template, x, y });
}
