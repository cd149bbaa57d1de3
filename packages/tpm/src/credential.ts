import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import { ByteWriter, concatBytes } from '@nemea/core';
import { TpmError } from './errors.ts';
import { hashName, kdfa } from './sessions/kdf.ts';
import { type RandomBytes, shareSecret } from './sessions/secret-sharing.ts';
import { ALG, digestOf } from './structures/algorithms.ts';
import { writeSized } from './structures/buffer.ts';
import { type EccPublicArea, parsePublicArea, type RsaPublicArea } from './structures/public-area.ts';

/** What `makeCredential` gives and TPM2_ActivateCredential takes: TPMS_ID_OBJECT and the encrypted seed. */
export interface Credential {
  readonly credentialBlob: Uint8Array;
  readonly encryptedSecret: Uint8Array;
}

type StorageKey = EccPublicArea | RsaPublicArea;

const IV_BYTES = 16;

/**
 * TPM2_MakeCredential in software (TPM 2.0 Part 1, 24): encrypts `secret` so that only the TPM that holds the
 * endorsement key can recover it, and only for the key named `akName`. `random` makes the seed that it is encrypted
 * under. Throws `TPM_ARGUMENT_INVALID` for a public area that cannot be an endorsement key, or what `parsePublicArea`
 * throws.
 */
export function makeCredential(
  ekPublic: Uint8Array,
  akName: Uint8Array,
  secret: Uint8Array,
  { random = randomBytes }: { readonly random?: RandomBytes | undefined } = {},
): Credential {
  const ek = parseStorageKey(ekPublic);
  const hash = hashName(ek.nameAlg);
  const hashBits = 8 * digestOf(ek.nameAlg).length;
  if (secret.length === 0 || secret.length > hashBits / 8) {
    throw refuse(`secret: got ${secret.length} bytes, want 1 to ${hashBits / 8}`);
  }
  const bits = symmetricKeyBits(ek);
  const { secret: seed, encrypted: encryptedSecret } = shareSecret(ek, 'IDENTITY', random);
  const empty = new Uint8Array(0);
  const symmetricKey = kdfa(ek.nameAlg, seed, { label: 'STORAGE', contextU: akName, contextV: empty, bits });
  const encrypted = encryptCfb(symmetricKey, writeSized(new ByteWriter(), secret).toBytes());
  const integrity = { label: 'INTEGRITY', contextU: empty, contextV: empty, bits: hashBits };
  const macKey = kdfa(ek.nameAlg, seed, integrity);
  const mac = createHmac(hash, macKey).update(encrypted).update(akName).digest();
  for (const key of [seed, symmetricKey, macKey]) key.fill(0);
  return { credentialBlob: writeSized(new ByteWriter(), mac).bytes(encrypted).toBytes(), encryptedSecret };
}

function parseStorageKey(ekPublic: Uint8Array): StorageKey {
  const ek = parsePublicArea(ekPublic);
  if (ek.type !== 'rsa' && ek.type !== 'ecc')
    throw refuse(`endorsement key: got ${ek.type}, want an rsa or ecc key`);
  return ek;
}

function symmetricKeyBits(ek: StorageKey): number {
  const { symmetric } = ek;
  if (
    symmetric?.algorithm !== 'aes' ||
    symmetric.mode !== ALG.cfb ||
    ![128, 192, 256].includes(symmetric.keyBits)
  ) {
    throw refuse('endorsement key: want a storage key with aes-cfb');
  }
  return symmetric.keyBits;
}

function encryptCfb(key: Uint8Array, data: Uint8Array): Uint8Array {
  // A zero IV is safe here: the key is used once (TPM 2.0 Part 1, 24.4).
  const cipher = createCipheriv(`aes-${key.length * 8}-cfb`, key, new Uint8Array(IV_BYTES));
  return concatBytes(cipher.update(data), cipher.final());
}

function refuse(message: string): TpmError {
  return new TpmError('TPM_ARGUMENT_INVALID', message);
}
