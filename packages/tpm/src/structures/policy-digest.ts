import { assertNever, concatBytes } from '@nemea/core';
import { TpmError } from '../errors.ts';
import { ALG, digestOf, hashBytes } from './algorithms.ts';
import { encode, struct, u8, u16, u32 } from './codec.ts';
import { type PcrSelection, tpmlPcrSelection } from './pcr-selection.ts';

/** TPM_EO: how PolicyNV and PolicyCounterTimer compare. */
export const OPERATION = {
  eq: 0x0,
  neq: 0x1,
  signedGt: 0x2,
  unsignedGt: 0x3,
  signedLt: 0x4,
  unsignedLt: 0x5,
  signedGe: 0x6,
  unsignedGe: 0x7,
  signedLe: 0x8,
  unsignedLe: 0x9,
  bitSet: 0xa,
  bitClear: 0xb,
} as const;

interface Comparison {
  readonly operandB: Uint8Array;
  /** Default 0. */
  readonly offset?: number;
  /** One of `OPERATION`. */
  readonly operation: number;
}

/** One command of a policy, as data. Names are those of objects (`nameOf`), hierarchies (the handle) or NV indexes. */
export type PolicyAssertion =
  | { readonly type: 'pcr'; readonly selections: readonly PcrSelection[]; readonly pcrDigest: Uint8Array }
  | { readonly type: 'secret'; readonly name: Uint8Array; readonly policyRef?: Uint8Array }
  | { readonly type: 'signed'; readonly name: Uint8Array; readonly policyRef?: Uint8Array }
  | { readonly type: 'authorize'; readonly name: Uint8Array; readonly policyRef?: Uint8Array }
  | { readonly type: 'authorize-nv'; readonly name: Uint8Array }
  /** The digests of the branches. What precedes must be one of them. */
  | { readonly type: 'or'; readonly digests: readonly Uint8Array[] }
  | { readonly type: 'auth-value' }
  /** The same digest as `auth-value`: the two differ in how the password is proved. */
  | { readonly type: 'password' }
  | { readonly type: 'command-code'; readonly code: number }
  | ({ readonly type: 'nv'; readonly name: Uint8Array } & Comparison)
  | ({ readonly type: 'counter-timer' } & Comparison)
  | { readonly type: 'name-hash'; readonly names: readonly Uint8Array[] }
  | { readonly type: 'cp-hash'; readonly cpHash: Uint8Array }
  | { readonly type: 'template'; readonly templateHash: Uint8Array }
  | { readonly type: 'locality'; readonly locality: number }
  | { readonly type: 'nv-written'; readonly written: boolean }
  | { readonly type: 'physical-presence' }
  | {
      readonly type: 'duplication-select';
      /** The object is part of the policy only if it is given. */
      readonly objectName?: Uint8Array;
      readonly newParentName: Uint8Array;
    };

/** TPM_CC of the policy commands. PolicyPassword has no digest of its own. */
const CODE = {
  nv: 0x149,
  secret: 0x151,
  signed: 0x160,
  authorize: 0x16a,
  authValue: 0x16b,
  commandCode: 0x16c,
  counterTimer: 0x16d,
  cpHash: 0x16e,
  locality: 0x16f,
  nameHash: 0x170,
  or: 0x171,
  pcr: 0x17f,
  physicalPresence: 0x187,
  duplicationSelect: 0x188,
  nvWritten: 0x18f,
  template: 0x190,
  authorizeNv: 0x192,
} as const;

const EMPTY = new Uint8Array(0);
const BRANCHES_MIN = 2;
const BRANCHES_MAX = 8;
const comparison = struct({ offset: u16, operation: u16 });

/**
 * The policy digest that a TPM reaches by these commands in this order, computed without one (TPM 2.0 Part 3, 23): what
 * TPM2_PolicyGetDigest answers. Throws `TPM_STRUCTURE_UNSUPPORTED` for a hash that `digestOf` refuses.
 */
