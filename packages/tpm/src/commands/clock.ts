import { i8, u32, u64 } from '../structures/codec.ts';
import { tpmsTimeInfo } from '../structures/context.ts';
import { command } from './command.ts';

/** Time, clock, counts and whether the clock is safe, unsigned. */
export const ReadClock = command('ReadClock', 0x181, { response: { currentTime: tpmsTimeInfo } });
/** Sets the clock forward (ms); never back. */
export const ClockSet = command('ClockSet', 0x128, {
  handles: { auth: 'user' },
  parameters: { newTime: u64 },
});
/** TPM_CLOCK_ADJUST: -3 (coarsely slower) to 3. */
export const ClockRateAdjust = command('ClockRateAdjust', 0x130, {
  handles: { auth: 'user' },
  parameters: { rateAdjust: i8 },
});
/** Starts an authenticated countdown (s) of the platform; 0 stops it. */
export const ACT_SetTimeout = command('ACT_SetTimeout', 0x198, {
  handles: { actHandle: 'user' },
  parameters: { startTimeout: u32 },
});
