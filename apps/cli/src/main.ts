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
import { endOnUsage, endQuietlyOnBrokenPipe, fail } from './output.ts';
import { VERSION } from './version.ts';

const NODE_MAJOR_MIN = 24;

const major = Number(process.versions.node.split('.')[0]);
if (major < NODE_MAJOR_MIN) {
  process.stderr.write(
    `nemea needs Node ${NODE_MAJOR_MIN}; this is ${process.versions.node}. Use \`npm run nemea -- ...\`, which brings its own.\n`,
  );
  process.exit(1);
}

endQuietlyOnBrokenPipe();
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

program.parseAsync().catch(fail);
