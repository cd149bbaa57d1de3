import { u16 } from '../structures/codec.ts';
import { digest, sensitiveData } from './buffers.ts';
import { command } from './command.ts';

export const GetRandom = command('GetRandom', 0x17b, {
  parameters: { bytesRequested: u16 },
  response: { randomBytes: digest },
});
export const StirRandom = command('StirRandom', 0x146, { parameters: { inData: sensitiveData } });
