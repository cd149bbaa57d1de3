import { resolve } from 'node:path';
import { CodedError } from '@nemea/core';
import type { Command } from 'commander';
import { readText } from '../files.ts';
import { positive, whole } from '../options.ts';
import { print } from '../output.ts';
import { ask, openResult, table } from './capsule.ts';

export class TaskError extends CodedError<'TASK_UNKNOWN'> {}

interface SubmitOptions {
  device: string;
  code: string;
  entry: string;
  capsule: string[];
  fee: number;
  seconds: number;
  memory: number;
  json?: boolean;
}

export function addTaskCommands(program: Command): void {
  const task = program.command('task').description('work on capsules that nobody has to trust you with');

  task
    .command('submit')
    .description('put a task with its fee into escrow; the owners of the capsules receive the results')
    .requiredOption('--device <DIR>', "folder of the author's running client device")
    .requiredOption('--code <FILE>', 'Python module')
    .requiredOption('--capsule <ID...>', 'capsules, in the order in which the function gets them')
    .option('--entry <NAME>', 'function to call', 'intersect')
    .option('--fee <TOKENS>', 'whole fee tokens', whole(0, 1e12), 100)
    .option('--seconds <N>', 'time limit of the run', positive(86_400), 30)
    .option('--memory <MIB>', 'memory limit of the run', whole(1, 1 << 20), 512)
    .option('--json', 'print one JSON line')
    .addHelpText(
      'after',
      '\nExample:\n  nemea task submit --device data/ann --code intersect.py --capsule 1f.. 9a..',
    )
    .action(async (options: SubmitOptions) => {
      const { builtImage } = await import('../devnet/image.ts');
      const image = builtImage();
      const submitted = await ask<{ taskId: string }>(options.device, 'POST /task', {
        codeFile: resolve(options.code),
        entry: options.entry,
        imageDigest: image.digest,
        imageName: image.name,
        capsuleIds: options.capsule,
        fee: (BigInt(options.fee) * 10n ** 18n).toString(),
        minLevel: 1,
        minCredit: 1,
        limits: {
          timeoutMs: Math.round(options.seconds * 1000),
          memoryBytes: options.memory * 1_048_576,
          pids: 64,
          outputBytes: 64 << 20,
        },
      });
      print(options, submitted, `task ${submitted.taskId}`);
    });

  task
    .command('status <TASK>')
    .description('what layer 1 knows of a task')
    .requiredOption('--network <FILE>', 'network.json of the network')
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea task status 4f1c... --network .nemea/devnet/network.json')
    .action(async (taskId: string, options: { network: string; json?: boolean }) => {
      const facts = await taskFacts(taskId, options.network);
      print(options, facts, table(facts));
    });

  task
    .command('refund <TASK>')
    .description('take the fee back when the deadline has passed and the network did not end the task')
    .requiredOption('--device <DIR>', "folder of the author's running client device")
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea task refund 4f1c... --device data/ann')
    .action(async (taskId: string, options: { device: string; json?: boolean }) => {
      const receipt = await ask<{ txHash: string }>(options.device, 'POST /refund', {
        taskId: taskId.replace(/^0x/, ''),
      });
      print(options, receipt, `refunded in ${receipt.txHash}`);
    });

  task
    .command('result <TASK>')
    .description('open the result that this device received')
    .requiredOption('--device <DIR>', 'folder of the running client device')
    .requiredOption('--out <FILE>', 'where the plain result goes')
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea task result 4f1c... --device data/alice --out common.txt')
    .action(openResult);
}

const STATES = ['none', 'created', 'elected', 'settled', 'refunded', 'failed'] as const;

async function taskFacts(taskId: string, networkFile: string): Promise<Record<string, unknown>> {
  const { openLedger, parseNetwork } = await import('@nemea/sdk');
  const { failureName } = await import('@nemea/membership');
  const ledger = await openLedger(parseNetwork(readText(networkFile, { code: 'NETWORK_UNREADABLE' })));
  const task = await ledger.read<{
    creator: string;
    state: number;
    attempt: number;
    reason: number;
    fee: bigint;
    executor: string;
    commitment: string;
    capsuleIds: readonly string[];
  }>('taskEscrow', 'task', [taskId.startsWith('0x') ? taskId : `0x${taskId}`]);
  if (task.state === 0) throw new TaskError('TASK_UNKNOWN', `no task ${taskId} on layer 1`);
  return {
    state: STATES[task.state] ?? String(task.state),
    creator: task.creator,
    attempt: task.attempt,
    fee: task.fee.toString(),
    commitment: task.commitment,
    executor: task.state === 3 ? task.executor : 'hidden until settlement',
    ...(task.state === 5 ? { reason: failureName(task.reason) } : {}),
    capsules: task.capsuleIds.map((id) => id.slice(2)),
  };
}
