import { u16, u32, yesNo } from '../structures/codec.ts';
import { tpmlAlg } from '../structures/object.ts';
import { buffer } from './buffers.ts';
import { command } from './command.ts';

/** TPM_SU. */
export const STARTUP = { clear: 0, state: 1 } as const;

/** The first command after a reset: `STARTUP.clear`, or `state` to go on from what Shutdown kept. */
export const Startup = command('Startup', 0x144, { parameters: { startupType: u16 } });
/** Before power goes: makes the clock and, with `STARTUP.state`, the registers outlive it. */
export const Shutdown = command('Shutdown', 0x145, { parameters: { shutdownType: u16 } });

/** Tests everything, or what was not tested yet. */
export const SelfTest = command('SelfTest', 0x143, { parameters: { fullTest: yesNo('fullTest') } });
/** Tests these algorithms; `toDoList` is what is still untested. */
export const IncrementalSelfTest = command('IncrementalSelfTest', 0x142, {
  parameters: { toTest: tpmlAlg },
  response: { toDoList: tpmlAlg },
});
/** `testResult` is a TPM_RC. */
export const GetTestResult = command('GetTestResult', 0x17c, {
  response: { outData: buffer, testResult: u32 },
});
