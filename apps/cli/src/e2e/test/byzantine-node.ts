/**
 * A member that draws itself by VRF proofs over an input of its own choice. The rest is the real node with its real
 * TPM and keys: its requests are signed well and prove nothing.
 */
import { readFileSync } from 'node:fs';
import { sha256 } from '@nemea/core';
import { type Device, Node, openCapsuleStore, openDevice } from '@nemea/node';
import { parseNetwork } from '@nemea/sdk';
import { openLogger, untilStopped } from '../../output.ts';

async function openLyingDevice(dir: string): Promise<Device> {
  const device = await openDevice(dir);
  const { identity } = device;
  return {
    ...device,
    identity: { ...identity, vrfProve: (alpha: Uint8Array) => identity.vrfProve(sha256(alpha)) },
  };
}

const [dir = '', networkFile = ''] = process.argv.slice(2);
const node = await Node.start({
  dir,
  network: parseNetwork(readFileSync(networkFile, 'utf8')),
  logger: openLogger('byzantine', 'info'),
  openDevice: openLyingDevice,
  openStore: (privateKey, networkId) =>
    openCapsuleStore({ privateKey, listen: '/ip4/127.0.0.1/tcp/0', networkId, protocols: {} }),
});
await untilStopped(() => node.close());
