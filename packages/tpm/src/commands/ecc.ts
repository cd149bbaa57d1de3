import { optional, struct, u16 } from '../structures/codec.ts';
import { tpmtAsymScheme, tpmtKdfScheme } from '../structures/scheme.ts';
import { buffer, digest, eccParameter, eccPoint, sensitiveData } from './buffers.ts';
import { command } from './command.ts';

const EMPTY = new Uint8Array(0);
/** Two empty coordinates: a TPM2B_ECC_POINT itself is never empty. */
const NO_POINT = { x: EMPTY, y: EMPTY };
const key = { keyHandle: 'user' } as const;

export const Commit = command('Commit', 0x18b, {
  handles: { signHandle: 'user' },
  parameters: {
    P1: optional(eccPoint, NO_POINT),
    s2: optional(sensitiveData, EMPTY),
    y2: optional(eccParameter, EMPTY),
  },
  response: { K: eccPoint, L: eccPoint, E: eccPoint, counter: u16 },
});
export const EC_Ephemeral = command('EC_Ephemeral', 0x18e, {
  parameters: { curveID: u16 },
  response: { Q: eccPoint, counter: u16 },
});
export const ECDH_KeyGen = command('ECDH_KeyGen', 0x163, {
  handles: { keyHandle: 'none' },
  response: { zPoint: eccPoint, pubPoint: eccPoint },
});
export const ECDH_ZGen = command('ECDH_ZGen', 0x154, {
  handles: key,
  parameters: { inPoint: eccPoint },
  response: { outPoint: eccPoint },
});
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
export const ECC_Encrypt = command('ECC_Encrypt', 0x199, {
  handles: { keyHandle: 'none' },
  parameters: { plainText: buffer, inScheme: tpmtKdfScheme },
  response: { C1: eccPoint, C2: buffer, C3: digest },
});
export const ECC_Decrypt = command('ECC_Decrypt', 0x19a, {
  handles: key,
  parameters: { C1: eccPoint, C2: buffer, C3: digest, inScheme: tpmtKdfScheme },
  response: { plainText: buffer },
});
