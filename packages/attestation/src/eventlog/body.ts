import type { DevicePathNode } from './device-path.ts';
import type { Gpt } from './gpt.ts';
import type { SpecId } from './model.ts';
import type { TaggedEvent } from './sipa.ts';
import type { DeviceSecurity } from './spdm.ts';
import type { Variable, VariableContent } from './variable.ts';

/** What the data of an event says, by its type. Bytes that say nothing that is known here are `opaque`. */
export type EventBody =
  | NoActionBody
  | { readonly kind: 'separator'; readonly meaning: 'normal' | 'error' | 'windows' | 'unknown' }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'guid'; readonly guid: string }
  | {
      readonly kind: 'firmware-blob';
      readonly base: bigint;
      readonly length: bigint;
      readonly description: string | null;
    }
  | {
      readonly kind: 'tables';
      readonly description: string | null;
      readonly tables: readonly ConfigurationTable[];
    }
  | { readonly kind: 'variable'; readonly variable: Variable; readonly content: VariableContent }
  | { readonly kind: 'image-load'; readonly image: ImageLoadEvent }
  | { readonly kind: 'gpt'; readonly gpt: Gpt }
  | { readonly kind: 'tagged'; readonly events: readonly TaggedEvent[] }
  | { readonly kind: 'loader'; readonly what: LoaderEvent; readonly text: string }
  | { readonly kind: 'device'; readonly device: DeviceSecurity }
  | { readonly kind: 'opaque' };

/** What a no-action event tells; it was never measured. */
export type NoActionBody =
  | { readonly kind: 'spec-id'; readonly specId: SpecId }
  | { readonly kind: 'startup-locality'; readonly locality: number }
  | {
      readonly kind: 'hcrtm-component';
      readonly description: string;
      /** 0 a TPMT_HA, 0x80 the raw data. */
      readonly format: number;
      readonly measurement: Uint8Array;
    }
  | {
      readonly kind: 'platform-id';
      readonly revision: 1 | 2 | 3;
      readonly vendorId: number;
      readonly referenceManifestGuid: string;
      readonly platform?: PlatformIdentity;
      readonly rim?: Locator;
      readonly platformCertificate?: Locator;
    }
  | { readonly kind: 'nv-index-instance'; readonly version: number; readonly device: DeviceSecurity }
  | {
      readonly kind: 'nv-index-dynamic';
      readonly version: number;
      readonly uid: bigint;
      readonly description: string;
      readonly data: Uint8Array;
    }
  | { readonly kind: 'no-action'; readonly signature: string | null };

/** Maker, model and firmware as an SP800-155 event names them. */
export interface PlatformIdentity {
  readonly platformManufacturer: string;
  readonly platformModel: string;
  readonly platformVersion: string;
  readonly firmwareManufacturer: string;
  readonly firmwareManufacturerId: number;
  readonly firmwareVersion: string;
}

/** Where reference values or certificates of the platform are, as SP800-155 events say. */
export interface Locator {
  readonly type: 'raw' | 'uri' | 'device-path' | 'variable' | 'unknown';
  readonly data: Uint8Array;
}

/** A UEFI configuration table: what it is, and where it was in memory. */
export interface ConfigurationTable {
  readonly guid: string;
  readonly address: bigint;
}

/** UEFI_IMAGE_LOAD_EVENT (TCG PFP 1.06, 10.2.3). The digest is the Authenticode digest of the image and covers none of this. */
export interface ImageLoadEvent {
  readonly address: bigint;
  readonly length: bigint;
  readonly linkTimeAddress: bigint;
  readonly path: readonly DevicePathNode[];
  /** The path as text, empty when the loader gave none. */
  readonly devicePath: string;
}

/** What a boot loader says it measured in EV_IPL. */
export type LoaderEvent =
  /** GRUB ran a command: the digest covers the text. */
  | 'grub-command'
  /** The command line GRUB hands to the kernel: the digest covers the text. */
  | 'grub-kernel-command-line'
  /** A file or module that GRUB read: the digest covers its content, the text is its path. */
  | 'grub-file'
  /** shim's copy of a MOK variable or its SBAT level: the digest covers the value, the text is its name. */
  | 'shim-variable'
  /** systemd-stub: the name of a section of the unified kernel image; the digest covers the name or the content. */
  | 'section'
  /** systemd-stub or systemd-boot: a command line, or an initrd that they made; UTF-16. */
  | 'systemd'
  | 'text';
