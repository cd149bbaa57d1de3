import { bytesEqual } from '@nemea/core';
import { type Command, returnCodeOf } from '../command.ts';
import { withEk } from '../endorsement-key.ts';
import { TpmError } from '../errors.ts';
import type { TpmIo } from '../executor.ts';
import { type PrimaryRequest, readPublic, type TpmKey, withPrimary } from '../object.ts';
import type { EkTemplateId } from '../structures/ek-templates.ts';
import { parsePublicArea } from '../structures/public-area.ts';
import { toSpki } from '../structures/public-key.ts';
import { baseReturnCode, decodeReturnCode, RC } from '../structures/return-code.ts';
import { TEMPLATES } from '../structures/templates.ts';
import type { Role } from './authorize.ts';
import type { ParameterCipher } from './parameter-encryption.ts';
import { type Secrecy, secrecyOf } from './secrets.ts';
import { type Session, startSession } from './session.ts';

/**
 * How secrets are hidden on the wire. The session's strength hangs on the salt key being the TPM's: a listener learns
 * nothing in any case, but an active man in the middle who answers with a key of his own reads and changes everything.
 * Pin the key, by its name or its public key, to stop him: what the maker's certificate says of an endorsement key, or
 * what was read when the machine was known to be good.
 */
export interface EncryptionOptions {
  /**
   * Default: the storage root key, made anew from its template in the endorsement hierarchy. The endorsement key is what a
   * maker's certificate can vouch for; where it is not persistent, the first secret waits until the TPM has made it.
   */
  readonly saltKey?: PrimaryRequest | { readonly persistentHandle: number } | { readonly ek: EkTemplateId };
  /** The name that the salt key must have. Otherwise nothing secret is sent: `TPM_KEY_UNEXPECTED`. */
  readonly saltKeyName?: Uint8Array;
  /** The DER SubjectPublicKeyInfo that it must have, as a certificate holds it. */
  readonly saltKeySpki?: Uint8Array;
  /** Default SHA-256. */
  readonly hashAlg?: number;
  /** Default AES-128. */
  readonly cipher?: ParameterCipher;
}

/** The roles of one command, with those that keep its secrets. */
export interface Coverage {
  readonly roles: readonly Role[];
  /** Sessions for this command alone, to be closed after it. */
  readonly spare: readonly Session[];
}

// TPM 2.0 Part 1, 18.6.
const AREAS_MAX = 3;
const STORAGE_ROOT_KEY = { hierarchy: 'endorsement', template: TEMPLATES.srk } as const;

/**
 * One salted HMAC session, opened when the first secret crosses the wire and kept, because opening one costs the TPM a
 * key agreement. It hides the first parameters that `secrecyOf` names, and stands in for passwords.
 */
export class Protection {
  readonly #options: EncryptionOptions;
  #session: Session | undefined;
  /** The first salt key, and what was encrypted to it. */
  #first: { readonly name: Uint8Array; readonly session: Session } | undefined;

  constructor(options: EncryptionOptions = {}) {
    this.#options = options;
  }

  /** The handle of the open session. */
  get handle(): number | undefined {
    return this.#session?.ended === false ? this.#session.handle : undefined;
  }

  /** Zeroes the key of the open session and gives its handle, to be flushed where there is still a TPM. */
  forget(): number | undefined {
    const { handle } = this;
    this.#session?.end();
    return handle;
  }

