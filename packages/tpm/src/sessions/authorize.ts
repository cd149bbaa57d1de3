import { ByteWriter, bytesEqual } from '@nemea/core';
import { type AuthorizationArea, HANDLE } from '../command.ts';
import { TpmError } from '../errors.ts';
import { parseWhole, readSized, STRUCTURE_BYTES_MAX, writeSized } from '../structures/buffer.ts';
import { cpHash, rpHash, SESSION_ATTRIBUTE } from './authorization-hmac.ts';
import type { Entity, SessionUse } from './session.ts';

/** One authorization area: a password in the clear, or a session. */
export type Role = PasswordRole | SessionRole;

export interface PasswordRole {
  readonly kind: 'password';
  readonly password: Uint8Array;
}

export interface SessionRole {
  readonly kind: 'session';
  readonly use: SessionUse;
  /** Whether it authorises the handle at its own position, or is an extra session. */
  readonly authorizes: boolean;
}

/** A command with all that its authorization depends on. */
export interface Call {
  readonly commandCode: number;
  readonly names: readonly Uint8Array[];
  readonly parameters: Uint8Array;
  readonly roles: readonly Role[];
}

export interface AuthorizedCall {
  readonly areas: readonly AuthorizationArea[];
  /** As sent: the first one encrypted if a session decrypts. */
  readonly parameters: Uint8Array;
}

export interface ResponseParts {
  readonly areas: readonly Omit<AuthorizationArea, 'session'>[];
  readonly parameters: Uint8Array;
}

const EMPTY = new Uint8Array(0);
const COMMAND_CODE = {
  nvUndefineSpaceSpecial: 0x11f,
  clear: 0x126,
  hierarchyChangeAuth: 0x129,
  nvChangeAuth: 0x13b,
} as const;
const LOCKOUT_NAME = new ByteWriter().u32(HANDLE.lockout).toBytes();

/** Encrypts a command, then authenticates it, for all its sessions (TPM 2.0 Part 1, 19.6 and 21). */
export function authorizeCommand(call: Call): AuthorizedCall {
  const { roles } = call;
  const nonces = roles.map((role) => (role.kind === 'session' ? role.use.session.rollNonce() : EMPTY));
  const decrypting = roles.findIndex((role) => role.kind === 'session' && role.use.decrypt === true);
  const encrypting = roles.findIndex((role) => role.kind === 'session' && role.use.encrypt === true);
  const parameters = replaceFirst(call.parameters, roles[decrypting], (role, data) =>
    role.use.session.encryptCommand(data, entityOf(call, role)),
  );
  const areas = roles.map((role, i): AuthorizationArea => {
    const nonce = nonces[i] ?? EMPTY;
    if (role.kind === 'password') {
      return { session: HANDLE.password, nonce, attributes: 0, hmac: role.password };
    }
    const { session } = role.use;
    const attributes = attributesOf(role.use);
    // The first session's HMAC, if it authorises, covers the nonces of those behind it that encrypt, lest they be
    // exchanged on the way.
    const isCovering = i === 0 && role.authorizes;
    const nonceDecrypt = isCovering && decrypting > 0 ? nonceTpmOf(roles[decrypting]) : EMPTY;
    const isOther = encrypting > 0 && encrypting !== decrypting;
    const nonceEncrypt = isCovering && isOther ? nonceTpmOf(roles[encrypting]) : EMPTY;
    const parameterHash = cpHash(session.hashAlg, call.commandCode, call.names, parameters);
    const hmac = session.commandHmac(entityOf(call, role), {
      parameterHash,
      nonceDecrypt,
      nonceEncrypt,
      attributes,
    });
    return { session: session.handle, nonce, attributes, hmac };
  });
  return { areas, parameters };
}

/**
 * Checks the HMAC of every session over a response, then decrypts its first parameter. Throws `TPM_RESPONSE_FORGED`
 * when a bit was changed on the way or the response belongs to another command; the sessions are then useless.
 */
export function acceptResponse(call: Call, sent: AuthorizedCall, response: ResponseParts): Uint8Array {
  for (const [i, role] of call.roles.entries()) {
    if (!isGenuine(call, role, response, i)) throw forged(role, i);
  }
  const encrypting = call.roles.find((role) => role.kind === 'session' && role.use.encrypt === true);
  const parameters = replaceFirst(response.parameters, encrypting, (role, data) =>
    role.use.session.decryptResponse(data, entityOf(call, role)),
  );
  for (const [i, role] of call.roles.entries()) {
    if (role.kind === 'session') settle(call, role.use, sent, response, i);
  }
  return parameters;
}

