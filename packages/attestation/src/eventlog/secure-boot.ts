import { bytesEqual, concatBytes, fromHex } from '@nemea/core';
import { algorithmOf, type Bank } from './algorithms.ts';
import type { Decoded } from './decode.ts';
import { isConstant } from './empty-digests.ts';
import { EVENT_TYPE } from './event-types.ts';
import type { Registers, ReplayedEvent } from './model.ts';
import type { SignatureList } from './signature-list.ts';
import { EFI_GLOBAL_VARIABLE, EFI_IMAGE_SECURITY_DATABASE } from './variable.ts';

/** A key that let something run: the entry of a database, or shim's own certificate. */
export interface Authority {
  readonly event: number;
  /** The variable that holds the key: `db`, `MokListRT`, `Shim`. */
  readonly variable: string;
  readonly guid: string;
  readonly owner: string | null;
  /** DER; null when a hash or an unknown format authorised the image. */
  readonly certificate: Uint8Array | null;
  /** The firmware ran it before it handed over: a driver or an option ROM. */
  readonly isBeforeSeparator: boolean;
  readonly verified: boolean;
}

/** Whether Secure Boot was on, and with which keys [LOG-15]. */
export interface SecureBootState {
  /** Null when the events do not prove it: then nobody may assume it. [LOG-15] */
  readonly enabled: boolean | null;
  readonly setupMode: boolean | null;
  readonly auditMode: boolean | null;
  readonly deployedMode: boolean | null;
  /** Null when the log does not prove the contents; empty when the variable does not exist. */
  readonly pk: readonly SignatureList[] | null;
  readonly kek: readonly SignatureList[] | null;
  readonly db: readonly SignatureList[] | null;
  readonly dbx: readonly SignatureList[] | null;
  readonly dbt: readonly SignatureList[] | null;
  readonly dbr: readonly SignatureList[] | null;
  readonly authorities: readonly Authority[];
  /** What the firmware said beside variables, such as `UEFI Debug Mode` or `DMA Protection Disabled`. */
  readonly actions: readonly string[];
  /** Why the state is not as clear as it should be. */
  readonly problems: readonly string[];
}

export interface DecodedEvent extends Decoded {
  readonly event: ReplayedEvent;
}

/** Reads PCR 7 (TCG PFP 1.06, 3.3.4.8), or register 1 of a confidential VM, which holds PCR 1 as well. */
export function describeSecureBoot(registers: Registers, decoded: readonly DecodedEvent[]): SecureBootState {
  const register = registers === 'pcr' ? 7 : 1;
  const events = decoded.filter(({ event }) => event.pcr === register);
  const separator = events.findIndex(({ event }) => isSeparator(event));
  const problems: string[] = [];
  if (events.length > 0 && separator < 0) problems.push(`register ${register} has no separator`);
  const variables = new Map<string, Uint8Array | SignatureList[] | boolean>();
  const authorities: Authority[] = [];
  const actions: string[] = [];
  for (const [index, { event, body, problem }] of events.entries()) {
    const isBeforeSeparator = separator < 0 || index < separator;
    if (event.type === EVENT_TYPE.EV_EFI_ACTION && body.kind === 'text' && event.dataVerified)
      actions.push(body.text);
    if (body.kind !== 'variable') continue;
    const { variable, content } = body;
    if (event.type === EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY) {
      const { owner, certificate } =
        content.kind === 'authority' ? content : { owner: null, certificate: null };
      const { name, guid } = variable;
      const verified = event.dataVerified;
      authorities.push({
        event: event.number,
        variable: name,
        guid,
        owner,
        certificate,
        isBeforeSeparator,
        verified,
      });
    }
    if (event.type !== EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG || !isSecureBootVariable(variable)) continue;
    if (!coversAll(event)) problems.push(`${variable.name}: the digest is not that of the data`);
    else if (problem !== null && content.kind === 'opaque') problems.push(problem);
    else if (!isBeforeSeparator) problems.push(`${variable.name} was measured again behind the separator`);
    else if (content.kind === 'boolean') variables.set(variable.name, content.value);
    else if (content.kind === 'signature-lists') variables.set(variable.name, [...content.lists]);
  }
  const enabled = provenState(events.slice(0, separator < 0 ? undefined : separator));
  if (enabled === 'contradictory') problems.push('SecureBoot was measured with both values');
  if (enabled === null) problems.push('SecureBoot was not measured');
  return {
    enabled: typeof enabled === 'boolean' ? enabled : null,
    setupMode: booleanOf(variables, 'SetupMode'),
    auditMode: booleanOf(variables, 'AuditMode'),
    deployedMode: booleanOf(variables, 'DeployedMode'),
    pk: listsOf(variables, 'PK'),
    kek: listsOf(variables, 'KEK'),
    db: listsOf(variables, 'db'),
    dbx: listsOf(variables, 'dbx'),
    dbt: listsOf(variables, 'dbt'),
    dbr: listsOf(variables, 'dbr'),
    authorities,
    actions,
    problems,
  };
}

