import { optional, struct, u16 } from '../structures/codec.ts';
import { tpmtAsymScheme, tpmtKdfScheme } from '../structures/scheme.ts';
import { buffer, digest, eccParameter, eccPoint, sensitiveData } from './buffers.ts';
import { command } from './command.ts';

const EMPTY = new Uint8Array(0);
/** Two empty coordinates: a TPM2B_ECC_POINT itself is never empty. */
const NO_POINT = { x: EMPTY, y: EMPTY };
const key = { keyHandle: 'user' } as const;

/** The first half of an ECDAA signature: K, L and E, and the counter of the secret for TPM2_Sign. */
export const Commit = command('Commit', 0x18b, {
  handles: { signHandle: 'user' },
  parameters: {
    P1: optional(eccPoint, NO_POINT),
    s2: optional(sensitiveData, EMPTY),
    y2: optional(eccParameter, EMPTY),
  },
  response: { K: eccPoint, L: eccPoint, E: eccPoint, counter: u16 },
});
/** An ephemeral public key, and the counter of its secret for ZGen_2Phase. */
export const EC_Ephemeral = command('EC_Ephemeral', 0x18e, {
  parameters: { curveID: u16 },
  response: { Q: eccPoint, counter: u16 },
});
/** An ephemeral key pair against a loaded public key: the shared point, and the point to send. */
export const ECDH_KeyGen = command('ECDH_KeyGen', 0x163, {
  handles: { keyHandle: 'none' },
  response: { zPoint: eccPoint, pubPoint: eccPoint },
});
/** The private key times a point of the caller's. */
export const ECDH_ZGen = command('ECDH_ZGen', 0x154, {
  handles: key,
  parameters: { inPoint: eccPoint },
  response: { outPoint: eccPoint },
});
/** The shared points of a two-phase key exchange (SM2, MQV, ECDH). */
export const ZGen_2Phase = command('ZGen_2Phase', 0x18d, {
  handles: { keyA: 'user' },
  parameters: { inQsB: eccPoint, inQeB: eccPoint, inScheme: u16, counter: u16 },
  response: { outZ1: eccPoint, outZ2: eccPoint },
});
/** TPMS_ALGORITHM_DETAIL_ECC. */
export const ECC_Parameters = command('ECC_Parameters', 0x178, {
  parameters: { curveID: u16 },
  response: {
    parameters: struct({
      curveID: u16,
      keySize: u16,
      kdf: tpmtKdfScheme,
      sign: tpmtAsymScheme,
      p: eccParameter,
      a: eccParameter,
      b: eccParameter,
      gX: eccParameter,
      gY: eccParameter,
      n: eccParameter,
      h: eccParameter,
    }),
  },
});
/** Encrypts to an elliptic-curve key (revision 1.83 and later). */
export const ECC_Encrypt = command('ECC_Encrypt', 0x199, {
  handles: { keyHandle: 'none' },
  parameters: { plainText: buffer, inScheme: tpmtKdfScheme },
  response: { C1: eccPoint, C2: buffer, C3: digest },
});
/** Decrypts what ECC_Encrypt made. */
export const ECC_Decrypt = command('ECC_Decrypt', 0x19a, {
  handles: key,
  parameters: { C1: eccPoint, C2: buffer, C3: digest, inScheme: tpmtKdfScheme },
  response: { plainText: buffer },
});
