/**
 * TPM_RC values (TPM 2.0 Part 2, 6.6.3; those up to revision 1.85), named as in the specification but for the case. Format-one codes (bit 7 set)
 * are given without the handle, session or parameter that the TPM adds: see `baseReturnCode`.
 */
export const RC = {
  success: 0x000,
  badTag: 0x01e,
  initialize: 0x100,
  failure: 0x101,
  sequence: 0x103,
  private: 0x10b,
  hmac: 0x119,
  disabled: 0x120,
  exclusive: 0x121,
  authType: 0x124,
  authMissing: 0x125,
  policy: 0x126,
  pcr: 0x127,
  pcrChanged: 0x128,
  upgrade: 0x12d,
  tooManyContexts: 0x12e,
  authUnavailable: 0x12f,
  reboot: 0x130,
  unbalanced: 0x131,
  commandSize: 0x142,
  commandCode: 0x143,
  authsize: 0x144,
  authContext: 0x145,
  nvRange: 0x146,
  nvSize: 0x147,
  nvLocked: 0x148,
  nvAuthorization: 0x149,
  nvUninitialized: 0x14a,
  nvSpace: 0x14b,
  nvDefined: 0x14c,
  badContext: 0x150,
  cphash: 0x151,
  parent: 0x152,
  needsTest: 0x153,
  noResult: 0x154,
  sensitive: 0x155,
  readOnly: 0x156,

  asymmetric: 0x081,
  attributes: 0x082,
  hash: 0x083,
  value: 0x084,
  hierarchy: 0x085,
  keySize: 0x087,
  mgf: 0x088,
  mode: 0x089,
  type: 0x08a,
  handle: 0x08b,
  kdf: 0x08c,
  range: 0x08d,
  authFail: 0x08e,
  nonce: 0x08f,
  pp: 0x090,
  scheme: 0x092,
  size: 0x095,
  symmetric: 0x096,
  tag: 0x097,
  selector: 0x098,
  insufficient: 0x09a,
  signature: 0x09b,
  key: 0x09c,
  policyFail: 0x09d,
  integrity: 0x09f,
  ticket: 0x0a0,
  reservedBits: 0x0a1,
  badAuth: 0x0a2,
  expired: 0x0a3,
  policyCc: 0x0a4,
  binding: 0x0a5,
  curve: 0x0a6,
  eccPoint: 0x0a7,
  fwLimited: 0x0a8,
  svnLimited: 0x0a9,
  parms: 0x0aa,
  extMu: 0x0ab,
  oneShotSignature: 0x0ac,
  signContextKey: 0x0ad,
  channel: 0x0b0,
  channelKey: 0x0b1,

  contextGap: 0x901,
  objectMemory: 0x902,
  sessionMemory: 0x903,
  memory: 0x904,
  sessionHandles: 0x905,
  objectHandles: 0x906,
  locality: 0x907,
  yielded: 0x908,
  canceled: 0x909,
  testing: 0x90a,
  referenceH0: 0x910,
  referenceH1: 0x911,
  referenceH2: 0x912,
  referenceH3: 0x913,
  referenceH4: 0x914,
  referenceH5: 0x915,
  referenceH6: 0x916,
  referenceS0: 0x918,
  referenceS1: 0x919,
  referenceS2: 0x91a,
  referenceS3: 0x91b,
  referenceS4: 0x91c,
  referenceS5: 0x91d,
  referenceS6: 0x91e,
  nvRate: 0x920,
  lockout: 0x921,
  retry: 0x922,
  nvUnavailable: 0x923,
} as const;

/** pcrChanged -> PCR_CHANGED, referenceH0 -> REFERENCE_H0. */
const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(RC).map(([name, code]) => [code, name.replace(/[A-Z]/g, '_$&').toUpperCase()]),
);

/** What a response code accuses: the first handle, session or parameter has number 1. */
export interface Accused {
  readonly kind: 'handle' | 'session' | 'parameter';
  readonly number: number;
}

/** A TPM_RC taken apart: name, kind, and which handle, session or parameter it accuses. */
export interface ReturnCode {
  readonly code: number;
  /** TPM_RC_ name without the prefix, `UNKNOWN` when the specification has none. */
  readonly name: string;
  /** A warning says that nothing was wrong with the command: it may succeed later or after freeing something. */
  readonly kind: 'error' | 'warning' | 'vendor';
  readonly accused?: Accused;
  /** Of software between here and the TPM (TSS 2.0 Overview): 11 is a resource manager. 0 is the TPM itself. */
  readonly layer: number;
}

const FORMAT_ONE = 0x080;
const PARAMETER = 0x040;
const SESSION = 0x800;
const WARNING = 0x800;
const VENDOR = 0x400;
const VERSION_2 = 0x100;

/** Takes a response code apart (TPM 2.0 Part 2, 6.6.2). Total: any number has an answer. */
export function decodeReturnCode(code: number): ReturnCode {
  const layer = (code >>> 16) & 0xff;
  const name = NAMES.get(baseReturnCode(code)) ?? 'UNKNOWN';
  if (code & FORMAT_ONE) {
    const accused = accusedBy(code);
    return { code, name, kind: 'error', layer, ...(accused.number > 0 && { accused }) };
  }
  if (code & VERSION_2 && code & VENDOR) return { code, name: 'UNKNOWN', kind: 'vendor', layer };
  return { code, name, kind: code & WARNING ? 'warning' : 'error', layer, ...referenced(code & 0xfff) };
}

function accusedBy(code: number): Accused {
  const position = (code >> 8) & 0xf;
  if (code & PARAMETER) return { kind: 'parameter', number: position };
  if (code & SESSION) return { kind: 'session', number: position & 0x7 };
  return { kind: 'handle', number: position };
}

/** The warnings about what is not loaded name their handle or session too. */
function referenced(code: number): { accused?: Accused } {
  if (code >= RC.referenceH0 && code <= RC.referenceH6)
    return { accused: { kind: 'handle', number: code - RC.referenceH0 + 1 } };
  if (code >= RC.referenceS0 && code <= RC.referenceS6)
    return { accused: { kind: 'session', number: code - RC.referenceS0 + 1 } };
  return {};
}

/** The code as `RC` has it: without the handle, session or parameter at fault, and without the layer. */
export function baseReturnCode(code: number): number {
  return code & FORMAT_ONE ? code & 0xbf : code & 0xfff;
}

/** The specification's name of a response code, with what it accuses: `POLICY_FAIL (session 1)`. */
export function returnCodeName(code: number): string {
  const { name, accused } = decodeReturnCode(code);
  return accused === undefined ? name : `${name} (${accused.kind} ${accused.number})`;
}
