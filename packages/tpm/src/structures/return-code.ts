/** TPM_RC values (TPM 2.0 Part 2, 6.6.3) by the names the specification gives them. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [0x000, 'SUCCESS'],
  [0x01e, 'BAD_TAG'],
  [0x100, 'INITIALIZE'],
  [0x101, 'FAILURE'],
  [0x120, 'DISABLED'],
  [0x124, 'AUTH_TYPE'],
  [0x125, 'AUTH_MISSING'],
  [0x126, 'POLICY'],
  [0x128, 'PCR_CHANGED'],
  [0x12f, 'AUTH_UNAVAILABLE'],
  [0x142, 'COMMAND_SIZE'],
  [0x143, 'COMMAND_CODE'],
  [0x144, 'AUTHSIZE'],
  [0x145, 'AUTH_CONTEXT'],
  [0x146, 'NV_RANGE'],
  [0x148, 'NV_LOCKED'],
  [0x149, 'NV_AUTHORIZATION'],
  [0x14a, 'NV_UNINITIALIZED'],
  [0x14b, 'NV_SPACE'],
  [0x14c, 'NV_DEFINED'],
  [0x902, 'OBJECT_MEMORY'],
  [0x903, 'SESSION_MEMORY'],
  [0x905, 'SESSION_HANDLES'],
  [0x906, 'OBJECT_HANDLES'],
  [0x907, 'LOCALITY'],
  [0x908, 'YIELDED'],
  [0x909, 'CANCELED'],
  [0x90a, 'TESTING'],
  [0x910, 'REFERENCE_H0'],
  [0x911, 'REFERENCE_H1'],
  [0x918, 'REFERENCE_S0'],
  [0x919, 'REFERENCE_S1'],
  [0x920, 'NV_RATE'],
  [0x921, 'LOCKOUT'],
  [0x922, 'RETRY'],
  [0x923, 'NV_UNAVAILABLE'],
]);

/** Format-one codes: bit 7 set, number in bits 0..5, the handle, session or parameter at fault in bits 8..11. */
const FORMAT_ONE_NAMES: ReadonlyMap<number, string> = new Map([
  [0x01, 'ASYMMETRIC'],
  [0x02, 'ATTRIBUTES'],
  [0x03, 'HASH'],
  [0x04, 'VALUE'],
  [0x05, 'HIERARCHY'],
  [0x07, 'KEY_SIZE'],
  [0x08, 'MGF'],
  [0x09, 'MODE'],
  [0x0a, 'TYPE'],
  [0x0b, 'HANDLE'],
  [0x0c, 'KDF'],
  [0x0d, 'RANGE'],
  [0x0e, 'AUTH_FAIL'],
  [0x0f, 'NONCE'],
  [0x10, 'PP'],
  [0x12, 'SCHEME'],
  [0x15, 'SIZE'],
  [0x16, 'SYMMETRIC'],
  [0x17, 'TAG'],
  [0x18, 'SELECTOR'],
  [0x1a, 'INSUFFICIENT'],
  [0x1b, 'SIGNATURE'],
  [0x1c, 'KEY'],
  [0x1d, 'POLICY_FAIL'],
  [0x1f, 'INTEGRITY'],
  [0x20, 'TICKET'],
  [0x21, 'RESERVED_BITS'],
  [0x22, 'BAD_AUTH'],
  [0x23, 'EXPIRED'],
  [0x24, 'POLICY_CC'],
  [0x25, 'BINDING'],
  [0x26, 'CURVE'],
  [0x27, 'ECC_POINT'],
]);

/** The specification's name of a response code, with the part at fault: `POLICY_FAIL (session 1)`. */
export function returnCodeName(returnCode: number): string {
  if ((returnCode & 0x80) === 0) return NAMES.get(returnCode) ?? 'UNKNOWN';
  const name = FORMAT_ONE_NAMES.get(returnCode & 0x3f) ?? 'UNKNOWN';
  const position = (returnCode >> 8) & 0xf;
  if (returnCode & 0x40) return `${name} (parameter ${position})`;
  if (position & 0x8) return `${name} (session ${position & 0x7})`;
  return `${name} (handle ${position})`;
}

/** A format-one code without its position: which handle, session or parameter is at fault often does not matter. */
export function isFormatOne(returnCode: number, number: number): boolean {
  return (returnCode & 0x80) !== 0 && (returnCode & 0x3f) === number;
}

export const RC = {
  success: 0x000,
  initialize: 0x100,
  pcrChanged: 0x128,
  yielded: 0x908,
  testing: 0x90a,
  retry: 0x922,
} as const;