type Variables = ReadonlyMap<string, Uint8Array | SignatureList[] | boolean>;

function booleanOf(variables: Variables, name: string): boolean | null {
  const value = variables.get(name);
  return typeof value === 'boolean' ? value : null;
}

function listsOf(variables: Variables, name: string): readonly SignatureList[] | null {
  const value = variables.get(name);
  return Array.isArray(value) ? value : null;
}

function isSecureBootVariable({ guid }: { guid: string }): boolean {
  return guid === EFI_GLOBAL_VARIABLE || guid === EFI_IMAGE_SECURITY_DATABASE;
}

/** A digest of the value alone would let one variable pass for another. */
function coversAll({ measured, data }: ReplayedEvent): boolean {
  return measured?.length === data.length;
}

/**
 * What the digests before the separator say of the variable. They are known for both values, so that neither the type
 * nor the data of an event is believed: no digest would betray a relabelled one. Only where none of the two is there, a
 * variable that is spelt another way counts, when its digest covers all of it. [LOG-15]
 */
function provenState(events: readonly DecodedEvent[]): boolean | 'contradictory' | null {
  const isOff = events.some(({ event }) => SECURE_BOOT_OFF.some((value) => isDigestOf(event, value)));
  const isOn = events.some(({ event }) => isDigestOf(event, SECURE_BOOT_ON));
  const values =
    isOn || isOff ? [...(isOn ? [true] : []), ...(isOff ? [false] : [])] : events.flatMap(spelledOut);
  if (values.includes(true) && values.includes(false)) return 'contradictory';
  return values[0] ?? null;
}

function spelledOut({ event, body }: DecodedEvent): boolean[] {
  if (event.type !== EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG || !coversAll(event)) return [];
  if (body.kind !== 'variable') return [];
  const { name, guid, value } = body.variable;
  if (name !== 'SecureBoot' || guid !== EFI_GLOBAL_VARIABLE) return [];
  return body.content.kind === 'boolean' ? [body.content.value] : value.length === 0 ? [false] : [];
}

function isSeparator(event: ReplayedEvent): boolean {
  return SEPARATORS.some((value) => isDigestOf(event, value));
}

interface KnownValue {
  readonly bytes: Uint8Array;
  readonly digests: Map<Bank, Uint8Array>;
}

function known(bytes: Uint8Array): KnownValue {
  return { bytes, digests: new Map() };
}

/** 0 or FFFFFFFF, or 1 after an error: each ends what the firmware measures before it hands over. */
const SEPARATORS = ['00000000', 'ffffffff', '01000000'].map((hex) => known(fromHex(hex)));

/** UEFI_VARIABLE_DATA of EFI_GLOBAL_VARIABLE, `SecureBoot` in UTF-16. */
function secureBoot(...value: readonly number[]): KnownValue {
  const length = Uint8Array.of(value.length, 0, 0, 0, 0, 0, 0, 0);
  const head = fromHex('61dfe48bca93d211aa0d00e098032b8c0a00000000000000');
  const name = fromHex('53006500630075007200650042006f006f007400');
  return known(concatBytes(head, length, name, Uint8Array.from(value)));
}
const SECURE_BOOT_ON = secureBoot(1);
/** Firmware without Secure Boot measures the variable without value, for there is none (TCG PFP 1.06, 3.3.4.8). */
const SECURE_BOOT_OFF = [secureBoot(0), secureBoot()];

/** Whether every quoted bank agrees. SHA-1 has no say beside others, nor has a bank that the firmware does not fill. */
function isDigestOf(event: ReplayedEvent, value: KnownValue): boolean {
  const all = Object.keys(event.digests) as Bank[];
  const strong = all.filter((bank) => bank !== 'sha1' && !isConstant(event.digests[bank] as Uint8Array));
  const banks = strong.length > 0 ? strong : all;
  return (
    banks.length > 0 &&
    banks.every((bank) => bytesEqual(event.digests[bank] as Uint8Array, digestOf(value, bank)))
  );
}

/** Computed once for each bank: the values are constants. */
function digestOf({ bytes, digests }: KnownValue, bank: Bank): Uint8Array {
  const digest = digests.get(bank) ?? algorithmOf(bank).hash(bytes);
  digests.set(bank, digest);
  return digest;
}
