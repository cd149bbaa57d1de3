import type { EventBody, LoaderEvent } from './body.ts';
import { textOrNull, trimNuls, utf16 } from './reader.ts';

/** GRUB's prefixes: upstream with a colon, Red Hat's without, and what they introduce. */
const GRUB_PREFIXES: readonly (readonly [string, LoaderEvent])[] = [
  ['grub_kernel_cmdline: ', 'grub-kernel-command-line'],
  ['grub_kernel_cmdline ', 'grub-kernel-command-line'],
  ['kernel_cmdline: ', 'grub-kernel-command-line'],
  ['kernel_cmdline ', 'grub-kernel-command-line'],
  ['module_cmdline: ', 'grub-kernel-command-line'],
  ['grub_cmd: ', 'grub-command'],
  ['grub_cmd ', 'grub-command'],
  ['grub_linuxefi ', 'grub-file'],
  ['grub_multiboot ', 'grub-file'],
];
const SHIM_VARIABLES =
  /^(?:MokList|MokListX|MokListXRT|MokListRT|MokListTrusted|MokListTrustedRT|MokSBState|MokSBStateRT|MokDBState|MokIgnoreDB|MokPolicy|HSIStatus|SbatLevel|SbatLevelRT|Shim)$/;
const SECTION = /^\.[a-z][a-z0-9]{1,6}$/;

/** EV_IPL: free to the loader, so its text tells who wrote it. What the digest covers differs; see `measured.ts`. */
export function decodeIpl(pcr: number, data: Uint8Array): EventBody {
  const wide = utf16Text(data);
  if (wide !== null) return { kind: 'loader', what: SECTION.test(wide) ? 'section' : 'systemd', text: wide };
  const padded = textOrNull(data);
  const text = padded === null ? null : trimNuls(padded);
  if (text === null || text.includes('\0')) return { kind: 'opaque' };
  for (const [prefix, what] of GRUB_PREFIXES) {
    if (text.startsWith(prefix)) return { kind: 'loader', what, text: text.slice(prefix.length) };
  }
  if (SHIM_VARIABLES.test(text)) return { kind: 'loader', what: 'shim-variable', text };
  if (pcr === 9 || /^\(?[a-z0-9,]*\)?\//.test(text)) return { kind: 'loader', what: 'grub-file', text };
  return { kind: 'loader', what: 'text', text };
}

/** The length of GRUB's prefix, which the digest leaves out; 0 when there is none. */
export function grubPrefixLength(text: string): number {
  return GRUB_PREFIXES.find(([prefix]) => text.startsWith(prefix))?.[0].length ?? 0;
}

/**
 * UTF-16 of printable characters, without its NULs; old stubs end it with one byte only. Null for anything else: text of
 * one byte a character would pair up to letters of far-away scripts, so a NUL among the odd bytes decides. One character
 * alone is rather a small number.
 */
export function utf16Text(data: Uint8Array): string | null {
  if (data.length < 2 || data[1] !== 0 || data[0] === 0) return null;
  const text = trimNuls(utf16(data));
  return text.length > 1 && !/\p{Cc}/u.test(text.replace(/[\t\n\r]/g, '')) ? text : null;
}
