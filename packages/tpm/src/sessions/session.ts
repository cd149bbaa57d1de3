import { randomBytes, timingSafeEqual } from 'node:crypto';
import { ByteWriter, bytesEqual, concatBytes, errorCode } from '@nemea/core';
import { HANDLE, type HandleRef, returnCodeOf } from '../command.ts';
import { run } from '../commands/run.ts';
import { SESSION, StartAuthSession } from '../commands/session.ts';
import { TpmError } from '../errors.ts';
import type { TpmIo } from '../executor.ts';
import { flushIfLoaded, released, type TpmKey } from '../object.ts';
import { ALG, digestOf } from '../structures/algorithms.ts';
import { invalid } from '../structures/buffer.ts';
import { parsePublicArea } from '../structures/public-area.ts';
import type { SymmetricDefinition } from '../structures/scheme.ts';
import { authorizationHmac, type HmacInput, trimAuth } from './authorization-hmac.ts';
import { kdfa } from './kdf.ts';
import { nameOfHandle } from './names.ts';
import {
  decryptParameter,
  encryptParameter,
  type ParameterCipher,
  type ParameterKey,
} from './parameter-encryption.ts';
import { shareSecret } from './secret-sharing.ts';

export type SessionType = 'hmac' | 'policy' | 'trial';

/** What kind of session, with which key, object and algorithms. */
export interface SessionRequest {
  /** Default `hmac`. */
  readonly type?: SessionType;
  /** SHA-256 (default) or SHA-384. */
  readonly hashAlg?: number;
  /** How parameters are hidden when a command asks for it. Default AES-128. */
  readonly cipher?: ParameterCipher | 'none';
  /**
   * A storage key to which a random salt is encrypted. Without it the session's strength is that of the passwords.
   * Whoever chose this key knows the session: see `Protection` for what to check.
   */
  readonly saltKey?: TpmKey;
  /** An object or hierarchy whose password goes into the session key, and need not be given when it is authorised. */
  readonly bind?: { readonly entity: HandleRef; readonly auth: Uint8Array };
}

/** One session in one command. Two commands of the same session never overlap. */
export interface SessionUse {
  readonly session: Session;
  /** Password of the handle that the session authorises; empty when absent. An extra session has none. */
  readonly auth?: Uint8Array;
  /** Default true. Otherwise the TPM drops the session when the command succeeds. */
  readonly continueSession?: boolean;
  /** Encrypt the command's first parameter, so that the TPM decrypts it. */
  readonly decrypt?: boolean;
  /** Have the TPM encrypt the response's first parameter. */
  readonly encrypt?: boolean;
  readonly audit?: boolean;
  /** Refuse the command if another session was audited, or none at all was, since this one's last command. */
  readonly auditExclusive?: boolean;
  readonly auditReset?: boolean;
}

/** What a session authorises, by its name and its password before and after the command. An extra session has none. */
export interface Entity {
  readonly name: Uint8Array;
  readonly auth: Uint8Array;
  readonly authAfter: Uint8Array;
}

interface BoundEntity {
  readonly name: Uint8Array;
  readonly auth: Uint8Array;
}

interface SessionState {
  readonly io: TpmIo;
  readonly handle: number;
  readonly type: SessionType;
  readonly hashAlg: number;
  readonly cipher: ParameterCipher | undefined;
  readonly key: Uint8Array;
  readonly nonceTpm: Uint8Array;
  readonly bound: BoundEntity | undefined;
}

const HANDLE_TYPE = { hmac: 0x02, policy: 0x03, trial: 0x03 } as const;
const NONCE_BYTES = 32;

/**
 * An authorization session (TPM 2.0 Part 1, 17 and 19). Its key is zeroed when it ends: by `close`, by a command that
 * does not continue it, by a response with a wrong HMAC, or with its channel.
 */
export class Session {
  readonly handle: number;
  /** A session's name is its handle. */
  readonly name: Uint8Array;
  readonly type: SessionType;
  readonly hashAlg: number;
  readonly cipher: ParameterCipher | undefined;
  /** What TPM2_PolicyAuthValue or TPM2_PolicyPassword made this policy session demand. Kept by the executor. */
  policyAuth: 'none' | 'authValue' | 'password' = 'none';
  readonly #io: TpmIo;
  readonly #key: Uint8Array;
  #nonceTpm: Uint8Array;
  #nonceCaller: Uint8Array = new Uint8Array(0);
  #bound: BoundEntity | undefined;
  #auditDigest: Uint8Array | undefined;
  #ended = false;
  #proven = false;

  constructor(state: SessionState) {
    this.#io = state.io;
    this.handle = state.handle;
    this.name = new ByteWriter().u32(state.handle).toBytes();
    this.type = state.type;
    this.hashAlg = state.hashAlg;
    this.cipher = state.cipher;
    this.#key = state.key;
    this.#nonceTpm = state.nonceTpm;
    this.#bound = state.bound;
  }

