import type { Bank } from './algorithms.ts';
import type { EventBody } from './body.ts';
import { decodeEvent } from './decode.ts';
import { EVENT_TYPE } from './event-types.ts';
import type { Gpt } from './gpt.ts';
import type { ReplayedEvent, ReplayedEvents } from './model.ts';
import { utf16 } from './reader.ts';
import { describeSecureBoot, type SecureBootState } from './secure-boot.ts';
import type { TaggedEvent } from './sipa.ts';
import type { LoadOption } from './variable.ts';

/** The event behind a statement. What `verified` does not cover, such as a name or a path, is the log's word. */
interface Source {
  readonly event: number;
  readonly pcr: number;
  readonly digests: Readonly<Partial<Record<Bank, Uint8Array>>>;
  /** The digest is that of the text or the structure told here. */
  readonly verified: boolean;
}

/** An image that the firmware loaded: the digests are Authenticode digests, the path is the loader's word. */
export interface LoadedImage extends Source {
  readonly devicePath: string;
  readonly kind: 'application' | 'driver' | 'runtime-driver';
}

/** A text that was measured. */
export interface MeasuredText extends Source {
  readonly text: string;
}

/** A file or a memory image: the digests cover its content, the name is the loader's word. */
export interface MeasuredFile extends Source {
  readonly name: string;
  readonly role: 'kernel' | 'initrd' | 'load-options' | 'other';
}

/** A section of a unified kernel image, from the two events that systemd-stub measures for it. */
export interface ImageSection extends Source {
  readonly name: string;
  readonly covers: 'name' | 'content';
}

/** A piece of firmware that was measured. */
export interface FirmwareBlob extends Source {
  readonly base: bigint;
  readonly length: bigint;
  readonly description: string | null;
}

/** A boot option that was measured. */
export interface BootOption extends Source {
  /** `Boot0001`; not covered by the digest. */
  readonly name: string;
  readonly option: LoadOption;
}

/** The end of the firmware's measurements of a register, or its word that they failed. */
export interface Separator extends Source {
  readonly meaning: Extract<EventBody, { kind: 'separator' }>['meaning'];
}

/** What booted, as far as the events tell. */
export interface BootDescription {
  readonly secureBoot: SecureBootState;
  readonly crtmVersion: MeasuredText | null;
  readonly firmwareBlobs: readonly FirmwareBlob[];
  /** Images that ran before the boot manager: drivers, option ROMs. */
  readonly drivers: readonly LoadedImage[];
  /** Images that the boot manager or a boot loader started, in order. */
  readonly bootLoaders: readonly LoadedImage[];
  /** Null when it was not measured, or not verified. */
  readonly bootOrder: readonly number[] | null;
  readonly bootOptions: readonly BootOption[];
  readonly gpt: readonly (Source & { readonly gpt: Gpt })[];
  readonly grubCommands: readonly MeasuredText[];
  readonly kernelCommandLines: readonly MeasuredText[];
  readonly files: readonly MeasuredFile[];
  readonly sections: readonly ImageSection[];
  /** MOK variables and the SBAT level, by name. */
  readonly shimVariables: readonly MeasuredFile[];
  readonly separators: readonly Separator[];
  readonly actions: readonly MeasuredText[];
  /** What Windows measured, aggregations opened. */
  readonly windows: readonly (Source & { readonly tagged: TaggedEvent })[];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer U)[] ? U[] : T[K] };

/** Sorts replayed events by what they say. Give it a `VerifiedBoot` to judge by, any replay to show. [LOG-14] */
export function describeBoot({ registers, events }: ReplayedEvents): BootDescription {
  const decoded = events.map((event) => ({ event, ...decodeEvent(event) }));
  const boot: Mutable<Omit<BootDescription, 'bootOrder'>> & { bootOrder: readonly number[] | null } = {
    secureBoot: describeSecureBoot(registers, decoded),
    crtmVersion: null,
    firmwareBlobs: [],
    drivers: [],
    bootLoaders: [],
    bootOrder: null,
    bootOptions: [],
    gpt: [],
    grubCommands: [],
    kernelCommandLines: [],
    files: [],
    sections: [],
    shimVariables: [],
    separators: [],
    actions: [],
    windows: [],
  };
  const loaderRegister = registers === 'pcr' ? 4 : 2;
  for (const { event, body } of decoded) {
    const source = sourceOf(event);
    switch (body.kind) {
      case 'text':
        if (event.type === EVENT_TYPE.EV_S_CRTM_VERSION) boot.crtmVersion = { ...source, text: body.text };
        if (isAction(event.type)) boot.actions.push({ ...source, text: body.text });
        break;
      case 'separator':
        boot.separators.push({ ...source, meaning: separatorMeaning(event, body.meaning) });
        break;
      case 'firmware-blob': {
        const { base, length, description } = body;
        boot.firmwareBlobs.push({ ...source, base, length, description });
        break;
      }
      case 'image-load': {
        const image = { ...source, devicePath: body.image.devicePath, kind: imageKind(event.type) };
        (event.pcr === loaderRegister ? boot.bootLoaders : boot.drivers).push(image);
        break;
      }
      case 'variable':
        if (body.content.kind === 'boot-order' && body.variable.name === 'BootOrder' && source.verified) {
          boot.bootOrder = body.content.order;
        }
        if (body.content.kind === 'load-option') {
          boot.bootOptions.push({ ...source, name: body.variable.name, option: body.content.option });
        }
        break;
      case 'gpt':
        boot.gpt.push({ ...source, gpt: body.gpt });
        break;
      case 'tagged':
        addTagged(boot, source, body.events);
        break;
      case 'loader':
        addLoaderEvent(boot, source, event, body);
        break;
    }
  }
  return boot;
}

