import { fromUtf8 } from '@nemea/core';
import type { TpmChannel } from '../channel/channel.ts';
import { openUnixChannel } from '../channel/unix.ts';
import { Create, Load, PolicyGetDigest } from '../commands/index.ts';
import { run } from '../commands/run.ts';
import type { TpmOpenOptions } from '../connection.ts';
import type { TpmIo } from '../executor.ts';
import { flush, readPublic, released, type TpmKey, withPrimary } from '../object.ts';
import { ALG } from '../structures/algorithms.ts';
import { TEMPLATES } from '../structures/templates.ts';
import { Tpm } from '../tpm.ts';
import { type Session, withSession } from './session.ts';

/** What the tests of sessions share: a secret, sealed objects, and somebody between client and TPM. */
export const SECRET = fromUtf8('known to us and to the TPM alone');
export const NONE = new Uint8Array(0);
export const SRK = { hierarchy: 'endorsement', template: TEMPLATES.srk } as const;
export const AK = { hierarchy: 'endorsement', template: TEMPLATES.ak } as const;
export const EK = { hierarchy: 'endorsement', template: TEMPLATES.ek } as const;

/** Sessions in the TPM's slots, and those that wait outside for one. */
export async function sessionCount(tpm: Tpm): Promise<number> {
  return (await tpm.listHandles('loadedSession')).length + (await tpm.listHandles('savedSession')).length;
}

/** Another client of a software TPM that serves one at a time, behind what `wrap` makes of the channel. */
export async function openClient(
  socketPath: string,
  options: TpmOpenOptions = {},
  wrap: (channel: TpmChannel) => TpmChannel = (channel) => channel,
): Promise<Tpm> {
  return await Tpm.open(wrap(await openUnixChannel(socketPath)), options);
}

/** Answers in the TPM's stead, or lets it. */
export function intercepted(
  channel: TpmChannel,
  transmit: (command: Uint8Array, real: () => Promise<Uint8Array>) => Promise<Uint8Array>,
): TpmChannel {
  return {
    get isOpen() {
      return channel.isOpen;
    },
    transmit: (command, options) => transmit(command, () => channel.transmit(command, options)),
    close: () => channel.close(),
  };
}

export function codeOf(command: Uint8Array): number {
  return new DataView(command.buffer, command.byteOffset).getUint32(6);
}

/** `SECRET` sealed with a password, attributes and policy of one's choice; loaded for the length of `use`. */
export async function withSealed<T>(
  io: TpmIo,
  { auth, authPolicy, attributes }: { auth: Uint8Array; authPolicy: Uint8Array; attributes: number },
  use: (object: TpmKey, srk: TpmKey) => Promise<T>,
): Promise<T> {
  return await withPrimary(io, SRK, async (srk) => {
    const area = { type: 'keyed-hash', nameAlg: ALG.sha256, scheme: undefined, unique: NONE } as const;
    const created = await run(io, Create, {
      handles: { parentHandle: srk },
      parameters: {
        inSensitive: { userAuth: auth, data: SECRET },
        inPublic: { ...area, attributes, authPolicy },
      },
    });
    const parameters = { inPrivate: created.outPrivate, inPublic: created.outPublic };
    const { objectHandle } = await run(io, Load, { handles: { parentHandle: srk }, parameters });
    return await released(
      async () => await use(await readPublic(io, objectHandle), srk),
      () => flush(io, objectHandle),
    );
  });
}

/** The digest that a policy's steps give, from a trial session. */
export async function policyDigest(
  io: TpmIo,
  assertPolicy: (session: Session) => Promise<unknown>,
): Promise<Uint8Array> {
  return await withSession(io, { type: 'trial' }, async (session) => {
    await assertPolicy(session);
    return (await run(io, PolicyGetDigest, { handles: { policySession: session } })).policyDigest;
  });
}
