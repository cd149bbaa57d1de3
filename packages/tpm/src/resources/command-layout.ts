import { u16At, u32At } from '@nemea/core';

/** What the TPM says of each of its commands: TPMA_CC by command code (TPM 2.0 Part 2, 8.9). */
export type CommandAttributes = ReadonlyMap<number, number>;

/** Where a command names objects and sessions, and which it makes or ends. */
export interface CommandLayout {
  readonly code: number;
  readonly handles: readonly number[];
  readonly sessions: readonly { readonly handle: number; readonly continues: boolean }[];
  readonly returnsHandle: boolean;
  /** Whether success flushes the objects in the handle area, as TPM2_SequenceComplete does. */
  readonly flushes: boolean;
}

export const HANDLES_OFFSET = 10;
const TAG_SESSIONS = 0x8002;
const CONTINUE_SESSION = 0x01;
// Command index and the vendor bit.
const CODE_MASK = 0x2000ffff;
const FLUSHED = 1 << 24;
const HANDLES_SHIFT = 25;
const HANDLES_MASK = 0x7;
const RETURNS_HANDLE = 1 << 28;
const AUTHORIZATIONS_MAX = 3;

export function attributesByCode(list: readonly number[]): CommandAttributes {
  return new Map(list.map((attributes) => [attributes & CODE_MASK, attributes]));
}

/**
 * The layout of a command that the TPM implements. Undefined for any other bytes: nothing in them can be named, and the
 * channel or the TPM says what is wrong with them.
 */
export function layoutOf(command: Uint8Array, commands: CommandAttributes): CommandLayout | undefined {
  if (command.length < HANDLES_OFFSET) return undefined;
  const code = u32At(command, 6);
  const attributes = commands.get(code);
  if (attributes === undefined) return undefined;
  const count = (attributes >>> HANDLES_SHIFT) & HANDLES_MASK;
  const sessionsOffset = HANDLES_OFFSET + 4 * count;
  if (sessionsOffset > command.length) return undefined;
  const handles: number[] = [];
  for (let offset = HANDLES_OFFSET; offset < sessionsOffset; offset += 4) {
    handles.push(u32At(command, offset));
  }
  const sessions = u16At(command, 0) === TAG_SESSIONS ? readSessions(command, sessionsOffset) : [];
  if (sessions === undefined) return undefined;
  const returnsHandle = (attributes & RETURNS_HANDLE) !== 0;
  return { code, handles, sessions, returnsHandle, flushes: (attributes & FLUSHED) !== 0 };
}

/** The authorisation area (TPM 2.0 Part 1, 18): handle, nonce, attributes, hmac, up to three times. */
function readSessions(command: Uint8Array, offset: number): CommandLayout['sessions'] | undefined {
  if (offset + 4 > command.length) return undefined;
  const end = offset + 4 + u32At(command, offset);
  if (end > command.length) return undefined;
  const sessions: { handle: number; continues: boolean }[] = [];
  let at = offset + 4;
  while (at < end) {
    if (sessions.length === AUTHORIZATIONS_MAX || at + 6 > end) return undefined;
    const handle = u32At(command, at);
    const attributes = at + 6 + u16At(command, at + 4);
    if (attributes + 3 > end) return undefined;
    sessions.push({ handle, continues: ((command[attributes] as number) & CONTINUE_SESSION) !== 0 });
    at = attributes + 3 + u16At(command, attributes + 1);
  }
  return at === end ? sessions : undefined;
}