export function policyDigest(
  assertions: readonly PolicyAssertion[],
  hashAlg: number = ALG.sha256,
): Uint8Array {
  const start: Uint8Array = new Uint8Array(hashBytes(hashAlg) ?? 0);
  return assertions.reduce((old, assertion) => extended(old, assertion, hashAlg), start);
}

/** Policy digest of a lone TPM2_PolicyPCR over the SHA-256 bank. */
export function pcrPolicyDigest(pcrs: readonly number[], pcrDigest: Uint8Array): Uint8Array {
  return policyDigest([{ type: 'pcr', selections: [{ hashAlg: ALG.sha256, pcrs }], pcrDigest }]);
}

/** What an authority signs to approve a policy: TPM2_PolicyAuthorize demands a signature over this digest. */
export function approvalDigest(
  approvedPolicy: Uint8Array,
  policyRef: Uint8Array,
  hashAlg: number = ALG.sha256,
): Uint8Array {
  return digestOf(hashAlg, approvedPolicy, policyRef);
}

function extended(old: Uint8Array, assertion: PolicyAssertion, hashAlg: number): Uint8Array {
  const hash = (...parts: readonly Uint8Array[]) => digestOf(hashAlg, ...parts);
  const after = (code: number, ...parts: readonly Uint8Array[]) => hash(old, encode(u32, code), ...parts);
  const zero = new Uint8Array(old.length);
  switch (assertion.type) {
    case 'pcr':
      return after(CODE.pcr, encode(tpmlPcrSelection, assertion.selections), assertion.pcrDigest);
    case 'secret':
      return hash(after(CODE.secret, assertion.name), assertion.policyRef ?? EMPTY);
    case 'signed':
      return hash(after(CODE.signed, assertion.name), assertion.policyRef ?? EMPTY);
    case 'authorize':
      // Replaces what the key has approved, so that the policy survives a change of it.
      return hash(hash(zero, encode(u32, CODE.authorize), assertion.name), assertion.policyRef ?? EMPTY);
    case 'authorize-nv':
      return hash(zero, encode(u32, CODE.authorizeNv), assertion.name);
    case 'or':
      return hash(zero, encode(u32, CODE.or), ...branches(assertion.digests));
    case 'auth-value':
    case 'password':
      return after(CODE.authValue);
    case 'command-code':
      return after(CODE.commandCode, encode(u32, assertion.code));
    case 'nv':
      return after(CODE.nv, hash(comparisonBytes(assertion)), assertion.name);
    case 'counter-timer':
      return after(CODE.counterTimer, hash(comparisonBytes(assertion)));
    case 'name-hash':
      return after(CODE.nameHash, hash(...assertion.names));
    case 'cp-hash':
      return after(CODE.cpHash, assertion.cpHash);
    case 'template':
      return after(CODE.template, assertion.templateHash);
    case 'locality':
      return after(CODE.locality, encode(u8, assertion.locality));
    case 'nv-written':
      return after(CODE.nvWritten, flag(assertion.written));
    case 'physical-presence':
      return after(CODE.physicalPresence);
    case 'duplication-select': {
      const { objectName, newParentName } = assertion;
      return after(
        CODE.duplicationSelect,
        objectName ?? EMPTY,
        newParentName,
        flag(objectName !== undefined),
      );
    }
    default:
      return assertNever(assertion);
  }
}

function branches(digests: readonly Uint8Array[]): readonly Uint8Array[] {
  if (digests.length >= BRANCHES_MIN && digests.length <= BRANCHES_MAX) return digests;
  throw new TpmError(
    'TPM_ARGUMENT_INVALID',
    `policy branches: got ${digests.length}, want ${BRANCHES_MIN} to ${BRANCHES_MAX}`,
  );
}

function comparisonBytes({ operandB, offset = 0, operation }: Comparison): Uint8Array {
  return concatBytes(operandB, encode(comparison, { offset, operation }));
}

function flag(value: boolean): Uint8Array {
  return Uint8Array.of(value ? 1 : 0);
}
