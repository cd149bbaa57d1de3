import type { EventBody } from './body.ts';
import { BodyError, LittleEndianReader, textOrNull, trimNuls } from './reader.ts';
import { parseDeviceSecurity } from './spdm.ts';
import { isSpecId, parseSpecId } from './spec-id.ts';

const SIGNATURE_BYTES = 16;

/** EV_NO_ACTION: what it says is told by its first 16 bytes (TCG PFP 1.06, 10.4.5). Throws `BodyError`. */
export function decodeNoAction(data: Uint8Array): EventBody {
  if (data.length < SIGNATURE_BYTES) return { kind: 'no-action', signature: null };
  if (isSpecId(data)) return decodeSpecId(data);
  const signature = (textOrNull(data.subarray(0, SIGNATURE_BYTES)) ?? '').replace(/\0.*$/s, '').trimEnd();
  const reader = new LittleEndianReader(data);
  reader.bytes(SIGNATURE_BYTES);
  switch (signature) {
    case 'StartupLocality':
      return { kind: 'startup-locality', locality: reader.u8() };
    case 'H-CRTM CompMeas':
      return decodeHcrtmComponent(reader);
    case 'SP800-155 Event':
      return decodePlatformId(reader, 1);
    case 'SP800-155 Event2':
      return decodePlatformId(reader, 2);
    case 'SP800-155 Event3':
      return decodePlatformId(reader, 3);
    case 'NvIndexInstance':
      return decodeNvIndexInstance(reader);
    case 'NvIndexDynamic':
      return decodeNvIndexDynamic(reader);
    default:
      return { kind: 'no-action', signature: /^[\x20-\x7e]+$/.test(signature) ? signature : null };
  }
}

function decodeSpecId(data: Uint8Array): EventBody {
  const { specId, problem } = parseSpecId(data);
  if (specId === null) throw new BodyError(problem);
  return { kind: 'spec-id', specId };
}

/** TCG_HCRTMComponentEvent (TCG PFP 1.06, 10.4.5.4). */
function decodeHcrtmComponent(reader: LittleEndianReader): EventBody {
  const description = shortText(reader);
  const format = reader.u8();
  return { kind: 'hcrtm-component', description, format, measurement: reader.bytes(reader.u16()) };
}

/** TCG_Sp800_155_PlatformId_Event and its two successors (TCG PFP 1.06, 10.4.5.2). */
function decodePlatformId(reader: LittleEndianReader, revision: 1 | 2 | 3): EventBody {
  const [vendorId, referenceManifestGuid] = [reader.u32(), reader.guid()];
  const head = { kind: 'platform-id', vendorId, referenceManifestGuid } as const;
  if (revision === 1) return { ...head, revision };
  const platform = {
    platformManufacturer: shortText(reader),
    platformModel: shortText(reader),
    platformVersion: shortText(reader),
    firmwareManufacturer: shortText(reader),
    firmwareManufacturerId: reader.u32(),
    firmwareVersion: shortText(reader),
  };
  if (revision === 2) return { ...head, revision, platform };
  return { ...head, revision, platform, rim: locator(reader), platformCertificate: locator(reader) };
}

const LOCATORS = ['raw', 'uri', 'device-path', 'variable'] as const;

function locator(reader: LittleEndianReader) {
  const type = reader.u32();
  return { type: LOCATORS[type] ?? ('unknown' as const), data: reader.bytes(reader.u32()) };
}

/** NV_INDEX_INSTANCE_EVENT_LOG_DATA (TCG PFP 1.06, 10.4.5.5). */
function decodeNvIndexInstance(reader: LittleEndianReader): EventBody {
  const version = reader.u16();
  reader.bytes(6);
  return { kind: 'nv-index-instance', version, device: parseDeviceSecurity(reader.rest()) };
}

/** NV_INDEX_DYNAMIC_EVENT_LOG_DATA (TCG PFP 1.06, 10.4.5.6). */
function decodeNvIndexDynamic(reader: LittleEndianReader): EventBody {
  const version = reader.u16();
  reader.bytes(6);
  const uid = reader.u64();
  const description = text(reader.bytes(reader.u16()));
  return { kind: 'nv-index-dynamic', version, uid, description, data: reader.bytes(reader.u16()) };
}

function shortText(reader: LittleEndianReader): string {
  return text(reader.bytes(reader.u8()));
}

function text(bytes: Uint8Array): string {
  const value = textOrNull(bytes);
  if (value === null) throw new BodyError('a text is not UTF-8');
  return trimNuls(value);
}
