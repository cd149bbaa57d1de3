import { fromHex } from '@nemea/core';
import { openCapsuleStore, openRuncSandbox } from '@nemea/node/adapters';
import { serveControl } from '@nemea/node/control';
import { readDeviceFacts, socketPath } from '@nemea/node/device';
import { startNode as start } from '@nemea/node/node';
import { productionPorts } from '@nemea/node/production';
import { parseRelease } from '@nemea/node/release';
import { parseNetwork } from '@nemea/sdk';
import { builtImage } from '../devnet/image.ts';
import { readFile, readJson, readText } from '../files.ts';
import { note, openLogger, untilStopped } from '../output.ts';

/** Runs a node in the foreground: proves itself, joins if it is no member yet, and serves until it is stopped. */
export async function startNode(options: {
  dir: string;
  network: string;
  genesis?: string;
  owner?: string;
  image?: string;
  logLevel: string;
}): Promise<void> {
  const facts = readDeviceFacts(options.dir);
  const logger = openLogger(facts.name, options.logLevel);
  const network = parseNetwork(readText(options.network, { code: 'NETWORK_UNREADABLE' }));
  const built = options.image === undefined ? undefined : builtImage();
  const sandbox =
    built === undefined ? undefined : await openRuncSandbox({ nodeId: `n${facts.account.slice(2, 14)}` });
  for (const warning of sandbox?.warnings ?? []) logger.warn({ code: warning.code }, warning.message);
  const ports = productionPorts({
    dir: options.dir,
    network,
    logger,
    openStore: (privateKey, networkId) =>
      openCapsuleStore({ privateKey, listen: '/ip4/127.0.0.1/tcp/0', networkId, protocols: {} }),
    ...(sandbox === undefined ? {} : { sandbox }),
  });
  const node = await start(ports, {
    logger,
    ...(options.owner === undefined ? {} : { owner: options.owner }),
    ...(options.genesis === undefined
      ? {}
      : {
          genesisDoors: (readJson(options.genesis) as { account: string; address: string }[]).filter(
            (door) => door.account !== facts.account,
          ),
        }),
    ...(built === undefined
      ? {}
      : { image: { file: options.image as string, digest: fromHex(built.digest), name: built.name } }),
  });
  const control = await serveControl(socketPath(options.dir, 'control.sock'), logger, {
    'GET /status': async () => {
      node.settle();
      return { ...node.status(), rssMb: Math.round(process.memoryUsage.rss() / 1_048_576) };
    },
    'GET /agreed': async () => node.agreed(),
    'GET /attestations': async () => node.attestations(),
    'GET /record': async () => node.record(),
    'POST /load-release': async (body) =>
      node.loadRelease(parseRelease(readFile((body as { file: string }).file))),
  });
  logger.info({ account: node.account }, 'node is a member and serves');
  note(`node ${node.account} is up`);
  await untilStopped(async () => {
    await control.close();
    await node.close();
  }, node.lost);
}
