import { type Command, Option } from 'commander';
import { makeFolder } from '../files.ts';
import { account, LOG_LEVELS, port } from '../options.ts';
import { print } from '../output.ts';

/** Commands load what they need when they run: a node's process holds no code of the demo, and the other way round. */
export function addNodeCommands(program: Command): void {
  const node = program
    .command('node')
    .description('a member of the trusted network: one device, one process');

  node
    .command('init')
    .description("make a node's TPM identity and seal its keys")
    .requiredOption('--dir <DIR>', 'data folder of the node')
    .option('--ca <DIR>', "the devnet's TPM maker, for a software TPM", '.nemea/devnet/ca')
    .option('--tpm <PATH>', 'a hardware TPM, such as /dev/tpmrm0, in place of a software one')
    .option('--overlay-port <N>', 'TCP port of the members-only network', port, 4501)
    .option('--reception-port <N>', 'TCP port where strangers apply', port, 4502)
    .option('--json', 'print one JSON line')
    .addHelpText(
      'after',
      '\nExample:\n  nemea node init --dir data/node-7 --overlay-port 4701 --reception-port 4702',
    )
    .action(
      async (options: {
        dir: string;
        ca: string;
        tpm?: string;
        overlayPort: number;
        receptionPort: number;
        json?: boolean;
      }) => {
        const { initDevice } = await import('@nemea/node/device');
        makeFolder(options.dir, 0o700);
        const facts = await initDevice({
          dir: options.dir,
          name: 'node',
          tpm: options.tpm === undefined ? { kind: 'swtpm' } : { kind: 'device', path: options.tpm },
          caDir: options.ca,
          ports: { overlay: options.overlayPort, reception: options.receptionPort },
        });
        print(
          options,
          facts,
          `account ${facts.account}\npeer    ${facts.peerId}\nPut the deposit for this account on layer 1, then: nemea node start --dir ${options.dir} --network network.json`,
        );
      },
    );

  node
    .command('start')
    .description('start a node in the foreground: prove itself, join if it is no member yet, and serve')
    .requiredOption('--dir <DIR>', 'data folder of the node')
    .requiredOption('--network <FILE>', 'network.json of the network')
    .option('--genesis <FILE>', 'doors of the other founding members')
    .option(
      '--owner <ACCOUNT>',
      'who has paid into the deposit and gets it back; else the node itself',
      account,
    )
    .option('--image <FILE>', 'worker image to run tasks in; without it the node only attests')
    .addOption(new Option('--log-level <LEVEL>', 'how much it says').choices(LOG_LEVELS).default('info'))
    .addHelpText(
      'after',
      '\nExample:\n  nemea node start --dir data/node-7 --network .nemea/devnet/network.json',
    )
    .action(async (options) => (await import('../node/start.ts')).startNode(options));

  node
    .command('status')
    .description('what a running node says of itself, or what a quorum of members says of the network')
    .requiredOption('--dir <DIR>', 'data folder of the node')
    .option('--agreed', 'ask all members, and take what a quorum signs alike')
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea node status --dir data/node-7 --json')
    .action(async (options: { dir: string; agreed?: boolean; json?: boolean }) => {
      const { callControl } = await import('@nemea/node/control');
      const { socketPath } = await import('@nemea/node/device');
      const route = options.agreed === true ? 'GET /agreed' : 'GET /status';
      const status = await callControl<object>(socketPath(options.dir, 'control.sock'), route);
      print(
        options,
        status,
        Object.entries(status)
          .map(
            ([key, value]) =>
              `${key.padEnd(12)} ${typeof value === 'object' ? JSON.stringify(value) : value}`,
          )
          .join('\n'),
      );
    });

  program
    .command('join')
    .description('join a network with a node that was initialised: the same as `node start` for a stranger')
    .requiredOption('--dir <DIR>', 'data folder of the node')
    .requiredOption('--network <FILE>', 'network.json of the network')
    .option(
      '--owner <ACCOUNT>',
      'who has paid into the deposit and gets it back; else the node itself',
      account,
    )
    .option('--image <FILE>', 'worker image to run tasks in')
    .addOption(new Option('--log-level <LEVEL>', 'how much it says').choices(LOG_LEVELS).default('info'))
    .addHelpText('after', '\nExample:\n  nemea join --dir data/node-7 --network .nemea/devnet/network.json')
    .action(async (options) => (await import('../node/start.ts')).startNode(options));
}
