import { toHex } from '@nemea/core';
import { capabilities, listHandles, supportsEcdaa } from './capability.ts';
import { listEkCertificates } from './endorsement-key.ts';
import type { TpmIo } from './executor.ts';
import { ALG, CURVE } from './structures/algorithms.ts';
import { PROPERTY } from './structures/capability-data.ts';
import type { EkTemplateId } from './structures/ek-templates.ts';

/** Limits on guessing passwords (TPM 2.0 Part 1, 19.8), times in seconds. */
export interface DictionaryAttack {
  readonly inLockout: boolean;
  readonly failedTries: number;
  readonly maxTries: number;
  /** How long until one failed try is forgotten. */
  readonly recoveryTimeS: number;
  /** How long the lockout hierarchy is blocked by a wrong password of its own. */
  readonly lockoutRecoveryS: number;
}

/** What a TPM says of itself. Read without any password, and changes nothing. */
export interface TpmInfo {
  /** TCG vendor identifier, as EK certificates write it: `id:49465800`. */
  readonly manufacturer: string;
  /** The same as the letters that it stands for, and the vendor's own text. */
  readonly vendor: string;
  readonly model: string;
  /** 64 bits, as quotes have it. */
  readonly firmwareVersion: bigint;
  readonly specification: { readonly family: string; readonly revision: string; readonly year: number };
  readonly algorithms: readonly string[];
  readonly curves: readonly string[];
  readonly commandCount: number;
  /** Banks with their allocated PCRs; a bank without any is off. */
  readonly banks: readonly { readonly bank: string; readonly pcrs: readonly number[] }[];
  /** Whether it can hold the VRF key: ECDAA and TPM2_Commit. */
  readonly hasEcdaa: boolean;
  readonly dictionaryAttack: DictionaryAttack;
  readonly passwordsSet: {
    readonly owner: boolean;
    readonly endorsement: boolean;
    readonly lockout: boolean;
  };
  readonly hierarchies: {
    readonly platform: boolean;
    readonly owner: boolean;
    readonly endorsement: boolean;
  };
  /** TPM2_Clear is disabled. */
  readonly clearDisabled: boolean;
  /** The last shutdown was orderly, so that the clock is safe. */
  readonly orderly: boolean;
  readonly persistentHandles: readonly number[];
  readonly ekCertificates: readonly EkTemplateId[];
}

// TPMA_PERMANENT and TPMA_STARTUP_CLEAR (TPM 2.0 Part 2, 8.6 and 8.7).
const PERMANENT = {
  owner: 0x1,
  endorsement: 0x2,
  lockout: 0x4,
  disableClear: 0x100,
  inLockout: 0x200,
} as const;
const STARTUP_CLEAR = { platform: 0x1, owner: 0x2, endorsement: 0x4, orderly: 0x80000000 } as const;
const VENDOR_STRINGS = [
  PROPERTY.vendorString1,
  PROPERTY.vendorString2,
  PROPERTY.vendorString3,
  PROPERTY.vendorString4,
] as const;

/** Everything of `TpmInfo`, in a dozen commands. */
export async function inspect(io: TpmIo): Promise<TpmInfo> {
  const properties = await readProperties(io);
  const property = (number: number): number => properties.get(number) ?? 0;
  const permanent = property(PROPERTY.permanent);
  const startup = property(PROPERTY.startupClear);
  const firmware = [PROPERTY.firmwareVersion1, PROPERTY.firmwareVersion2].map((it) => BigInt(property(it)));
  const revision = String(property(PROPERTY.revision)).padStart(3, '0');
  return {
    manufacturer: `id:${toHex(bytesOf(property(PROPERTY.manufacturer))).toUpperCase()}`,
    vendor: textOf([property(PROPERTY.manufacturer)]),
    model: textOf(VENDOR_STRINGS.map(property)),
    firmwareVersion: ((firmware[0] as bigint) << 32n) | (firmware[1] as bigint),
    specification: {
      family: textOf([property(PROPERTY.familyIndicator)]),
      revision: `${revision.slice(0, -2)}.${revision.slice(-2)}`,
      year: property(PROPERTY.year),
    },
    algorithms: (await capabilities(io, 'algorithms')).map(({ algorithm }) => nameIn(ALG, algorithm)),
    curves: (await capabilities(io, 'curves')).map((curve) => nameIn(CURVE, curve)),
    commandCount: (await capabilities(io, 'commands')).length,
    banks: (await capabilities(io, 'pcrs')).map(({ hashAlg, pcrs }) => ({
      bank: nameIn(ALG, hashAlg),
      pcrs,
    })),
    hasEcdaa: await supportsEcdaa(io),
    dictionaryAttack: {
      inLockout: (permanent & PERMANENT.inLockout) !== 0,
      failedTries: property(PROPERTY.lockoutCounter),
      maxTries: property(PROPERTY.maxAuthFail),
      recoveryTimeS: property(PROPERTY.lockoutInterval),
      lockoutRecoveryS: property(PROPERTY.lockoutRecovery),
    },
    passwordsSet: flags(permanent, PERMANENT),
    hierarchies: flags(startup, STARTUP_CLEAR),
    clearDisabled: (permanent & PERMANENT.disableClear) !== 0,
    orderly: (startup & STARTUP_CLEAR.orderly) !== 0,
    persistentHandles: await listHandles(io, 'persistent'),
    ekCertificates: await listEkCertificates(io),
  };
}

async function readProperties(io: TpmIo): Promise<ReadonlyMap<number, number>> {
  const items = await capabilities(io, 'properties');
  return new Map(items.map(({ property, value }) => [property, value]));
}

function flags<K extends string>(
  bits: number,
  of: Readonly<Record<K, number>>,
): Readonly<Record<K, boolean>> {
  const entries = Object.entries<number>(of).map(([name, bit]) => [name, (bits & bit) !== 0] as const);
  return Object.fromEntries(entries) as Record<K, boolean>;
}

function nameIn(names: Readonly<Record<string, number>>, value: number): string {
  return (
    Object.keys(names).find((name) => names[name] === value) ?? `0x${value.toString(16).padStart(4, '0')}`
  );
}

function bytesOf(word: number): Uint8Array {
  return Uint8Array.of(word >>> 24, (word >>> 16) & 0xff, (word >>> 8) & 0xff, word & 0xff);
}

/** Four letters a word; what is no printable letter is left out. */
function textOf(words: readonly number[]): string {
  const bytes = words.flatMap((word) => [...bytesOf(word)]);
  return String.fromCharCode(...bytes.filter((byte) => byte >= 0x20 && byte < 0x7f)).trim();
}
