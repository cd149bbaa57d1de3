import { workerData } from 'node:worker_threads';
import { Feedback } from './feedback.ts';
import { instrumentModules } from './instrument.ts';
import type { WorkerData } from './run.ts';

// Instrument first, load afterwards: what is imported above this line stays as it is.
const data = workerData as WorkerData;
const feedback = new Feedback();
instrumentModules(feedback, data.folders);
const { runSession } = await import('./session.ts');
await runSession(data, feedback);
