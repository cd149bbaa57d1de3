import { type Command, handleOf } from '../command.ts';

/** Which first parameters of a command must not be read on the wire. */
export interface Secrecy {
  readonly command: boolean;
  readonly response: boolean;
}

const COMMAND: Secrecy = { command: true, response: false };
const RESPONSE: Secrecy = { command: false, response: true };
const BOTH: Secrecy = { command: true, response: true };
const NOTHING: Secrecy = { command: false, response: false };

/** Commands whose first parameter, in one direction or both, is or may be a secret (TPM 2.0 Part 3). */
const SECRET_PARAMETERS: ReadonlyMap<number, Secrecy> = new Map([
  [0x129, COMMAND], // HierarchyChangeAuth: new password
  [0x12a, COMMAND], // NV_DefineSpace: password
  [0x131, COMMAND], // CreatePrimary: password, sealed data
  [0x136, COMMAND], // NV_Extend: data
  [0x137, COMMAND], // NV_Write: data
  [0x13b, COMMAND], // NV_ChangeAuth: new password
  [0x146, COMMAND], // StirRandom: entropy
  [0x147, RESPONSE], // ActivateCredential: secret
  [0x14b, BOTH], // Duplicate: inner wrapping key
  [0x14e, RESPONSE], // NV_Read: data
  [0x150, COMMAND], // ObjectChangeAuth: new password
  [0x153, COMMAND], // Create: password, sealed data
  [0x154, RESPONSE], // ECDH_ZGen: shared point
  [0x155, BOTH], // HMAC: data and code
  [0x156, COMMAND], // Import: inner wrapping key
  [0x159, RESPONSE], // RSA_Decrypt: message
  [0x15b, COMMAND], // HMAC_Start: password
  [0x15e, RESPONSE], // Unseal: sealed data
  [0x163, RESPONSE], // ECDH_KeyGen: shared point
  [0x167, COMMAND], // LoadExternal: private key
  [0x168, COMMAND], // MakeCredential: secret
  [0x174, COMMAND], // RSA_Encrypt: message
  [0x17b, RESPONSE], // GetRandom: future keys
  [0x18d, RESPONSE], // ZGen_2Phase: shared points
  [0x191, COMMAND], // CreateLoaded: password, sealed data
  [0x193, BOTH], // EncryptDecrypt2: data
]);

const NV_READ = 0x14e;
const CREATES: ReadonlySet<number> = new Set([0x131, 0x153, 0x191]);
// TCG registry of reserved handles: certificates and templates, which are public.
const NV_PUBLIC_FIRST = 0x01c00000;
const NV_PUBLIC_LAST = 0x01c0ffff;

/** What has to be hidden in this very command: an empty secret needs no session. */
export function secrecyOf(command: Command): Secrecy {
  const code = command.code;
  const secrecy = SECRET_PARAMETERS.get(code);
  if (secrecy === undefined || command.inClear === true) return NOTHING;
  if (code === NV_READ && isPublicIndex(command)) return NOTHING;
  return { command: secrecy.command && holdsSecret(code, command.parameters), response: secrecy.response };
}

function isPublicIndex(command: Command): boolean {
  const index = handleOf(command.handles?.[1] ?? 0);
  return index >= NV_PUBLIC_FIRST && index <= NV_PUBLIC_LAST;
}

function holdsSecret(code: number, parameters: Uint8Array | undefined): boolean {
  if (parameters === undefined || parameters.length < 2) return false;
  const size = new DataView(parameters.buffer, parameters.byteOffset).getUint16(0);
  const content = parameters.subarray(2, 2 + size);
  // TPM2B_SENSITIVE_CREATE without password and data.
  const isEmpty = CREATES.has(code) && size === 4 && content.every((byte) => byte === 0);
  return size > 0 && !isEmpty;
}