  /** Puts sessions in place of passwords, and adds one that encrypts where a secret would be readable. */
  async cover(io: TpmIo, command: Command, roles: readonly Role[]): Promise<Coverage> {
    const hides = uncovered(roles, secrecyOf(command));
    const isPassword = (role: Role): boolean => role.kind === 'password' && role.password.length > 0;
    const first = roles.findIndex(isPassword);
    const isHiding = hides.decrypt || hides.encrypt;
    if (command.inClear === true || (first < 0 && !isHiding)) return { roles, spare: [] };
    if (first < 0 && roles.length >= AREAS_MAX) {
      throw new TpmError(
        'TPM_ARGUMENT_INVALID',
        `${command.name}: got ${roles.length} sessions, and one must encrypt a secret`,
      );
    }
    const own = await this.#open(io);
    if (first < 0) {
      return {
        roles: [...roles, { kind: 'session', use: { session: own, ...hides }, authorizes: false }],
        spare: [],
      };
    }
    const spare: Session[] = [];
    const covered: Role[] = [];
    for (const [i, role] of roles.entries()) {
      if (role.kind === 'password' && role.password.length > 0) {
        // A session stands at most once in a command.
        const session = i === first ? own : await this.#start(io);
        if (session !== own) spare.push(session);
        const use = { session, auth: role.password, ...(i === first && hides) };
        covered.push({ kind: 'session', use, authorizes: true });
      } else covered.push(role);
    }
    return { roles: covered, spare };
  }

  /**
   * Whether the TPM refused a command because it does not know our session: it was restarted, or somebody flushed the
   * slot. The next command opens another. A wrong password is no such case: trying again would count twice.
   */
  async hasLost(error: unknown, roles: readonly Role[]): Promise<boolean> {
    const code = returnCodeOf(error) ?? RC.success;
    const { accused, kind } = decodeReturnCode(code);
    const role = accused?.kind === 'session' ? roles[accused.number - 1] : undefined;
    if (role?.kind !== 'session' || role.use.session !== this.#session) return false;
    const base = baseReturnCode(code);
    // Not loaded, or another session under the same handle, which is not ours to flush.
    if (kind === 'warning' || base === RC.handle || base === RC.symmetric) {
      this.#session.end();
      return true;
    }
    // No session has such a handle: somebody changed the command on the way, or the response that gave it.
    if (base === RC.value) {
      await this.#session.discard();
      return true;
    }
    // Somebody changed the command on the way.
    if (role.authorizes || (base !== RC.authFail && base !== RC.badAuth)) return false;
    await this.#session.close();
    return true;
  }

  async #open(io: TpmIo): Promise<Session> {
    if (this.#session === undefined || this.#session.ended) this.#session = await this.#start(io);
    return this.#session;
  }

  async #start(io: TpmIo): Promise<Session> {
    const { saltKey = STORAGE_ROOT_KEY, hashAlg, cipher } = this.#options;
    const use = async (key: TpmKey): Promise<Session> => {
      this.#assertExpected(key);
      const request = { saltKey: key, ...(hashAlg && { hashAlg }), ...(cipher && { cipher }) };
      const session = await startSession(io, request);
      if (this.#first?.session.isProven !== true) this.#first = { name: key.name, session };
      return session;
    };
    if ('ek' in saltKey) return await withEk(io, saltKey.ek, use);
    if ('persistentHandle' in saltKey) return await use(await readPublic(io, saltKey.persistentHandle));
    return await withPrimary(io, saltKey, use);
  }

  /**
   * The first key by which the TPM has answered is the one expected from then on, so that a man in the middle cannot come
   * later. One that was only shown is not: a bit that was changed on the way would shut out the TPM for good.
   */
  #assertExpected(key: TpmKey): void {
    const { saltKeySpki, saltKeyName } = this.#options;
    const seen = this.#first?.session.isProven === true ? this.#first.name : undefined;
    const hasName = bytesEqual(key.name, saltKeyName ?? seen ?? key.name);
    const hasSpki =
      saltKeySpki === undefined || bytesEqual(toSpki(parsePublicArea(key.publicArea)), saltKeySpki);
    if (!hasName || !hasSpki) {
      throw new TpmError('TPM_KEY_UNEXPECTED', 'salt key: the tpm shows another key than the one expected');
    }
  }
}

/** The directions that no session of the caller's encrypts already. */
function uncovered(roles: readonly Role[], secrecy: Secrecy): { decrypt: boolean; encrypt: boolean } {
  const uses = roles.flatMap((role) => (role.kind === 'session' ? [role.use] : []));
  return {
    decrypt: secrecy.command && !uses.some((use) => use.decrypt === true),
    encrypt: secrecy.response && !uses.some((use) => use.encrypt === true),
  };
}
