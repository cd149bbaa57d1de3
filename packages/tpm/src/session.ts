import { randomBytes } from 'node:crypto';
import { ByteWriter } from '@nemea/core';
import { type Authorization, HANDLE } from './command.ts';
import type { TpmIo } from './executor.ts';
import { flushIfLoaded, released } from './object.ts';
import { ALG } from './structures/algorithms.ts';
import { writeSized } from './structures/buffer.ts';
import { encodePcrSelection } from './structures/pcr-selection.ts';

const SESSION_TYPE_POLICY = 1;
const NONCE_BYTES = 16;

/** One policy session; the command that it authorises uses it up. Flushed in any case. */
export async function withPolicySession<T>(
  io: TpmIo,
  use: (session: number, authorization: Authorization) => Promise<T>,
): Promise<T> {
  const parameters = writeSized(new ByteWriter(), randomBytes(NONCE_BYTES))
    .u16(0)
    .u8(SESSION_TYPE_POLICY)
    .u16(ALG.null)
    .u16(ALG.sha256)
    .toBytes();
  const { handle } = await io.send({
    name: 'startAuthSession',
    handles: [HANDLE.null, HANDLE.null],
    parameters,
    returnsHandle: true,
  });
  return await released(
    () => use(handle, { policySession: handle }),
    () => flushIfLoaded(io, handle),
  );
}

/** TPM2_PolicySecret(endorsement), empty password: the policy of every TCG endorsement key. */
export async function policySecretEndorsement(io: TpmIo, session: number): Promise<void> {
  await io.send({
    name: 'policySecret',
    handles: [HANDLE.endorsement, session],
    authorizations: ['password'],
    // nonceTPM, cpHashA and policyRef empty; no expiration.
    parameters: new ByteWriter().u16(0).u16(0).u16(0).u32(0).toBytes(),
  });
}

/** TPM2_PolicyPCR over the values the PCRs have now. */
export async function policyPcr(io: TpmIo, session: number, pcrs: readonly number[]): Promise<void> {
  await io.send({
    name: 'policyPcr',
    handles: [session],
    parameters: new ByteWriter().u16(0).bytes(encodePcrSelection(pcrs)).toBytes(),
  });
}
