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

export interface SharedSecret {
  readonly secret: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET's contents. */
  readonly encrypted: Uint8Array;
}

/**
 * A fresh secret of the size of the key's name digest that only the TPM with `key` recovers. The key may be a
 * stranger's: points off the curve and impossible moduli give `TPM_ARGUMENT_INVALID`.
 */
export function shareSecret(key: EccPublicArea | RsaPublicArea, label: SecretLabel): SharedSecret {
  try {
    return key.type === 'rsa' ? shareByRsa(key, label) : shareByEcc(key, label, ephemeralFor(key));
  } catch (cause) {
    if (cause instanceof TpmError) throw cause;
    throw new TpmError('TPM_ARGUMENT_INVALID', 'key to encrypt to: not a valid public key', { cause });
  }
}

/** TPM 2.0 Part 1, B.10: a random secret by RSA-OAEP under the key's name algorithm. */
function shareByRsa(key: RsaPublicArea, label: SecretLabel): SharedSecret {
  const hash = hashName(key.nameAlg);
  const secret = randomBytes(digestOf(key.nameAlg).length);
  const publicKey = createPublicKey({ key: Buffer.from(toSpki(key)), format: 'der', type: 'spki' });
  const oaep = {
    oaepHash: hash,
    oaepLabel: fromUtf8(`${label}\0`),
    padding: constants.RSA_PKCS1_OAEP_PADDING,
  };
  return { secret, encrypted: publicEncrypt({ key: publicKey, ...oaep }, secret) };
}

function ephemeralFor(key: EccPublicArea): ECDH {
  const ephemeral = ecdhOf(key.curve);
  ephemeral.generateKeys();
  return ephemeral;
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
