import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { type CborValue, CodedError, concatBytes, decodeCbor, encodeCbor } from '@nemea/core';
import type { Tpm } from '@nemea/tpm';
import { writeWhole } from '../storage/whole-file.ts';

export type KeyErrorCode = 'KEYS_MALFORMED' | 'KEYS_SEALED_ELSEWHERE';
export class KeyError extends CodedError<KeyErrorCode> {}

/** Secrets of one device. They exist in the process and, sealed to its TPM, on disk; nowhere else. */
export interface DeviceKeys {
  /** Ed25519 seed: libp2p identity and consensus signatures. */
  readonly peerSeed: Uint8Array;
  /** secp256k1: layer-1 transactions and votes. */
  readonly accountKey: Uint8Array;
  /** X25519: results of tasks are sealed to it. */
  readonly receiverKey: Uint8Array;
}

const KEY_BYTES = 32;

/**
 * Reads the device's keys, or makes them at the first start. They are sealed under the given PCRs as they are now: with
 * PCR 14 only the release that made them can open them, on a machine whose shim trusts what it did then [ATT-3]. Throws `KEYS_SEALED_ELSEWHERE` when the TPM refuses.
 */
export async function openDeviceKeys(tpm: Tpm, path: string, pcrs: readonly number[]): Promise<DeviceKeys> {
  if (!existsSync(path)) await createDeviceKeys(tpm, path, pcrs);
  const blob = parseBlob(readFileSync(path));
  let secret: Uint8Array;
  try {
    secret = await tpm.unseal(blob);
  } catch (cause) {
    throw new KeyError(
      'KEYS_SEALED_ELSEWHERE',
      "the TPM does not unseal this device's keys: another TPM, another release, or other keys in shim (MOK, PCR 14) than when they were sealed",
      { cause },
    );
  }
  if (secret.length !== 3 * KEY_BYTES) {
    throw new KeyError('KEYS_MALFORMED', `keys: got ${secret.length} bytes, want ${3 * KEY_BYTES}`);
  }
  return {
    peerSeed: secret.slice(0, KEY_BYTES),
    accountKey: secret.slice(KEY_BYTES, 2 * KEY_BYTES),
    receiverKey: secret.slice(2 * KEY_BYTES),
  };
}

async function createDeviceKeys(tpm: Tpm, path: string, pcrs: readonly number[]): Promise<void> {
  const { privateKey } = generateKeyPairSync('x25519');
  const { d } = privateKey.export({ format: 'jwk' });
  if (d === undefined) throw new KeyError('KEYS_MALFORMED', 'no X25519 private key was made');
  const secret = concatBytes(randomBytes(KEY_BYTES), randomBytes(KEY_BYTES), Buffer.from(d, 'base64url'));
  const sealed = await tpm.seal(secret, { pcrs: [...pcrs] });
  secret.fill(0);
  // A crash leaves either no keys or whole ones.
  writeWhole(path, encodeCbor({ version: 1, sealed }));
}

function parseBlob(bytes: Uint8Array): Uint8Array {
  let value: CborValue;
  try {
    value = decodeCbor(new Uint8Array(bytes));
  } catch (cause) {
    throw new KeyError('KEYS_MALFORMED', 'key file is not dag-cbor', { cause });
  }
  if (
    typeof value === 'object' &&
    value !== null &&
    'sealed' in value &&
    value.sealed instanceof Uint8Array
  ) {
    return value.sealed;
  }
  throw new KeyError('KEYS_MALFORMED', 'key file holds no sealed keys');
}
