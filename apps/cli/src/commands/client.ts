import { type Command, Option } from 'commander';
import { makeFolder } from '../files.ts';
import { LOG_LEVELS, port } from '../options.ts';
import { print } from '../output.ts';

export function addClientCommands(program: Command): void {
  const client = program
    .command('client')
    .description("an owner's or author's device, outside the trusted network");

  client
    .command('init')
    .description('make the device: its TPM wraps the keys of its capsules')
    .requiredOption('--dir <DIR>', 'data folder of the device')
    .option('--ca <DIR>', "the devnet's TPM maker, for a software TPM", '.nemea/devnet/ca')
    .option('--port <N>', 'TCP port of its key agent', port, 4601)
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea client init --dir data/alice')
    .action(async (options: { dir: string; ca: string; port: number; json?: boolean }) => {
      const { initDevice } = await import('@nemea/node/device');
      makeFolder(options.dir, 0o700);
      const facts = await initDevice({
        dir: options.dir,
        name: 'client',
        tpm: { kind: 'swtpm' },
        caDir: options.ca,
        ports: { agent: options.port },
      });
      print(options, facts, `account ${facts.account}`);
    });

  client
    .command('start')
    .description('serve capsules and release their keys by policy, in the foreground')
    .requiredOption('--dir <DIR>', 'data folder of the device')
    .requiredOption('--network <FILE>', 'network.json of the network')
    .addOption(new Option('--log-level <LEVEL>', 'how much it says').choices(LOG_LEVELS).default('info'))
    .addHelpText(
      'after',
      '\nExample:\n  nemea client start --dir data/alice --network .nemea/devnet/network.json',
    )
    .action(async (options) => (await import('../client/start.ts')).startClient(options));

  client
    .command('status')
    .description('what a running device says of itself')
    .requiredOption('--dir <DIR>', 'data folder of the device')
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea client status --dir data/alice --json')
    .action(async (options: { dir: string; json?: boolean }) => {
      const { callControl } = await import('@nemea/node/control');
      const { socketPath } = await import('@nemea/node/device');
      const status = await callControl<Record<string, unknown>>(
        socketPath(options.dir, 'control.sock'),
        'GET /status',
      );
      print(options, status, JSON.stringify(status, null, 2));
    });
}
