/** Runs one seed, and prints what happens, line by line; the same seed gives the same lines. */
import { describePlan } from '../faults/plan.ts';
import { runSeed } from './simulation.ts';
import { Tally } from './tally.ts';

const [seed = '1'] = process.argv.slice(2);
const result = await runSeed(seed, { onLine: (line) => console.log(line) });
const tally = new Tally();
tally.add(result);
console.log(describePlan(result.plan));
console.log(`trace ${result.traceDigest}`);
if (result.violation !== undefined)
  console.log(`fails: ${result.violation.checker}: ${result.violation.detail}`);
console.log(tally.line());
process.exitCode = result.violation === undefined ? 0 : 1;
