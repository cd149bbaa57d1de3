/**
 * A member that draws itself by VRF proofs over an input of its own choice. The rest is the real node with its real
 * TPM and keys: its requests are signed well and prove nothing.
 */
import { readFileSync } from 'node:fs';
import { sha256 } from '@nemea/core';
import { openCapsuleStore, openDevice, productionPorts, startNode, type TpmDevice } from '@nemea/node';
import { parseNetwork } from '@nemea/sdk';
import { openLogger, untilStopped } from '../../output.ts';

async function openLyingDevice(dir: string): Promise<TpmDevice> {
  const device = await openDevice(dir);
  const { identity } = device;
  return {
    ...device,
    identity: { ...identity, vrfProve: (alpha: Uint8Array) => identity.vrfProve(sha256(alpha)) },
  };
}

const [dir = '', networkFile = ''] = process.argv.slice(2);
const logger = openLogger('byzantine', 'info');
const ports = productionPorts({
  dir,
  network: parseNetwork(readFileSync(networkFile, 'utf8')),
  logger,
  openDevice: () => openLyingDevice(dir),
  openStore: (privateKey, networkId) =>
    openCapsuleStore({ privateKey, listen: '/ip4/127.0.0.1/tcp/0', networkId, protocols: {} }),
});
const node = await startNode(ports, { logger });
await untilStopped(() => node.close());
