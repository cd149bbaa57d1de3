import { tpmtRsaDecrypt } from '../structures/scheme.ts';
import { optionalData, rsaNumber } from './buffers.ts';
import { command } from './command.ts';

/** `label` ends in a zero byte, which is part of it. */
export const RSA_Encrypt = command('RSA_Encrypt', 0x174, {
  handles: { keyHandle: 'none' },
  parameters: { message: rsaNumber, inScheme: tpmtRsaDecrypt, label: optionalData },
  response: { outData: rsaNumber },
});
/** Decrypts by an RSA key, with its own padding or `inScheme`; without any it is the bare private operation. */
export const RSA_Decrypt = command('RSA_Decrypt', 0x159, {
  handles: { keyHandle: 'user' },
  parameters: { cipherText: rsaNumber, inScheme: tpmtRsaDecrypt, label: optionalData },
  response: { message: rsaNumber },
});