  /** Whether the other side has shown that it knows the session key, and so the salt key or the password. */
  get isProven(): boolean {
    return this.#proven;
  }

  /** The connection that it was started on, and ends with. */
  get link(): object {
    return this.#io.link;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get nonceTpm(): Uint8Array {
    return this.#nonceTpm;
  }

  /** H(old || cpHash || rpHash) over all audited commands, from zeros. Undefined before the first one. */
  get auditDigest(): Uint8Array | undefined {
    return this.#auditDigest;
  }

  /** The caller's fresh nonce for the next command. Throws `TPM_SESSION_ENDED`. */
  rollNonce(): Uint8Array {
    if (this.#ended) throw this.lost();
    this.#nonceCaller = randomBytes(NONCE_BYTES);
    return this.#nonceCaller;
  }

  encryptCommand(parameter: Uint8Array, entity: Entity | undefined): Uint8Array {
    return this.#withParameterKey(entity?.auth, [this.#nonceCaller, this.#nonceTpm], (key) =>
      encryptParameter(key, parameter),
    );
  }

  decryptResponse(parameter: Uint8Array, entity: Entity | undefined): Uint8Array {
    return this.#withParameterKey(entity?.authAfter, [this.#nonceTpm, this.#nonceCaller], (key) =>
      decryptParameter(key, parameter),
    );
  }

  /** The HMAC field of a command; the password itself after PolicyPassword; empty where the TPM wants none. */
  commandHmac(entity: Entity | undefined, input: Omit<HmacInput, 'nonceNewer' | 'nonceOlder'>): Uint8Array {
    if (this.policyAuth === 'password' && entity !== undefined) return entity.auth;
    const nonces = { nonceNewer: this.#nonceCaller, nonceOlder: this.#nonceTpm };
    return this.#hmac(this.#authIsDue(entity) ? entity.auth : undefined, { ...input, ...nonces });
  }

  /** Takes the TPM's new nonce and checks the response's HMAC in constant time. False: the response is not the TPM's. */
  acceptResponse(
    entity: Entity | undefined,
    response: { parameterHash: Uint8Array; nonceTpm: Uint8Array; attributes: number; hmac: Uint8Array },
  ): boolean {
    const { parameterHash, nonceTpm, attributes, hmac } = response;
    this.#nonceTpm = nonceTpm;
    if (this.policyAuth === 'password' && entity !== undefined) return hmac.length === 0;
    const nonces = { nonceNewer: nonceTpm, nonceOlder: this.#nonceCaller };
    const auth = this.#authIsDue(entity) ? entity.authAfter : undefined;
    const expected = this.#hmac(auth, { parameterHash, ...nonces, attributes });
    const isGenuine = hmac.length === expected.length && timingSafeEqual(hmac, expected);
    if (isGenuine && this.#key.length > 0) this.#proven = true;
    return isGenuine;
  }

  /** Adds a command to the audit digest. The first one ends the binding (TPM 2.0 Part 1, 17.5). */
  extendAudit(commandHash: Uint8Array, responseHash: Uint8Array, reset: boolean): void {
    const old = reset ? undefined : this.#auditDigest;
    const start = old ?? new Uint8Array(digestOf(this.hashAlg).length);
    this.#auditDigest = digestOf(this.hashAlg, start, commandHash, responseHash);
    this.#bound = undefined;
  }

  /** Forgets the key. The TPM's side is somebody else's matter; `close` is what callers want. */
  end(): void {
    this.#ended = true;
    this.#key.fill(0);
    this.#bound?.auth.fill(0);
  }

  /** Ends the session, and gives the error for whoever still wants to use it. */
  lost(): TpmError {
    this.end();
    return new TpmError('TPM_SESSION_ENDED', `session 0x${this.handle.toString(16)} has ended`);
  }

  /** Ends the session here and in the TPM. Safe to repeat, and when its connection is gone. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.end();
    try {
      await flushIfLoaded(this.#io, this.handle);
    } catch (error) {
      // On a dead channel there is nothing left to flush.
      if (!['TPM_CHANNEL_CLOSED', 'TPM_CHANNEL_FAILED'].includes(errorCode(error))) throw error;
    }
  }

  /** As `close`, where the TPM may not even know the handle. */
  async discard(): Promise<void> {
    try {
      await this.close();
    } catch (error) {
      if (returnCodeOf(error) === undefined) throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #hmac(auth: Uint8Array | undefined, input: HmacInput): Uint8Array {
    const key = concatBytes(this.#key, trimAuth(auth ?? new Uint8Array(0)));
    // A policy session that has no secret proves its policy only (TPM 2.0 Part 1, 19.6.16).
    const silent = this.type !== 'hmac' && this.#key.length === 0 && this.policyAuth !== 'authValue';
    const hmac = silent ? new Uint8Array(0) : authorizationHmac(this.hashAlg, key, input);
    key.fill(0);
    return hmac;
  }

  /** Whether the HMACs of a command and its response are keyed with the password too: decided before the command. */
  #authIsDue(entity: Entity | undefined): entity is Entity {
    if (entity === undefined) return false;
    if (this.type !== 'hmac') return this.policyAuth === 'authValue';
    const bound = this.#bound;
    const isBound =
      bound !== undefined &&
      bytesEqual(bound.name, entity.name) &&
      bytesEqual(trimAuth(bound.auth), trimAuth(entity.auth));
    return !isBound;
  }

  /** The password counts for encryption whenever the session authorises, bound or by policy too (Part 1, 21.2). */
  #withParameterKey(
    auth: Uint8Array | undefined,
    [nonceNewer, nonceOlder]: readonly [Uint8Array, Uint8Array],
    use: (key: ParameterKey) => Uint8Array,
  ): Uint8Array {
    const { cipher, hashAlg } = this;
    if (cipher === undefined) {
      throw new TpmError('TPM_ARGUMENT_INVALID', 'session without a cipher cannot hide a parameter');
    }
    const sessionValue = concatBytes(this.#key, trimAuth(auth ?? new Uint8Array(0)));
    const result = use({ cipher, hashAlg, sessionValue, nonceNewer, nonceOlder });
    sessionValue.fill(0);
    return result;
  }
}

/** TPM2_StartAuthSession. Takes one of the TPM's few session slots until closed. */
export async function startSession(io: TpmIo, request: SessionRequest = {}): Promise<Session> {
  const { type = 'hmac', hashAlg = ALG.sha256, saltKey, bind } = request;
  const cipher = request.cipher === 'none' ? undefined : (request.cipher ?? 'aes-128-cfb');
  const salt = saltKey === undefined ? undefined : shareSecret(storageKey(saltKey), 'SECRET');
  const bound = bind === undefined ? undefined : await boundEntity(io, bind);
  const nonceCaller = randomBytes(NONCE_BYTES);
  const { sessionHandle: handle, nonceTPM: nonceTpm } = await run(io, StartAuthSession, {
    handles: { tpmKey: saltKey ?? HANDLE.null, bind: bind?.entity ?? HANDLE.null },
    parameters: {
      nonceCaller,
      encryptedSalt: salt?.encrypted ?? new Uint8Array(0),
      sessionType: SESSION[type],
      symmetric: definitionOf(cipher, hashAlg),
      authHash: hashAlg,
    },
  });
  if (handle >>> 24 !== HANDLE_TYPE[type]) throw invalid(`session handle: got 0x${handle.toString(16)}`);
  const key = sessionKey(hashAlg, [bound?.auth, salt?.secret], nonceTpm, nonceCaller);
  salt?.secret.fill(0);
  return new Session({
    io,
    handle,
    type,
    hashAlg,
    cipher,
    key,
    nonceTpm,
    bound: type === 'hmac' ? bound : undefined,
  });
}

function storageKey(key: TpmKey) {
  const area = parsePublicArea(key.publicArea);
  if (area.type !== 'rsa' && area.type !== 'ecc')
    throw new TpmError('TPM_ARGUMENT_INVALID', 'salt key: want an rsa or ecc key');
  return area;
}

async function boundEntity(
  io: TpmIo,
  { entity, auth }: { entity: HandleRef; auth: Uint8Array },
): Promise<BoundEntity> {
  // A copy, because it is zeroed when the session ends.
  return { name: await nameOfHandle(io, entity), auth: auth.slice() };
}

function definitionOf(cipher: ParameterCipher | undefined, hashAlg: number): SymmetricDefinition | undefined {
  if (cipher === undefined) return undefined;
  if (cipher === 'xor') return { algorithm: 'xor', hashAlg };
  return { algorithm: 'aes', keyBits: cipher === 'aes-128-cfb' ? 128 : 256, mode: ALG.cfb };
}

/** TPM 2.0 Part 1, 19.6.8. Empty when the session is neither bound nor salted. */
function sessionKey(
  hashAlg: number,
  secrets: readonly (Uint8Array | undefined)[],
  nonceTpm: Uint8Array,
  nonceCaller: Uint8Array,
): Uint8Array {
  const given = secrets.filter((secret) => secret !== undefined);
  if (given.length === 0) return new Uint8Array(0);
  const [auth, salt] = secrets;
  const empty = new Uint8Array(0);
  const secret = concatBytes(trimAuth(auth ?? empty), salt ?? empty);
  const bits = 8 * digestOf(hashAlg).length;
  const key = kdfa(hashAlg, secret, { label: 'ATH', contextU: nonceTpm, contextV: nonceCaller, bits });
  secret.fill(0);
  return key;
}

/** Holds a session for the length of `use`; closed in any case, unless the channel is dead. */
export async function withSession<T>(
  io: TpmIo,
  request: SessionRequest,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await startSession(io, request);
  try {
    return await released(
      () => use(session),
      () => session.close(),
    );
  } finally {
    // A dead channel leaves nothing to close, but a key to forget.
    session.end();
  }
}