function sourceOf({ number, pcr, digests, dataVerified }: ReplayedEvent): Source {
  return { event: number, pcr, digests, verified: dataVerified };
}

function isAction(type: number): boolean {
  return type === EVENT_TYPE.EV_ACTION || type === EVENT_TYPE.EV_EFI_ACTION;
}

/** The digest tells an error, whatever the data says. */
function separatorMeaning({ measured }: ReplayedEvent, claimed: Separator['meaning']): Separator['meaning'] {
  return measured?.length === 4 && measured[0] === 1 ? 'error' : claimed;
}

function imageKind(type: number): LoadedImage['kind'] {
  if (type === EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION) return 'application';
  return type === EVENT_TYPE.EV_EFI_BOOT_SERVICES_DRIVER ? 'driver' : 'runtime-driver';
}

type Lists = Pick<
  Mutable<BootDescription>,
  'files' | 'windows' | 'grubCommands' | 'kernelCommandLines' | 'sections' | 'shimVariables'
>;

const TAGGED_ROLES: Readonly<Record<string, MeasuredFile['role']>> = {
  Initrd: 'initrd',
  InitrdAddon: 'initrd',
  UcodeAddon: 'initrd',
  LoadOptions: 'load-options',
  DeviceTree: 'other',
  DeviceTreeAddon: 'other',
  LoaderConf: 'other',
};

function addTagged(boot: Lists, source: Source, events: readonly TaggedEvent[]): void {
  for (const tagged of events) {
    const role = tagged.name === null ? undefined : TAGGED_ROLES[tagged.name];
    if (role !== undefined) boot.files.push({ ...source, name: tagged.name as string, role });
    else if (tagged.children.length > 0) addTagged(boot, source, tagged.children);
    else if (tagged.name !== null) boot.windows.push({ ...source, tagged });
  }
}

function addLoaderEvent(
  boot: Lists,
  source: Source,
  event: ReplayedEvent,
  { what, text }: Extract<EventBody, { kind: 'loader' }>,
): void {
  switch (what) {
    case 'grub-command':
      boot.grubCommands.push({ ...source, text });
      break;
    case 'grub-kernel-command-line':
      boot.kernelCommandLines.push({ ...source, text });
      break;
    case 'grub-file':
      boot.files.push({ ...source, name: text, role: fileRole(text) });
      break;
    case 'shim-variable':
      boot.shimVariables.push({ ...source, name: text, role: 'other' });
      break;
    case 'section':
      boot.sections.push({ ...source, name: text, covers: source.verified ? 'name' : 'content' });
      break;
    case 'systemd':
      if (isCommandLine(event, text)) boot.kernelCommandLines.push({ ...source, text });
      else boot.files.push({ ...source, name: text, role: /initrd/i.test(text) ? 'initrd' : 'other' });
      break;
    case 'text':
      boot.files.push({ ...source, name: text, role: 'other' });
      break;
  }
}

function fileRole(path: string): MeasuredFile['role'] {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (/^(?:vmlinu|bzImage|linux|kernel)/i.test(name)) return 'kernel';
  return /^(?:initr|initramfs)/i.test(name) ? 'initrd' : 'other';
}

/** systemd measures a command line as text; of an initrd that it made it logs a description. */
function isCommandLine({ pcr, measured, data }: ReplayedEvent, text: string): boolean {
  if (measured === null) return (pcr === 8 || pcr === 12) && !/initrd$/i.test(text);
  return utf16(data).startsWith(text);
}
