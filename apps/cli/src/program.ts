import { Command } from 'commander';
import { addAttestCommand } from './commands/attest.ts';
import { addCapsuleCommands } from './commands/capsule.ts';
import { addClientCommands } from './commands/client.ts';
import { addCorimCommands } from './commands/corim.ts';
import { addDemoCommand } from './commands/demo.ts';
import { addDevnetCommands } from './commands/devnet.ts';
import { addEarCommands } from './commands/ear.ts';
import { addEventLogCommand } from './commands/eventlog.ts';
import { addEvidenceCommands } from './commands/evidence.ts';
import { addImaCommand } from './commands/ima.ts';
import { addNodeCommands } from './commands/node.ts';
import { addPolicyCommands } from './commands/policy.ts';
import { addQuoteCommands } from './commands/quote.ts';
import { addTaskCommands } from './commands/task.ts';
import { addTpmCommands } from './commands/tpm.ts';
import { addVerifyCommand } from './commands/verify.ts';
import { endOnUsage } from './output.ts';
import { VERSION } from './version.ts';

/** The whole command line; what a command needs is loaded when it runs. */
export function createProgram(): Command {
  const program = endOnUsage(new Command('nemea'))
    .version(VERSION)
    .description(
      "Run a function on private data of several owners, on a machine of nobody's choosing, and check what it runs.",
    )
    .configureOutput({ outputError: () => undefined });
  addDemoCommand(program);
  addDevnetCommands(program);
  addNodeCommands(program);
  addAttestCommand(program);
  addEarCommands(program);
  addEvidenceCommands(program);
  addPolicyCommands(program);
  addClientCommands(program);
  addCapsuleCommands(program);
  addTaskCommands(program);
  addCorimCommands(program);
  addVerifyCommand(program);
  addEventLogCommand(program);
  addImaCommand(program);
  addQuoteCommands(program);
  addTpmCommands(program);
  return program;
}
