/**
 * Just enough of the WebAssembly binary format (core specification 2.0, section 5) for functions of three addresses
 * that work on one memory and call each other.
 */

/** Bytes of instructions. */
export type Code = readonly number[];

export interface WasmFunction {
  readonly name: string;
  /** How many locals of 64 bits it has; they come after the three parameters. */
  readonly locals: number;
  readonly body: Code;
}

export const PARAMETERS = 3;

const I32 = 0x7f;
const I64 = 0x7e;
const FUNCTION = 0x60;
const END = 0x0b;

export const address = (bytes: number): Code => [0x41, ...signed(bytes)];
export const addAddress: Code = [0x6a];
export const constant = (value: number): Code => [0x42, ...signed(value)];
export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number): Code => [0x21, ...unsigned(local)];
export const call = (index: number): Code => [0x10, ...unsigned(index)];
/** Four bytes from or to memory, as a signed number of 64 bits. */
export const load = (offset: number): Code => [0x34, 2, ...unsigned(offset)];
export const store = (offset: number): Code => [0x3e, 2, ...unsigned(offset)];
export const add: Code = [0x7c];
export const subtract: Code = [0x7d];
export const multiply: Code = [0x7e];
export const and: Code = [0x83];
export const shiftLeft: Code = [0x86];
/** Rounds down, also below zero. */
export const shiftRight: Code = [0x87];

/** A module that exports its functions, and the memory that they share, 64 KiB, as `memory`. */
export function assemble(functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  const type = [FUNCTION, ...list(new Array(PARAMETERS).fill([I32])), ...list([])];
  const exported = functions.map(({ name }, index) => [...text(name), 0, ...unsigned(index)]);
  const bodies = functions.map(({ locals, body }) =>
    sized([...list([[...unsigned(locals), I64]]), ...body, END]),
  );
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list([type])),
    ...section(3, list(functions.map(() => [0]))),
    ...section(5, list([[1, 1, 1]])),
    ...section(7, list([...exported, [...text('memory'), 2, 0]])),
    ...section(10, list(bodies)),
  ]);
}

function section(id: number, content: Code): Code {
  return [id, ...sized(content)];
}

function list(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

function sized(content: Code): Code {
  return [...unsigned(content.length), ...content];
}

function text(ascii: string): Code {
  return sized(Array.from(ascii, (it) => it.charCodeAt(0)));
}

/** LEB128, both kinds. */
function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): Code {
  return value >= -0x40 && value < 0x40 ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}
