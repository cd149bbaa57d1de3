import { readFileSync } from 'node:fs';
import { fromHex } from '@nemea/core';
import {
  callControl,
  initDevice,
  Node,
  openCapsuleStore,
  openRuncSandbox,
  readDeviceFacts,
  serveControl,
  socketPath,
} from '@nemea/node';
import { parseNetwork } from '@nemea/sdk';
import type { Command } from 'commander';
import { builtImage, type NodeStatus } from '../devnet/devnet.ts';
import { note, openLogger, print, untilStopped } from '../output.ts';

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
    .option('--overlay-port <N>', 'TCP port of the members-only network', '4501')
    .option('--reception-port <N>', 'TCP port where strangers apply', '4502')
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
        overlayPort: string;
        receptionPort: string;
        json?: boolean;
      }) => {
        const facts = await initDevice({
          dir: options.dir,
          name: 'node',
          tpm: options.tpm === undefined ? { kind: 'swtpm' } : { kind: 'device', path: options.tpm },
          caDir: options.ca,
          ports: { overlay: Number(options.overlayPort), reception: Number(options.receptionPort) },
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
    .option('--image <FILE>', 'worker image to run tasks in; without it the node only attests')
    .option('--log-level <LEVEL>', 'trace, debug, info, warn or error', 'info')
    .addHelpText(
      'after',
      '\nExample:\n  nemea node start --dir data/node-7 --network .nemea/devnet/network.json',
    )
    .action(startNode);

  node
    .command('status')
    .description('what a running node says of itself')
    .requiredOption('--dir <DIR>', 'data folder of the node')
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea node status --dir data/node-7 --json')
    .action(async (options: { dir: string; json?: boolean }) => {
      const status = await callControl<NodeStatus>(socketPath(options.dir, 'control.sock'), 'GET /status');
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
    .option('--image <FILE>', 'worker image to run tasks in')
    .option('--log-level <LEVEL>', 'trace, debug, info, warn or error', 'info')
    .addHelpText('after', '\nExample:\n  nemea join --dir data/node-7 --network .nemea/devnet/network.json')
    .action(startNode);
}

async function startNode(options: {
  dir: string;
  network: string;
  genesis?: string;
  image?: string;
  logLevel: string;
}): Promise<void> {
  const facts = readDeviceFacts(options.dir);
  const logger = openLogger(facts.name, options.logLevel);
  const network = parseNetwork(readFileSync(options.network, 'utf8'));
  const built = options.image === undefined ? undefined : builtImage();
  const sandbox =
    built === undefined ? undefined : await openRuncSandbox({ nodeId: `n${facts.account.slice(2, 14)}` });
  for (const warning of sandbox?.warnings ?? []) logger.warn({ code: warning.code }, warning.message);
  const node = await Node.start({
    dir: options.dir,
    network,
    logger,
    ...(options.genesis === undefined
      ? {}
      : {
          genesisDoors: (
            JSON.parse(readFileSync(options.genesis, 'utf8')) as { account: string; address: string }[]
          ).filter((door) => door.account !== facts.account),
        }),
    ...(sandbox === undefined || built === undefined
      ? {}
      : {
          sandbox,
          image: { file: options.image as string, digest: fromHex(built.digest), name: built.name },
        }),
    openStore: (privateKey, networkId) =>
      openCapsuleStore({ privateKey, listen: '/ip4/127.0.0.1/tcp/0', networkId, protocols: {} }),
  });
  const control = await serveControl(socketPath(options.dir, 'control.sock'), {
    'GET /status': async () => node.status(),
    'GET /record': async () => node.record(),
    'POST /load-release': async (body) =>
      node.loadRelease(new Uint8Array(readFileSync((body as { file: string }).file))),
  });
  logger.info({ account: node.account }, 'node is a member and serves');
  note(`node ${node.account} is up`);
  await untilStopped(async () => {
    await control.close();
    await node.close();
  });
}
