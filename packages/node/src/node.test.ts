import { expect, test } from 'vitest';
import { startNode } from './node.ts';
import { Owner } from './owner/owner.ts';
import type { OwnerDevice, OwnerPorts } from './owner/owner-ports.ts';
import type { Device } from './ports/device.ts';
import type { NodePorts } from './ports/node-ports.ts';
import type { Sandbox } from './ports/sandbox.ts';
import { silent } from './testing.ts';

const keys = {
  accountKey: new Uint8Array(32),
  peerSeed: new Uint8Array(32),
  receiverKey: new Uint8Array(32),
};
const noLedger = () => Promise.reject(new Error('layer 1 is away'));

test('a node that cannot start closes all that it has opened, also when some of it cannot be closed, and says why it could not', async () => {
  const closed: string[] = [];
  const device: Partial<Device> = {
    keys,
    close: async () => {
      closed.push('device');
      throw new Error('the TPM is gone');
    },
  };
  const sandbox: Partial<Sandbox> = { close: async () => void closed.push('sandbox') };
  const ports: Partial<NodePorts> = {
    sandbox: sandbox as Sandbox,
    openDevice: async () => device as Device,
    openLedger: noLedger,
  };
  const starting = startNode(ports as NodePorts, { logger: silent });
  await expect(starting).rejects.toThrow('layer 1 is away');
  expect(closed).toEqual(['device', 'sandbox']);
});

test("an owner's device that cannot start lets go of its TPM", async () => {
  const closed: string[] = [];
  const device: Partial<OwnerDevice> = { keys, close: async () => void closed.push('device') };
  const ports: Partial<OwnerPorts> = {
    openDevice: async () => device as OwnerDevice,
    openLedger: noLedger,
  };
  await expect(Owner.start(ports as OwnerPorts, { logger: silent })).rejects.toThrow('layer 1 is away');
  expect(closed).toEqual(['device']);
});
