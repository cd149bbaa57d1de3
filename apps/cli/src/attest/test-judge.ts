import { openClocks } from './clocks.ts';

/** A judge of its own process: records clock 1, 2, ... of one key, each in a turn of its own. */
const [, , file = '', key = '', count = ''] = process.argv;
const akName = Uint8Array.from([0, 0x0b, ...new Uint8Array(32).fill(Number(key))]);
for (let clock = 1; clock <= Number(count); clock++) {
  using clocks = openClocks(file);
  clocks.record(akName, { clock: BigInt(clock), resetCount: 1, restartCount: 0 });
}
