import { ByteReader, ByteWriter, CodedError } from '@nemea/core';
import { TpmError } from './errors.ts';
import { RC, returnCodeName } from './structures/return-code.ts';

/** TPM_CC values in use (TPM 2.0 Part 2, 6.5.2). */
export const COMMAND = {
  hierarchyControl: 0x121,
  createPrimary: 0x131,
  startup: 0x144,
  shutdown: 0x145,
  activateCredential: 0x147,
  certify: 0x148,
  getTime: 0x14c,
  nvRead: 0x14e,
  policySecret: 0x151,
  create: 0x153,
  load: 0x157,
  quote: 0x158,
  sign: 0x15d,
  unseal: 0x15e,
  contextLoad: 0x161,
  contextSave: 0x162,
  flushContext: 0x165,
  loadExternal: 0x167,
  nvReadPublic: 0x169,
  readPublic: 0x173,
  startAuthSession: 0x176,
  getCapability: 0x17a,
  getRandom: 0x17b,
  pcrRead: 0x17e,
  policyPcr: 0x17f,
  pcrExtend: 0x182,
  commit: 0x18b,
} as const;

export type CommandName = keyof typeof COMMAND;

/** TPM_RH values: hierarchies and the password session. */
export const HANDLE = {
  owner: 0x40000001,
  null: 0x40000007,
  password: 0x40000009,
  lockout: 0x4000000a,
  endorsement: 0x4000000b,
  platform: 0x4000000c,
} as const;

/** What authorises a handle: an empty password, or a policy session that this command uses up. */
export type Authorization = 'password' | { readonly policySession: number };

export interface Command {
  readonly name: CommandName;
  readonly handles?: readonly number[];
  /** One for each handle that needs it, in handle order. */
  readonly authorizations?: readonly Authorization[];
  readonly parameters?: Uint8Array;
  /** Whether the response begins with a handle. */
  readonly returnsHandle?: boolean;
}

export interface Response {
  /** Present exactly if the command returns one. */
  readonly handle: number;
  readonly parameters: Uint8Array;
}

const TAG_NO_SESSIONS = 0x8001;
const TAG_SESSIONS = 0x8002;

export function encodeCommand(command: Command): Uint8Array {
  const authorizations = command.authorizations ?? [];
  const body = new ByteWriter();
  for (const handle of command.handles ?? []) body.u32(handle);
  if (authorizations.length > 0) {
    const area = encodeAuthorizations(authorizations);
    body.u32(area.length).bytes(area);
  }
  body.bytes(command.parameters ?? new Uint8Array(0));
  const bytes = body.toBytes();
  return new ByteWriter()
    .u16(authorizations.length > 0 ? TAG_SESSIONS : TAG_NO_SESSIONS)
    .u32(10 + bytes.length)
    .u32(COMMAND[command.name])
    .bytes(bytes)
    .toBytes();
}

function encodeAuthorizations(authorizations: readonly Authorization[]): Uint8Array {
  const writer = new ByteWriter();
  for (const authorization of authorizations) {
    const session = authorization === 'password' ? HANDLE.password : authorization.policySession;
    // Empty nonce, no attributes (a policy session ends with the command), empty password or hmac.
    writer.u32(session).u16(0).u8(0).u16(0);
  }
  return writer.toBytes();
}

/** Splits a response. Throws `TPM_RETURN_CODE` for any code but success, `TPM_STRUCTURE_INVALID` for bad bytes. */
export function decodeResponse(command: Command, bytes: Uint8Array): Response {
  try {
    return readResponse(command, new ByteReader(bytes));
  } catch (cause) {
    if (cause instanceof TpmError || !(cause instanceof CodedError)) throw cause;
    throw new TpmError('TPM_STRUCTURE_INVALID', `${command.name} response: ${cause.message}`, { cause });
  }
}

function readResponse(command: Command, reader: ByteReader): Response {
  const tag = reader.u16();
  reader.u32();
  const returnCode = reader.u32();
  if (returnCode !== RC.success) throw returnCodeError(command.name, returnCode);
  const handle = command.returnsHandle === true ? reader.u32() : 0;
  if (tag !== TAG_SESSIONS) return { handle, parameters: reader.bytes(reader.remaining) };
  const parameters = reader.bytes(reader.u32());
  // Password and policy answers carry no hmac to check, but they must be there and be all there is.
  for (const _ of command.authorizations ?? []) {
    reader.bytes(reader.u16());
    reader.u8();
    reader.bytes(reader.u16());
  }
  reader.end();
  return { handle, parameters };
}

function returnCodeError(name: CommandName, returnCode: number): TpmError {
  const code = `0x${returnCode.toString(16).padStart(3, '0')}`;
  return new TpmError('TPM_RETURN_CODE', `${name}: the tpm answered ${code} ${returnCodeName(returnCode)}`, {
    data: { command: name, returnCode, name: returnCodeName(returnCode) },
  });
}

/** The TPM's response code, if `error` is one. */
export function returnCodeOf(error: unknown): number | undefined {
  if (!(error instanceof TpmError) || error.code !== 'TPM_RETURN_CODE') return undefined;
  const { returnCode } = error.data;
  return typeof returnCode === 'number' ? returnCode : undefined;
}
