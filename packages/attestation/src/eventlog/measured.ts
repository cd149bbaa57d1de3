import { bytesEqual, fromUtf8 } from '@nemea/core';
import { algorithmOf, type Bank } from './algorithms.ts';
import { grubPrefixLength, utf16Text } from './boot-loader.ts';
import { EVENT_TYPE } from './event-types.ts';
import type { RawEvent } from './model.ts';
import { BodyError, textOrNull } from './reader.ts';
import { parseVariable } from './variable.ts';

/**
 * Which bytes the digest of an event covers. `data` all of it; `value` the value of the variable; `separator-error` the
 * u32 1, whatever the data says; the others are what boot loaders and odd firmware do.
 */
export type Part =
  | 'data'
  | 'value'
  | 'separator-error'
  | 'tagged-data'
  | 'without-nul'
  | 'without-last-byte'
  | 'signature'
  | 'grub-text'
  | 'text-as-ascii'
  | 'text-as-utf16';

/** The bytes of an event that its digest covers, and which part of the data they are. */
export interface MeasuredPart {
  readonly part: Part;
  readonly bytes: Uint8Array;
}

/** What the profile says that the digest covers; null when it covers something that is not in the log. */
export function standardPart(type: number): Part | null {
  return STANDARD.get(type) ?? null;
}

/** TCG PFP 1.06, table 14, where it defines the digest as the hash of the event data or of a part of it. */
const STANDARD: ReadonlyMap<number, Part> = new Map<number, Part>([
  [EVENT_TYPE.EV_SEPARATOR, 'data'],
  [EVENT_TYPE.EV_ACTION, 'data'],
  [EVENT_TYPE.EV_S_CRTM_VERSION, 'data'],
  [EVENT_TYPE.EV_NONHOST_INFO, 'data'],
  [EVENT_TYPE.EV_OMIT_BOOT_DEVICE_EVENTS, 'data'],
  [EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG, 'data'],
  [EVENT_TYPE.EV_EFI_VARIABLE_BOOT, 'value'],
  [EVENT_TYPE.EV_EFI_VARIABLE_BOOT2, 'data'],
  [EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY, 'data'],
  [EVENT_TYPE.EV_EFI_GPT_EVENT, 'data'],
  [EVENT_TYPE.EV_EFI_GPT_EVENT2, 'data'],
  [EVENT_TYPE.EV_EFI_ACTION, 'data'],
  [EVENT_TYPE.EV_EFI_SPDM_FIRMWARE_BLOB, 'data'],
  [EVENT_TYPE.EV_EFI_SPDM_FIRMWARE_CONFIG, 'data'],
  [EVENT_TYPE.EV_EFI_SPDM_DEVICE_POLICY, 'data'],
  [EVENT_TYPE.EV_EFI_SPDM_DEVICE_AUTHORITY, 'data'],
]);

/** Finds the bytes whose hash is the digest of that bank; null when they are not in the log. [LOG-12] */
export function measuredPart(
  event: Pick<RawEvent, 'type' | 'data' | 'digests'>,
  bank: Bank,
): MeasuredPart | null {
  const { hash } = algorithmOf(bank);
  const digest = event.digests[bank];
  if (digest === undefined) return null;
  for (const candidate of candidates(event)) {
    if (bytesEqual(hash(candidate.bytes), digest)) return candidate;
  }
  return null;
}

/** What the digest may cover, the usual first, at most some ten for an event. */
function* candidates({ type, data }: Pick<RawEvent, 'type' | 'data'>): Generator<MeasuredPart> {
  if (type === EVENT_TYPE.EV_EFI_VARIABLE_BOOT) yield* variableParts(data);
  yield { part: 'data', bytes: data };
  switch (type) {
    case EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG:
    case EVENT_TYPE.EV_EFI_VARIABLE_BOOT2:
      yield* variableParts(data);
      break;
    case EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY:
    case EVENT_TYPE.EV_EFI_SPDM_DEVICE_AUTHORITY:
      yield* authorityParts(data);
      break;
    case EVENT_TYPE.EV_SEPARATOR:
      yield { part: 'separator-error', bytes: Uint8Array.of(1, 0, 0, 0) };
      break;
    case EVENT_TYPE.EV_EVENT_TAG:
      if (data.length > 8) yield { part: 'tagged-data', bytes: data.subarray(8) };
      break;
    case EVENT_TYPE.EV_IPL:
      yield* loaderParts(data);
      break;
    default:
      if (data.at(-1) === 0) yield withoutNuls(data);
  }
}

function* variableParts(data: Uint8Array): Generator<MeasuredPart> {
  const variable = variableOrNull(data);
  if (variable !== null) yield { part: 'value', bytes: variable.value };
}

/** Shims before 15.3 count one byte too many; others measure the value, or the certificate without its owner. */
function* authorityParts(data: Uint8Array): Generator<MeasuredPart> {
  if (data.length > 0) yield { part: 'without-last-byte', bytes: data.subarray(0, -1) };
  yield* variableParts(data);
  const value = variableOrNull(data)?.value;
  if (value !== undefined && value.length > 16) yield { part: 'signature', bytes: value.subarray(16) };
}

/** GRUB leaves out its prefix and the NUL; systemd-stub measures section names in ASCII and logs them in UTF-16. */
function* loaderParts(data: Uint8Array): Generator<MeasuredPart> {
  const wide = utf16Text(data);
  if (wide !== null) {
    const chars = new Uint8Array(2 * wide.length + 2);
    for (let i = 0; i < wide.length; i++)
      new DataView(chars.buffer).setUint16(2 * i, wide.charCodeAt(i), true);
    yield { part: 'text-as-ascii', bytes: fromUtf8(`${wide}\0`) };
    yield { part: 'text-as-utf16', bytes: chars.subarray(0, -2) };
    yield { part: 'text-as-utf16', bytes: chars };
    return;
  }
  if (data.at(-1) === 0) yield withoutNuls(data);
  const prefix = grubPrefixLength(textOrNull(data) ?? '');
  if (prefix === 0) return;
  const text = data.subarray(prefix);
  yield { part: 'grub-text', bytes: withoutNuls(text).bytes };
  yield { part: 'grub-text', bytes: text };
}

function withoutNuls(data: Uint8Array): MeasuredPart {
  let length = data.length;
  while (length > 0 && data[length - 1] === 0) length--;
  return { part: 'without-nul', bytes: data.subarray(0, length) };
}

function variableOrNull(data: Uint8Array) {
  try {
    return parseVariable(data);
  } catch (error) {
    if (error instanceof BodyError) return null; // No variable: then its value was not measured either.
    throw error;
  }
}
