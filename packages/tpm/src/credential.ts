import {
  constants,
  createCipheriv,
  createECDH,
  createHash,
  createHmac,
  createPublicKey,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { ByteWriter, concatBytes, fromUtf8 } from '@nemea/core';
import { TpmError } from './errors.ts';
import { ALG, CURVE, curveBytes } from './structures/algorithms.ts';
import { writeSized } from './structures/buffer.ts';
import { type EccPublicArea, parsePublicArea, type RsaPublicArea } from './structures/public-area.ts';
import { eccPoint, toSpki } from './structures/public-key.ts';

/** What `makeCredential` gives and TPM2_ActivateCredential takes: TPMS_ID_OBJECT and the encrypted seed. */
export interface Credential {
  readonly credentialBlob: Uint8Array;
  readonly encryptedSecret: Uint8Array;
}

type StorageKey = EccPublicArea | RsaPublicArea;

interface SharedSeed {
  readonly seed: Uint8Array;
  readonly encryptedSecret: Uint8Array;
}

type HashName = 'sha256' | 'sha384';

const LABEL_IDENTITY = fromUtf8('IDENTITY\0');
const IV_BYTES = 16;

/**
 * TPM2_MakeCredential in software (TPM 2.0 Part 1, 24): encrypts `secret` so that only the TPM that holds the
 * endorsement key can recover it, and only for the key named `akName`. Throws `TPM_ARGUMENT_INVALID` for a public
 * area that cannot be an endorsement key, or what `parsePublicArea` throws.
 */
export function makeCredential(ekPublic: Uint8Array, akName: Uint8Array, secret: Uint8Array): Credential {
  const ek = parseStorageKey(ekPublic);
  const hash = hashName(ek.nameAlg);
  const hashBits = createHash(hash).digest().length * 8;
  if (secret.length === 0 || secret.length > hashBits / 8) {
    throw refuse(`secret: got ${secret.length} bytes, want 1 to ${hashBits / 8}`);
  }
  const { seed, encryptedSecret } = shareSeed(ek, hash);
  const empty = new Uint8Array(0);
  const symmetricKey = kdfa(hash, seed, 'STORAGE', akName, empty, symmetricKeyBits(ek));
  const encrypted = encryptCfb(symmetricKey, writeSized(new ByteWriter(), secret).toBytes());
  const macKey = kdfa(hash, seed, 'INTEGRITY', empty, empty, hashBits);
  const mac = createHmac(hash, macKey).update(encrypted).update(akName).digest();
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

function hashName(nameAlg: number): HashName {
  if (nameAlg === ALG.sha256) return 'sha256';
  if (nameAlg === ALG.sha384) return 'sha384';
  throw refuse(`endorsement key name algorithm: got ${nameAlg}, want sha-256 or sha-384`);
}

/** The key is a stranger's: OpenSSL refuses points off the curve and impossible moduli. */
function shareSeed(ek: StorageKey, hash: HashName): SharedSeed {
  try {
    return ek.type === 'rsa' ? rsaSeed(ek, hash) : eccSeed(ek, hash);
  } catch (cause) {
    if (cause instanceof TpmError) throw cause;
    throw new TpmError('TPM_ARGUMENT_INVALID', 'endorsement key: not a valid public key', { cause });
  }
}

/** TPM 2.0 Part 1, B.10.3: a random seed by RSA-OAEP under the key's name algorithm. */
function rsaSeed(ek: RsaPublicArea, hash: HashName): SharedSeed {
  const seed = randomBytes(createHash(hash).digest().length);
  const key = createPublicKey({ key: Buffer.from(toSpki(ek)), format: 'der', type: 'spki' });
  const encryptedSecret = publicEncrypt(
    { key, oaepHash: hash, oaepLabel: LABEL_IDENTITY, padding: constants.RSA_PKCS1_OAEP_PADDING },
    seed,
  );
  return { seed, encryptedSecret };
}

/** TPM 2.0 Part 1, C.6.4: an ephemeral key on the endorsement key's curve, the seed by KDFe. */
function eccSeed(ek: EccPublicArea, hash: HashName): SharedSeed {
  const bytes = curveBytes(ek.curve);
  const point = eccPoint(ek);
  const ephemeral = createECDH(ek.curve === CURVE.p256 ? 'prime256v1' : 'secp384r1');
  const own = ephemeral.generateKeys();
  const ownX = own.subarray(1, 1 + bytes);
  const seed = createHash(hash)
    .update(Uint8Array.of(0, 0, 0, 1))
    .update(ephemeral.computeSecret(point))
    .update(LABEL_IDENTITY)
    .update(ownX)
    .update(point.subarray(1, 1 + bytes))
    .digest();
  const encryptedSecret = writeSized(writeSized(new ByteWriter(), ownX), own.subarray(1 + bytes)).toBytes();
  return { seed, encryptedSecret };
}

/** KDFa (TPM 2.0 Part 1, 11.4.10.2): SP 800-108 in counter mode. */
function kdfa(
  hash: HashName,
  key: Uint8Array,
  label: string,
  contextU: Uint8Array,
  contextV: Uint8Array,
  bits: number,
): Uint8Array {
  const blocks: Uint8Array[] = [];
  let derived = 0;
  for (let counter = 1; derived < bits / 8; counter++) {
    const header = new ByteWriter()
      .u32(counter)
      .bytes(fromUtf8(`${label}\0`))
      .toBytes();
    const length = new ByteWriter().u32(bits).toBytes();
    const block = createHmac(hash, key)
      .update(header)
      .update(contextU)
      .update(contextV)
      .update(length)
      .digest();
    blocks.push(block);
    derived += block.length;
  }
  return concatBytes(...blocks).subarray(0, bits / 8);
}

function encryptCfb(key: Uint8Array, data: Uint8Array): Uint8Array {
  // A zero IV is safe here: the key is used once (TPM 2.0 Part 1, 24.4).
  const cipher = createCipheriv(`aes-${key.length * 8}-cfb`, key, new Uint8Array(IV_BYTES));
  return concatBytes(cipher.update(data), cipher.final());
}

function refuse(message: string): TpmError {
  return new TpmError('TPM_ARGUMENT_INVALID', message);
}
