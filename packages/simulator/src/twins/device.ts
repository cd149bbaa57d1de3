import { MeasuredLog } from '@nemea/attestation';
import { createEd25519Signer } from '@nemea/consensus/ed25519';
import { fromUtf8, sha256 } from '@nemea/core';
import { peerIdOf } from '@nemea/node/peers';
import type { Device } from '@nemea/node/ports';
import { addressOf } from '@nemea/sdk';
import type { Life } from './life.ts';
import type { SimulatedTpm } from './tpm.ts';

export interface Release {
  readonly digest: Uint8Array;
  readonly name: string;
}

/** What a machine is, whatever runs on it: its keys and where it listens. All of it follows from its name. */
export interface Machine {
  readonly name: string;
  readonly peerSeed: Uint8Array;
  readonly accountKey: Uint8Array;
  readonly account: string;
  readonly peerKey: Uint8Array;
  readonly endpoint: Device['endpoint'];
  /** Where the store of a run listens. */
  readonly store: string;
}

export function machineOf(name: string, port: number): Machine {
  const peerSeed = sha256(fromUtf8(`peer ${name}`));
  const accountKey = sha256(fromUtf8(`account ${name}`));
  return {
    name,
    peerSeed,
    accountKey,
    account: addressOf(accountKey),
    peerKey: createEd25519Signer(peerSeed).publicKey,
    endpoint: { overlay: `/ip4/127.0.0.1/tcp/${port}`, reception: `/ip4/127.0.0.1/tcp/${port + 1}` },
    store: `/ip4/127.0.0.1/tcp/${port + 2}`,
  };
}

export interface SimulatedDeviceOptions {
  readonly machine: Machine;
  readonly tpm: SimulatedTpm;
  readonly release: Release;
  readonly life: Life;
  readonly verifySignature: Device['verifySignature'];
}

/** Starts a machine: as the real one, it measures its software before anything else. */
export async function openSimulatedDevice(options: SimulatedDeviceOptions): Promise<Device> {
  const { machine, release, life, verifySignature } = options;
  const { tpm, identity, lost } = options.tpm.open();
  const measured = await life.during(MeasuredLog.open({ tpm }));
  await life.during(measured.measure({ kind: 'release', ...release }));
  const { account, peerKey, endpoint, peerSeed, accountKey } = machine;
  const { sign } = createEd25519Signer(peerSeed);
  return {
    account,
    peerKey,
    peerId: peerIdOf(peerKey),
    endpoint,
    release,
    keys: { peerSeed, accountKey },
    identity,
    tpm,
    measured,
    eventLog: undefined,
    ekChain: options.tpm.ekChain,
    lost,
    sign,
    verifySignature,
    close: async () => life.end(),
  };
}
