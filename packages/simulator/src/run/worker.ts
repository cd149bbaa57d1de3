/** One process of the swarm: runs the seeds that it is sent, one after the other. */
import { runSeed } from './simulation.ts';

process.on('message', (seed: string) => {
  runSeed(seed).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ seed, error: error instanceof Error ? error.stack : String(error) }),
  );
});
process.on('disconnect', () => process.exit());
process.send?.({ ready: true });
