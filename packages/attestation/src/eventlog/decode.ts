import type { EventBody } from './body.ts';
import { decodeIpl, utf16Text } from './boot-loader.ts';
import { EVENT_TYPE } from './event-types.ts';
import { decodeBlob, decodeBlob2, decodeImageLoad, decodeTables, decodeTables2 } from './firmware.ts';
import { parseGpt } from './gpt.ts';
import { decodeNoAction } from './no-action.ts';
import { BodyError, formatGuid, textOrNull, trimNuls } from './reader.ts';
import { parseTaggedEvents } from './sipa.ts';
import { parseDeviceSecurity } from './spdm.ts';
import { decodeAuthority, decodeVariableContent, parseVariable } from './variable.ts';

/** What decoding needs of an event, verified or not. */
export interface Decodable {
  readonly pcr: number;
  readonly type: number;
  readonly data: Uint8Array;
}

/** The body, and what was odd about it: for an opaque body why it is opaque, otherwise what did not fit. */
export interface Decoded {
  readonly body: EventBody;
  readonly problem: string | null;
}

const OPAQUE: EventBody = { kind: 'opaque' };

/**
 * Decodes the data of an event by its type. Total: a body that does not decode is `opaque`, and the reason is the
 * problem. [LOG-13]
 */
export function decodeEvent(event: Decodable): Decoded {
  try {
    return decodeBody(event);
  } catch (error) {
    if (error instanceof BodyError) return { body: OPAQUE, problem: error.message };
    throw error;
  }
}

function decodeBody({ pcr, type, data }: Decodable): Decoded {
  switch (type) {
    case EVENT_TYPE.EV_NO_ACTION:
      return fine(decodeNoAction(data));
    case EVENT_TYPE.EV_SEPARATOR:
      return fine(decodeSeparator(data));
    case EVENT_TYPE.EV_EVENT_TAG:
      return fine({ kind: 'tagged', events: parseTaggedEvents(data) });
    case EVENT_TYPE.EV_S_CRTM_VERSION:
      return fine(
        data.length === 16 && !isText(data) ? { kind: 'guid', guid: formatGuid(data) } : textOf(data),
      );
    case EVENT_TYPE.EV_S_CRTM_CONTENTS:
      return fine(decodeContents(data));
    case EVENT_TYPE.EV_IPL:
      return fine(decodeIpl(pcr, data));
    case EVENT_TYPE.EV_POST_CODE:
    case EVENT_TYPE.EV_NONHOST_CODE:
    case EVENT_TYPE.EV_EFI_PLATFORM_FIRMWARE_BLOB:
      return fine(data.length === 16 && !isText(data) ? decodeBlob(data) : decodeText(data));
    case EVENT_TYPE.EV_POST_CODE2:
    case EVENT_TYPE.EV_EFI_PLATFORM_FIRMWARE_BLOB2:
      return fine(isText(data) ? decodeText(data) : decodeBlob2(data));
    case EVENT_TYPE.EV_EFI_HANDOFF_TABLES:
      return fine(decodeTables(data));
    case EVENT_TYPE.EV_EFI_HANDOFF_TABLES2:
      return fine(decodeTables2(data));
    case EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION:
    case EVENT_TYPE.EV_EFI_BOOT_SERVICES_DRIVER:
    case EVENT_TYPE.EV_EFI_RUNTIME_SERVICES_DRIVER:
      return fine(decodeImageLoad(data));
    case EVENT_TYPE.EV_EFI_GPT_EVENT:
    case EVENT_TYPE.EV_EFI_GPT_EVENT2:
      return fine({ kind: 'gpt', gpt: parseGpt(data) });
    case EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG:
    case EVENT_TYPE.EV_EFI_VARIABLE_BOOT:
    case EVENT_TYPE.EV_EFI_VARIABLE_BOOT2:
    case EVENT_TYPE.EV_EFI_SPDM_DEVICE_POLICY:
      return decodeVariable(data, false);
    case EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY:
    case EVENT_TYPE.EV_EFI_SPDM_DEVICE_AUTHORITY:
      return decodeVariable(data, true);
    case EVENT_TYPE.EV_EFI_SPDM_FIRMWARE_BLOB:
    case EVENT_TYPE.EV_EFI_SPDM_FIRMWARE_CONFIG:
      return fine({ kind: 'device', device: parseDeviceSecurity(data) });
    default:
      return fine(textOf(data));
  }
}

function fine(body: EventBody): Decoded {
  return { body, problem: null };
}

/** A variable whose value does not fit its name is still a variable. */
function decodeVariable(data: Uint8Array, isAuthority: boolean): Decoded {
  const variable = parseVariable(data);
  const trailing = variable.trailing === 0 ? null : `${variable.trailing} bytes behind the variable`;
  try {
    const content = isAuthority ? decodeAuthority(variable) : decodeVariableContent(variable);
    return { body: { kind: 'variable', variable, content }, problem: trailing };
  } catch (error) {
    if (!(error instanceof BodyError)) throw error;
    return {
      body: { kind: 'variable', variable, content: { kind: 'opaque' } },
      problem: `${variable.name}: ${error.message}`,
    };
  }
}

/**
 * 0 or FFFFFFFF ends the firmware's measurements, 1 says that they failed (TCG PFP 1.06, 10.4.1 and 3.3.2.1), and
 * Windows ends its own with WBCL. What the data says is a claim as any other: the digest decides.
 */
function decodeSeparator(data: Uint8Array): EventBody {
  const value = data.length === 4 ? new DataView(data.buffer, data.byteOffset).getUint32(0, true) : null;
  const meaning =
    value === 0 || value === 0xffffffff
      ? 'normal'
      : value === 1
        ? 'error'
        : textOrNull(data) === 'WBCL'
          ? 'windows'
          : 'unknown';
  return { kind: 'separator', meaning };
}

/** A text, such as that of Boot Guard, or a place in memory with or without a description. */
function decodeContents(data: Uint8Array): EventBody {
  if (isText(data)) return decodeText(data);
  if (data.length === 16) return decodeBlob(data);
  return data[0] === data.length - 17 ? decodeBlob2(data) : OPAQUE;
}

function textOf(data: Uint8Array): EventBody {
  return isText(data) ? decodeText(data) : OPAQUE;
}

function decodeText(data: Uint8Array): EventBody {
  const text = utf16Text(data) ?? textOrNull(data);
  if (text === null) throw new BodyError('neither a structure nor a text');
  return { kind: 'text', text: trimNuls(text) };
}

/** Printable in ASCII, UTF-8 or UTF-16, with at most some NULs at the end. */
function isText(data: Uint8Array): boolean {
  if (data.length === 0 || utf16Text(data) !== null) return true;
  let length = data.length;
  while (length > 0 && data[length - 1] === 0) length--;
  for (let i = 0; i < length; i++) {
    const byte = data[i] as number;
    if (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) return false;
  }
  return length > 0 && textOrNull(data.subarray(0, length)) !== null;
}