function isGenuine(call: Call, role: Role, response: ResponseParts, index: number): boolean {
  const area = response.areas[index];
  if (area === undefined) return false;
  if (role.kind === 'password') return area.nonce.length === 0 && area.hmac.length === 0;
  const { session } = role.use;
  const parameterHash = rpHash(session.hashAlg, call.commandCode, response.parameters);
  return session.acceptResponse(entityOf(call, role), {
    parameterHash,
    nonceTpm: area.nonce,
    attributes: area.attributes,
    hmac: area.hmac,
  });
}

/** What the TPM did to the session when it answered. */
function settle(
  call: Call,
  use: SessionUse,
  sent: AuthorizedCall,
  response: ResponseParts,
  index: number,
): void {
  const { session } = use;
  const attributes = response.areas[index]?.attributes ?? 0;
  if (use.audit === true) {
    const commandHash = cpHash(session.hashAlg, call.commandCode, call.names, sent.parameters);
    const responseHash = rpHash(session.hashAlg, call.commandCode, response.parameters);
    session.extendAudit(commandHash, responseHash, use.auditReset === true);
  }
  // A policy session that continues has to be satisfied anew.
  session.policyAuth = 'none';
  if ((attributes & SESSION_ATTRIBUTE.continueSession) === 0) session.end();
}

function entityOf(call: Call, role: SessionRole): Entity | undefined {
  if (!role.authorizes) return undefined;
  const name = call.names[call.roles.indexOf(role)];
  if (name === undefined) throw new TpmError('TPM_ARGUMENT_INVALID', 'authorization without a handle');
  const auth = role.use.auth ?? EMPTY;
  return { name, auth, authAfter: changedAuth(call, name) ?? auth };
}

/** The response to a command that changes a password is keyed with the new one (TPM 2.0 Part 1, 19.6.12). */
function changedAuth(call: Call, name: Uint8Array): Uint8Array | undefined {
  const isFirst = call.names[0] === name;
  if (!isFirst) return undefined;
  switch (call.commandCode) {
    case COMMAND_CODE.hierarchyChangeAuth:
    case COMMAND_CODE.nvChangeAuth:
      return firstOf(call.parameters);
    case COMMAND_CODE.clear:
      return bytesEqual(name, LOCKOUT_NAME) ? EMPTY : undefined;
    case COMMAND_CODE.nvUndefineSpaceSpecial:
      return EMPTY;
    default:
      return undefined;
  }
}

function firstOf(parameters: Uint8Array): Uint8Array {
  return parseWhole('first parameter', parameters, (reader) => {
    const first = readSized(reader, 'first parameter', STRUCTURE_BYTES_MAX);
    reader.bytes(reader.remaining);
    return first;
  });
}

function attributesOf(use: SessionUse): number {
  let attributes = use.continueSession === false ? 0 : SESSION_ATTRIBUTE.continueSession;
  for (const flag of ['decrypt', 'encrypt', 'audit', 'auditExclusive', 'auditReset'] as const) {
    if (use[flag] === true) attributes |= SESSION_ATTRIBUTE[flag];
  }
  return attributes;
}

function nonceTpmOf(role: Role | undefined): Uint8Array {
  return role?.kind === 'session' ? role.use.session.nonceTpm : EMPTY;
}

/** Only a first parameter that is a TPM2B can be hidden; its size stays readable (TPM 2.0 Part 1, 21.1). */
function replaceFirst(
  parameters: Uint8Array,
  role: Role | undefined,
  replace: (role: SessionRole, data: Uint8Array) => Uint8Array,
): Uint8Array {
  if (role?.kind !== 'session') return parameters;
  return parseWhole('first parameter', parameters, (reader) => {
    const replaced = replace(role, readSized(reader, 'first parameter', STRUCTURE_BYTES_MAX));
    return writeSized(new ByteWriter(), replaced).bytes(reader.bytes(reader.remaining)).toBytes();
  });
}

function forged(role: Role, index: number): TpmError {
  const handle = role.kind === 'session' ? role.use.session.handle : HANDLE.password;
  return new TpmError(
    'TPM_RESPONSE_FORGED',
    `response is not the tpm's: wrong hmac of session ${index + 1}, 0x${handle.toString(16)}`,
    { data: { session: index + 1, handle } },
  );
}
