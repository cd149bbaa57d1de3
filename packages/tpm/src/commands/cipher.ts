import { ALG } from '../structures/algorithms.ts';
import { optional, u16, yesNo } from '../structures/codec.ts';
import { buffer, iv } from './buffers.ts';
import { command } from './command.ts';

const key = { keyHandle: 'user' } as const;
const decrypt = yesNo('decrypt');
/** TPM_ALG_NULL: the key's own mode. */
const mode = optional(u16, ALG.null);
const ciphered = { outData: buffer, ivOut: iv };

/** Deprecated by the specification, because the data is not the first parameter and so no session can encrypt it. */
export const EncryptDecrypt = command('EncryptDecrypt', 0x164, {
  handles: key,
  parameters: { decrypt, mode, ivIn: iv, inData: buffer },
  response: ciphered,
});
/** Encrypts or decrypts by a symmetric key; few TPMs have it. */
export const EncryptDecrypt2 = command('EncryptDecrypt2', 0x193, {
  handles: key,
  parameters: { inData: buffer, decrypt, mode, ivIn: iv },
  response: ciphered,
});
