import { u16 } from '../structures/codec.ts';
import { digest, sensitiveData } from './buffers.ts';
import { command } from './command.ts';

/** Random bytes, at most as many as the TPM's longest digest. */
export const GetRandom = command('GetRandom', 0x17b, {
  parameters: { bytesRequested: u16 },
  response: { randomBytes: digest },
});
/** Adds at most 128 bytes to the TPM's randomness. */
export const StirRandom = command('StirRandom', 0x146, { parameters: { inData: sensitiveData } });
