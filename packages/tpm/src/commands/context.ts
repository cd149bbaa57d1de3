import { u32 } from '../structures/codec.ts';
import { tpmsContext } from '../structures/context.ts';
import { command } from './command.ts';

/** Takes an object or session out of the TPM, encrypted for this TPM alone. */
export const ContextSave = command('ContextSave', 0x162, {
  handles: { saveHandle: 'none' },
  response: { context: tpmsContext },
});
/** Brings back what ContextSave took out. */
export const ContextLoad = command('ContextLoad', 0x161, {
  parameters: { context: tpmsContext },
  responseHandle: 'loadedHandle',
});
/** The handle is a parameter, so that what is not loaded may be flushed. */
export const FlushContext = command('FlushContext', 0x165, { parameters: { flushHandle: u32 } });
/** Makes a loaded object persistent under `persistentHandle`, or removes it from there. */
export const EvictControl = command('EvictControl', 0x120, {
  handles: { auth: 'user', objectHandle: 'none' },
  parameters: { persistentHandle: u32 },
});
