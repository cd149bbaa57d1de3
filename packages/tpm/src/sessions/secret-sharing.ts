import { constants, createECDH, createPublicKey, type ECDH, publicEncrypt, randomBytes } from 'node:crypto';
import { ByteWriter, fromUtf8 } from '@nemea/core';
import { TpmError } from '../errors.ts';
import { CURVE, curveBytes, digestOf, hex16 } from '../structures/algorithms.ts';
import { writeSized } from '../structures/buffer.ts';
import type { EccPublicArea, RsaPublicArea } from '../structures/public-area.ts';
import { eccPoint, toSpki } from '../structures/public-key.ts';
import { hashName, kdfe } from './kdf.ts';

/** What the shared secret is for; the TPM refuses it for anything else (TPM 2.0 Part 1, annexes B.10 and C.6). */
export type SecretLabel = 'IDENTITY' | 'SECRET' | 'DUPLICATE';

const CURVES: ReadonlyMap<number, string> = new Map([
  [CURVE.p256, 'prime256v1'],
  [CURVE.p384, 'secp384r1'],
  [CURVE.p521, 'secp521r1'],
]);

/** Fresh random bytes, fit for keys. */
export type RandomBytes = (byteLength: number) => Uint8Array;

/** Draws of an ephemeral key at most: on these curves next to none is out of range. */
const DRAWS_MAX = 64;

export interface SharedSecret {
  readonly secret: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET's contents. */
  readonly encrypted: Uint8Array;
}

/**
 * A fresh secret of the size of the key's name digest that only the TPM with `key` recovers. The key may be a
 * stranger's: points off the curve and impossible moduli give `TPM_ARGUMENT_INVALID`.
 */
export function shareSecret(
  key: EccPublicArea | RsaPublicArea,
  label: SecretLabel,
  random: RandomBytes = randomBytes,
): SharedSecret {
  try {
    return key.type === 'rsa'
      ? shareByRsa(key, label, random)
      : shareByEcc(key, label, ephemeralFor(key, random));
  } catch (cause) {
    if (cause instanceof TpmError) throw cause;
    throw new TpmError('TPM_ARGUMENT_INVALID', 'key to encrypt to: not a valid public key', { cause });
  }
}

/** TPM 2.0 Part 1, B.10: a random secret by RSA-OAEP under the key's name algorithm. The padding's seed is OpenSSL's own. */
function shareByRsa(key: RsaPublicArea, label: SecretLabel, random: RandomBytes): SharedSecret {
  const hash = hashName(key.nameAlg);
  const secret = random(digestOf(key.nameAlg).length);
  const publicKey = createPublicKey({ key: Buffer.from(toSpki(key)), format: 'der', type: 'spki' });
  const oaep = {
    oaepHash: hash,
    oaepLabel: fromUtf8(`${label}\0`),
    padding: constants.RSA_PKCS1_OAEP_PADDING,
  };
  return { secret, encrypted: publicEncrypt({ key: publicKey, ...oaep }, secret) };
}

/** FIPS 186-5, A.2.2: draws until the number is a private key of the curve. */
function ephemeralFor(key: EccPublicArea, random: RandomBytes): ECDH {
  const ephemeral = ecdhOf(key.curve);
  const drawn = new Uint8Array(curveBytes(key.curve));
  for (let draws = 0; draws < DRAWS_MAX; draws++) {
    drawn.set(random(drawn.length));
    // P-521 has 521 bits in 66 bytes.
    if (key.curve === CURVE.p521) drawn[0] = (drawn[0] as number) & 1;
    try {
      ephemeral.setPrivateKey(drawn);
      return ephemeral;
    } catch {
      // Zero, or not below the order: drawn anew.
    } finally {
      drawn.fill(0);
    }
  }
  throw new TpmError('TPM_ARGUMENT_INVALID', `ephemeral key: ${DRAWS_MAX} random numbers were none`);
}

/** OpenSSL's key agreement on a TPM's curve. Throws `TPM_ARGUMENT_INVALID`. */
export function ecdhOf(curve: number): ECDH {
  const name = CURVES.get(curve);
  if (name === undefined) {
    throw new TpmError('TPM_ARGUMENT_INVALID', `key to encrypt to: got curve ${hex16(curve)}`);
  }
  return createECDH(name);
}

/** TPM 2.0 Part 1, C.6: ECDH with an ephemeral key, the secret by KDFe. Exported for its published vectors. */
export function shareByEcc(key: EccPublicArea, label: SecretLabel, ephemeral: ECDH): SharedSecret {
  const bytes = curveBytes(key.curve);
  const point = eccPoint(key);
  const own = ephemeral.getPublicKey();
  const ownX = own.subarray(1, 1 + bytes);
  const z = ephemeral.computeSecret(point);
  const bits = 8 * digestOf(key.nameAlg).length;
  const contextV = point.subarray(1, 1 + bytes);
  const secret = kdfe(key.nameAlg, z, { label, contextU: ownX, contextV, bits });
  z.fill(0);
  return {
    secret,
    encrypted: writeSized(writeSized(new ByteWriter(), ownX), own.subarray(1 + bytes)).toBytes(),
  };
}
