import { type ByteReader, ByteWriter } from '@nemea/core';
import { TpmError } from './errors.ts';
import type { Session, SessionUse } from './sessions/session.ts';
import { invalid, parseWhole, readSized, writeSized } from './structures/buffer.ts';
import { baseReturnCode, decodeReturnCode, RC, returnCodeName } from './structures/return-code.ts';

/** TPM_RH values: hierarchies and the password session. */
export const HANDLE = {
  owner: 0x40000001,
  null: 0x40000007,
  password: 0x40000009,
  lockout: 0x4000000a,
  endorsement: 0x4000000b,
  platform: 0x4000000c,
} as const;

/** A handle, with the name that the object behind it must have. A `Session` and a `TpmKey` are such references. */
export type HandleRef = number | { readonly handle: number; readonly name?: Uint8Array };

/**
 * What authorises a handle: its password (empty as `'password'`), or a session. A password that is not empty crosses
 * the wire only when encryption is off; otherwise it keys the HMAC of a session.
 */
export type Authorization = 'password' | { readonly password: Uint8Array } | Session | SessionUse;

/** One TPM command. The table in `commands/` writes them; `run` is the typed way to send one. */
export interface Command {
  /** As TPM 2.0 Part 3 has it, without the prefix TPM2_. */
  readonly name: string;
  /** TPM_CC. */
  readonly code: number;
  /** In the order of TPM 2.0 Part 3, those that need authorization first. */
  readonly handles?: readonly HandleRef[];
  /** One for each handle that needs it, in handle order. */
  readonly authorizations?: readonly Authorization[];
  /** Sessions that authorise nothing: they encrypt or audit. A command has at most 3 authorizations and sessions. */
  readonly sessions?: readonly (Session | SessionUse)[];
  readonly parameters?: Uint8Array;
  /** Whether the response begins with a handle. */
  readonly returnsHandle?: boolean;
  /** Send in the clear what would be encrypted by default (`secrecyOf`). */
  readonly inClear?: boolean;
}

/** A response after its header and sessions were checked. */
export interface Response {
  /** 0 if the command returns none. */
  readonly handle: number;
  /** As `handle`, as a list of none or one. */
  readonly handles: readonly number[];
  /** Decrypted, if a session encrypted the first one. */
  readonly parameters: Uint8Array;
  /** The whole response as it came over the channel. */
  readonly raw: Uint8Array;
}

/** TPMS_AUTH_COMMAND; a response's area lacks the session. */
export interface AuthorizationArea {
  readonly session: number;
  readonly nonce: Uint8Array;
  /** TPMA_SESSION. */
  readonly attributes: number;
  readonly hmac: Uint8Array;
}

/** A response cut into its parts, before any session has looked at it. */
export interface ResponseFrame {
  readonly handle: number;
  readonly parameters: Uint8Array;
  readonly areas: readonly Omit<AuthorizationArea, 'session'>[];
}

const TAG_NO_SESSIONS = 0x8001;
const TAG_SESSIONS = 0x8002;
const HEADER_BYTES = 10;
const FIELD_BYTES_MAX = 64;

export function handleOf(reference: HandleRef): number {
  return typeof reference === 'number' ? reference : reference.handle;
}

/** Command bytes (TPM 2.0 Part 1, 18). `parameters` and `areas` as `authorizeCommand` made them. */
export function encodeCommand(
  command: Command,
  parameters: Uint8Array = command.parameters ?? new Uint8Array(0),
  areas: readonly AuthorizationArea[] = [],
): Uint8Array {
  const { handles = [] } = command;
  const authorizations = areas.length > 0 ? encodeAreas(areas) : undefined;
  const areaBytes = authorizations === undefined ? 0 : 4 + authorizations.length;
  const size = HEADER_BYTES + 4 * handles.length + areaBytes + parameters.length;
  const writer = new ByteWriter(size)
    .u16(authorizations === undefined ? TAG_NO_SESSIONS : TAG_SESSIONS)
    .u32(size)
    .u32(command.code);
  for (const reference of handles) writer.u32(handleOf(reference));
  if (authorizations !== undefined) writer.u32(authorizations.length).bytes(authorizations);
  return writer.bytes(parameters).toBytes();
}

function encodeAreas(areas: readonly AuthorizationArea[]): Uint8Array {
  const writer = new ByteWriter();
  for (const { session, nonce, attributes, hmac } of areas) {
    writeSized(writeSized(writer.u32(session), nonce).u8(attributes), hmac);
  }
  return writer.toBytes();
}

/**
 * Splits the response to a command that had `areaCount` authorization areas. Throws `TPM_RETURN_CODE` for any code but
 * success, `TPM_STRUCTURE_INVALID` for bad bytes.
 */
export function decodeResponse(command: Command, bytes: Uint8Array, areaCount = 0): ResponseFrame {
  return parseWhole(`${command.name} response`, bytes, (reader) => readResponse(command, reader, areaCount));
}

function readResponse(command: Command, reader: ByteReader, areaCount: number): ResponseFrame {
  const tag = reader.u16();
  reader.u32();
  const returnCode = reader.u32();
  if (returnCode !== RC.success) throw returnCodeError(command, returnCode);
  const expected = areaCount > 0 ? TAG_SESSIONS : TAG_NO_SESSIONS;
  // A response that drops its sessions would go unchecked.
  if (tag !== expected) throw invalid(`${command.name} response tag: got ${tag}, want ${expected}`);
  const handle = command.returnsHandle === true ? reader.u32() : 0;
  if (areaCount === 0) return { handle, parameters: reader.view(reader.remaining), areas: [] };
  const parameters = reader.view(reader.u32());
  const areas = Array.from({ length: areaCount }, () => ({
    nonce: readSized(reader, 'session nonce', FIELD_BYTES_MAX),
    attributes: reader.u8(),
    hmac: readSized(reader, 'session hmac', FIELD_BYTES_MAX),
  }));
  return { handle, parameters, areas };
}

function returnCodeError(command: Command, returnCode: number): TpmError {
  const code = `0x${returnCode.toString(16).padStart(3, '0')}`;
  const name = returnCodeName(returnCode);
  const accused = accusedHandle(command, returnCode);
  const about = accused === undefined ? '' : ` for handle 0x${accused.toString(16)}`;
  return new TpmError('TPM_RETURN_CODE', `${command.name}: the tpm answered ${code} ${name}${about}`, {
    data: { command: command.name, returnCode, name, ...(accused === undefined ? {} : { handle: accused }) },
  });
}

/** The handle that a code blames, itself or by the session that authorises it. */
function accusedHandle(command: Command, returnCode: number): number | undefined {
  const { accused } = decodeReturnCode(returnCode);
  if (accused === undefined || accused.kind === 'parameter') return undefined;
  if (accused.kind === 'session' && accused.number > (command.authorizations ?? []).length) return undefined;
  const reference = command.handles?.[accused.number - 1];
  return reference === undefined ? undefined : handleOf(reference);
}

/** The TPM's response code, if `error` is one. */
export function returnCodeOf(error: unknown): number | undefined {
  if (!(error instanceof TpmError) || error.code !== 'TPM_RETURN_CODE') return undefined;
  const { returnCode } = error.data;
  return typeof returnCode === 'number' ? returnCode : undefined;
}

/** Whether the TPM refused with this code of `RC`, whatever handle, session or parameter it accuses. */
export function isRefusal(error: unknown, code: number): boolean {
  const returnCode = returnCodeOf(error);
  return returnCode !== undefined && baseReturnCode(returnCode) === code;
}
