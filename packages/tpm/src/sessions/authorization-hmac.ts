import { createHmac } from 'node:crypto';
import { ByteWriter, concatBytes } from '@nemea/core';
import { digestOf } from '../structures/algorithms.ts';
import { hashName } from './kdf.ts';

/** TPMA_SESSION bits (TPM 2.0 Part 2, 8.4). */
export const SESSION_ATTRIBUTE = {
  continueSession: 0x01,
  auditExclusive: 0x02,
  auditReset: 0x04,
  decrypt: 0x20,
  encrypt: 0x40,
  audit: 0x80,
} as const;

/** Digest of a command: its code, the names of its handles, its parameters as sent (TPM 2.0 Part 1, 16.7). */
export function cpHash(
  hashAlg: number,
  commandCode: number,
  names: readonly Uint8Array[],
  parameters: Uint8Array,
): Uint8Array {
  return digestOf(hashAlg, new ByteWriter().u32(commandCode).toBytes(), ...names, parameters);
}

/** Digest of a successful response: the code 0, the command's code, the parameters as received (Part 1, 16.8). */
export function rpHash(hashAlg: number, commandCode: number, parameters: Uint8Array): Uint8Array {
  return digestOf(hashAlg, new ByteWriter().u32(0).u32(commandCode).toBytes(), parameters);
}

export interface HmacInput {
  /** cpHash or rpHash. */
  readonly parameterHash: Uint8Array;
  readonly nonceNewer: Uint8Array;
  readonly nonceOlder: Uint8Array;
  /** Of the sessions that encrypt, in the first session's command HMAC only: nobody may exchange them on the way. */
  readonly nonceDecrypt?: Uint8Array | undefined;
  readonly nonceEncrypt?: Uint8Array | undefined;
  readonly attributes: number;
}

/** The HMAC of an authorization area (TPM 2.0 Part 1, 19.6.5). `key` is the session key, then the authValue if due. */
export function authorizationHmac(hashAlg: number, key: Uint8Array, input: HmacInput): Uint8Array {
  const none = new Uint8Array(0);
  return createHmac(hashName(hashAlg), key)
    .update(
      concatBytes(
        input.parameterHash,
        input.nonceNewer,
        input.nonceOlder,
        input.nonceDecrypt ?? none,
        input.nonceEncrypt ?? none,
        Uint8Array.of(input.attributes),
      ),
    )
    .digest();
}

/** An authValue as the TPM keys with it: without trailing zeros (TPM 2.0 Part 1, 19.6.4.3). */
export function trimAuth(auth: Uint8Array): Uint8Array {
  let end = auth.length;
  while (end > 0 && auth[end - 1] === 0) end--;
  return auth.subarray(0, end);
}
