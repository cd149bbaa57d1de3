import { setTimeout as sleep } from 'node:timers/promises';
import type { TpmChannel, TransmitOptions } from './channel/channel.ts';
import {
  type Command,
  decodeResponse,
  encodeCommand,
  type HandleRef,
  type Response,
  type ResponseFrame,
  returnCodeOf,
} from './command.ts';
import { TpmError } from './errors.ts';
import { acceptResponse, authorizeCommand, type Call, type Role } from './sessions/authorize.ts';
import { nameOfHandle } from './sessions/names.ts';
import type { Protection } from './sessions/protection.ts';
import { Session, type SessionUse } from './sessions/session.ts';
import { RC } from './structures/return-code.ts';

/** Sends single commands. Only `Tpm.exclusive` hands one out, so its holder is alone on the TPM until it is done. */
export interface TpmIo {
  /** What sessions belong to. A session of another connection is refused: its number may mean another session here. */
  readonly link: object;
  /**
   * Throws `TPM_RETURN_CODE`, `TPM_RETRIES_EXHAUSTED`, `TPM_STRUCTURE_INVALID`, `TPM_RESPONSE_FORGED`,
   * `TPM_SESSION_ENDED`, `TPM_CANCELLED` or `TPM_CHANNEL_*`.
   */
  send(command: Command, options?: TransmitOptions): Promise<Response>;
}

const SENDS_MAX = 12;
const PAUSE_MS_MAX = 128;
// The command was not executed and should be sent again unchanged (TPM 2.0 Part 1, 11.4 and Part 2, 6.6.3).
const RESEND: ReadonlySet<number> = new Set([RC.retry, RC.yielded, RC.testing, RC.nvRate]);
const EMPTY = new Uint8Array(0);

/** Without `protection` secrets and passwords cross the channel in the clear. */
export function openExecutor(channel: TpmChannel, protection?: Protection): TpmIo {
  const io: TpmIo = { link: channel, send };
  return io;

  async function send(command: Command, options?: TransmitOptions): Promise<Response> {
    const given = rolesOf(command);
    assertOurs(command, given);
    for (let isFirst = true; ; isFirst = false) {
      const { roles, spare } = (await protection?.cover(io, command, given)) ?? { roles: given, spare: [] };
      try {
        return await sendAuthorized(command, roles, options);
      } catch (error) {
        // Refused before it was executed, for a session that was not the caller's.
        if (!isFirst || !(await protection?.hasLost(error, roles))) throw error;
      } finally {
        await abandon(spare);
      }
    }
  }

  function assertOurs({ handles = [] }: Command, roles: readonly Role[]): void {
    const named = handles.filter((handle) => handle instanceof Session);
    const used = roles.flatMap((role) => (role.kind === 'session' ? [role.use.session] : []));
    for (const session of [...named, ...used]) if (session.link !== channel) throw session.lost();
  }

  async function sendAuthorized(
    command: Command,
    roles: readonly Role[],
    options?: TransmitOptions,
  ): Promise<Response> {
    const sessions = roles.flatMap((role) => (role.kind === 'session' ? [role.use.session] : []));
    // Only an HMAC needs names.
    const names = sessions.length === 0 ? [] : await namesOf(command.handles ?? []);
    const call: Call = {
      commandCode: command.code,
      names,
      parameters: command.parameters ?? EMPTY,
      roles,
    };
    const sent = authorizeCommand(call);
    try {
      const { raw, frame } = await exchange(command, encodeCommand(command, sent.parameters, sent.areas), {
        areaCount: roles.length,
        options,
      });
      const parameters = acceptResponse(call, sent, frame);
      observePolicy(command);
      return {
        handle: frame.handle,
        handles: command.returnsHandle === true ? [frame.handle] : [],
        parameters,
        raw,
      };
    } catch (error) {
      // After a refusal the TPM's nonces have not moved; after anything else nobody knows.
      if (returnCodeOf(error) === undefined) await abandon(sessions);
      throw error;
    }
  }

  async function namesOf(references: readonly HandleRef[]): Promise<Uint8Array[]> {
    const names: Uint8Array[] = [];
    for (const reference of references) names.push(await nameOfHandle(io, reference));
    return names;
  }

  async function exchange(
    command: Command,
    bytes: Uint8Array,
    { areaCount, options }: { areaCount: number; options: TransmitOptions | undefined },
  ): Promise<{ raw: Uint8Array; frame: ResponseFrame }> {
    let busy: unknown;
    for (let sends = 0; sends < SENDS_MAX; sends++) {
      if (sends > 0) await sleep(Math.min(2 ** (sends - 1), PAUSE_MS_MAX));
      const raw = await channel.transmit(bytes, options);
      try {
        return { raw, frame: decodeResponse(command, raw, areaCount) };
      } catch (error) {
        if (!RESEND.has(returnCodeOf(error) ?? RC.success)) throw error;
        busy = error;
      }
    }
    throw new TpmError('TPM_RETRIES_EXHAUSTED', `${command.name}: tpm still busy after ${SENDS_MAX} sends`, {
      data: { command: command.name },
      cause: busy,
    });
  }

  /** Closes sessions that are of no more use, but hold slots. */
  async function abandon(sessions: readonly Session[]): Promise<void> {
    for (const session of sessions) {
      try {
        await session.close();
      } catch {
        // The error that brought us here is the one to report.
        session.end();
      }
    }
  }
}

function rolesOf(command: Command): Role[] {
  const authorizing = (command.authorizations ?? []).map((authorization): Role => {
    if (authorization === 'password') return { kind: 'password', password: EMPTY };
    if (!(authorization instanceof Session) && 'password' in authorization) {
      return { kind: 'password', password: authorization.password };
    }
    return {
      kind: 'session',
      use: useOf(authorization),
      authorizes: true,
    };
  });
  const extra = (command.sessions ?? []).map((use): Role => {
    return { kind: 'session', use: useOf(use), authorizes: false };
  });
  return [...authorizing, ...extra];
}

function useOf(given: Session | SessionUse): SessionUse {
  return given instanceof Session ? { session: given } : given;
}

const POLICY_AUTH: ReadonlyMap<number, Session['policyAuth']> = new Map([
  [0x16b, 'authValue'], // PolicyAuthValue
  [0x18c, 'password'], // PolicyPassword
  [0x180, 'none'], // PolicyRestart
]);

/** A policy session must know whether its next HMAC is keyed with a password. */
function observePolicy(command: Command): void {
  const session = command.handles?.[0];
  const policyAuth = POLICY_AUTH.get(command.code);
  if (session instanceof Session && policyAuth !== undefined) session.policyAuth = policyAuth;
}
