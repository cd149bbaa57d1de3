import { concatBytes } from '@nemea/core';

/** One section of a unified kernel image, in the order in which the stub measures it. */
export interface Section {
  readonly name: '.osrel' | '.cmdline' | '.linux' | '.initrd';
  readonly content: Uint8Array;
}

const FILE_ALIGNMENT = 0x200;
const PAGE = 0x1000;
const FIRST_VMA_ALIGNMENT = 0x10000;
const SECTION_HEADER_BYTES = 40;
// Offsets from the PE signature (PE/COFF specification, sections 3.3 and 3.4.2).
const NUMBER_OF_SECTIONS = 6;
const POINTER_TO_SYMBOL_TABLE = 12;
const SIZE_OF_OPTIONAL_HEADER = 20;
const OPTIONAL_HEADER = 24;
const SIZE_OF_IMAGE = OPTIONAL_HEADER + 56;
const SIZE_OF_HEADERS = OPTIONAL_HEADER + 60;
const CHECK_SUM = OPTIONAL_HEADER + 64;
const INITIALIZED_DATA_READABLE = 0x40000040;

/** Appends sections to a systemd stub: a unified kernel image, as `ukify` makes one. */
export function buildUki(stub: Uint8Array, sections: readonly Section[]): Uint8Array {
  const image = Uint8Array.from(stub);
  const view = new DataView(image.buffer);
  const pe = view.getUint32(0x3c, true);
  const tableStart = pe + OPTIONAL_HEADER + view.getUint16(pe + SIZE_OF_OPTIONAL_HEADER, true);
  const count = view.getUint16(pe + NUMBER_OF_SECTIONS, true);
  const tableEnd = tableStart + SECTION_HEADER_BYTES * (count + sections.length);
  if (tableEnd > view.getUint32(pe + SIZE_OF_HEADERS, true))
    throw new Error('the stub has no room for sections');

  let [fileEnd, vmaEnd] = [0, 0];
  for (let at = tableStart; at < tableStart + SECTION_HEADER_BYTES * count; at += SECTION_HEADER_BYTES) {
    vmaEnd = Math.max(vmaEnd, view.getUint32(at + 12, true) + view.getUint32(at + 8, true));
    fileEnd = Math.max(fileEnd, view.getUint32(at + 20, true) + view.getUint32(at + 16, true));
  }
  vmaEnd = alignUp(vmaEnd, FIRST_VMA_ALIGNMENT);

  // What follows the last section are symbols, which nobody needs.
  const parts = [image.subarray(0, fileEnd)];
  for (const [index, { name, content }] of sections.entries()) {
    const padded = new Uint8Array(alignUp(content.length, FILE_ALIGNMENT));
    padded.set(content);
    const gap = alignUp(fileEnd, FILE_ALIGNMENT) - fileEnd;
    parts.push(new Uint8Array(gap), padded);
    const at = tableStart + SECTION_HEADER_BYTES * (count + index);
    image.set(new TextEncoder().encode(name), at);
    view.setUint32(at + 8, content.length, true);
    view.setUint32(at + 12, vmaEnd, true);
    view.setUint32(at + 16, padded.length, true);
    view.setUint32(at + 20, fileEnd + gap, true);
    view.setUint32(at + 36, INITIALIZED_DATA_READABLE, true);
    fileEnd += gap + padded.length;
    vmaEnd = alignUp(vmaEnd + content.length, PAGE);
  }
  view.setUint16(pe + NUMBER_OF_SECTIONS, count + sections.length, true);
  view.setBigUint64(pe + POINTER_TO_SYMBOL_TABLE, 0n, true);
  view.setUint32(pe + SIZE_OF_IMAGE, alignUp(vmaEnd, FILE_ALIGNMENT), true);
  view.setUint32(pe + CHECK_SUM, 0, true);
  return concatBytes(...parts);
}

function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
