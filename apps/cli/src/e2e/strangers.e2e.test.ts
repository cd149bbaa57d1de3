import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CodedError } from '@nemea/core';
import {
  initDevice,
  joinNetwork,
  type Outward,
  openDevice,
  openOutward,
  openOverlay,
  PROTOCOLS,
  parseEndpoint,
  peerIdOf,
  recordOf,
  systemClock,
  type TpmDevice,
} from '@nemea/node';
import { openLedger } from '@nemea/sdk';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { DEPOSIT } from '../devnet/devnet.ts';
import { Field, until } from './test/field.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const BYZANTINE = fileURLToPath(new URL('./test/byzantine-node.ts', import.meta.url));
const REFUSED_TIMEOUT_MS = 120_000;

let field: Field;
const devices: TpmDevice[] = [];
beforeAll(async () => {
  field = await Field.open({ nodes: 4, codes: [], clients: false });
});
afterAll(async () => {
  await Promise.all(devices.map((device) => device.close()));
  await field?.close();
});

/** Doors and keys of the members, as layer 1 tells them to anybody. */
async function members() {
  await field.ledger.sync();
  return field.ledger.history.events.flatMap((event) =>
    event.type === 'node-admitted'
      ? [
          {
            account: event.record.account,
            peer: peerIdOf(event.record.peerKey),
            ...parseEndpoint(event.record.endpoint),
          },
        ]
      : [],
  );
}

async function newDevice(name: string, options: { ca?: string; deposit?: bigint } = {}): Promise<TpmDevice> {
  const dir = join(field.net.paths.dir, 'strangers', name);
  const caDir = join(field.net.paths.dir, options.ca ?? 'ca');
  await initDevice({ dir, name, tpm: { kind: 'swtpm' }, caDir, ports: { overlay: 1, reception: 2 } });
  const device = await openDevice(dir);
  devices.push(device);
  await field.net.fund([device.account], options.deposit ?? DEPOSIT, 0n);
  return device;
}

/** Applies at every door; resolves to the reasons of the refusal. */
async function refusalOf(device: TpmDevice, changes: Partial<Parameters<typeof joinNetwork>[0]> = {}) {
  const ledger = await openLedger(field.net.network, device.keys.accountKey);
  const outward = await openOutward({ privateKey: device.keys.peerSeed, networkId: ledger.networkId });
  const { tpm, identity, measured, ekChain } = device;
  const candidate = {
    ...{
      clock: systemClock,
      ledger,
      tpm,
      identity,
      measured,
      ekChain,
      record: recordOf(device, { level: 1 }),
    },
    ...{ logger: pino({ level: 'silent' }), ...changes },
  };
  const doors = (await members()).map(({ account, reception, peer }) => ({
    account,
    address: `${reception}/p2p/${peer}`,
  }));
  try {
    await joinNetwork(candidate, outward, doors, REFUSED_TIMEOUT_MS);
    return 'admitted';
  } catch (error) {
    return error instanceof CodedError ? `${error.code}: ${error.message}` : error;
  } finally {
    await outward.close();
  }
}

describe('a stranger', () => {
  test('reaches only the admission protocol, and only at the reception [FAULT-16]', async () => {
    const { networkId } = field.ledger;
    const [member] = await members();
    if (member === undefined) throw new Error('no members');
    // The reception's open connection would serve requests to the same peer at any address: one host for each door.
    const atReception = await openOutward({ networkId });
    const atOverlay = await openOutward({ networkId });
    const ask = (outward: Outward, address: string, protocol: string) =>
      outward.request(`${address}/p2p/${member.peer}`, protocol, Uint8Array.of(1, 2, 3), {
        timeoutMs: 10_000,
      });
    await expect(ask(atReception, member.reception, PROTOCOLS.admission)).rejects.toMatchObject({
      code: 'MESSAGE_MALFORMED',
    });
    for (const protocol of Object.values(PROTOCOLS)) {
      // Malformed messages would be answered by name of that code wherever a handler is reached.
      const notServed = { code: expect.not.stringMatching('MESSAGE_MALFORMED') };
      if (protocol !== PROTOCOLS.admission)
        await expect(ask(atReception, member.reception, protocol), protocol).rejects.toMatchObject(notServed);
      await expect(ask(atOverlay, member.overlay, protocol), protocol).rejects.toMatchObject(notServed);
    }
    await Promise.all([atReception.close(), atOverlay.close()]);
  });

  test('is turned away by the overlay before any stream, whatever evidence it brings [FAULT-16]', async () => {
    const [member] = await members();
    if (member === undefined) throw new Error('no members');
    const overlay = await openOverlay({
      privateKey: new Uint8Array(randomBytes(32)),
      listen: '/ip4/127.0.0.1/tcp/0',
      networkId: field.ledger.networkId,
      protocols: {},
      collectEvidence: async () => new Uint8Array(1024),
      verifyEvidence: async () => ({ ok: true }),
      isMember: () => true,
    });
    await expect(overlay.connect(`${member.overlay}/p2p/${member.peer}`)).rejects.toMatchObject({
      code: 'NOT_A_MEMBER',
    });
    await overlay.close();
    await until('the members still have each other', async () =>
      (await field.status(1)).peers === 3 ? true : undefined,
    );
  });
});

describe('a candidate', () => {
  test('is refused with its reason: other release, other TPM maker, no deposit, keys of another [FAULT-17]', async () => {
    const changed = await newDevice('changed');
    await changed.measured.measure({
      kind: 'release',
      digest: new Uint8Array(randomBytes(32)),
      name: 'changed',
    });
    const foreign = await newDevice('foreign', { ca: 'other-ca' });
    const poor = await newDevice('poor', { deposit: 0n });
    const thief = await newDevice('thief');
    const twin = await newDevice('twin');
    const genesis = field.ledger.history.genesisRecords()[1];
    if (genesis === undefined) throw new Error('no genesis');
    // The thief shows the endorsement key of a TPM that it does not have, and guesses the secret.
    const stolen = {
      record: { ...recordOf(thief, { level: 1 }), ekId: recordOf(poor, { level: 1 }).ekId },
      ekChain: poor.ekChain,
      identity: {
        ...thief.identity,
        ekPublic: poor.identity.ekPublic,
        activateCredential: async () => new Uint8Array(randomBytes(32)),
      },
    };
    // The twin claims the endorsement and attestation keys of a member.
    const claimed = {
      record: { ...recordOf(twin, { level: 1 }), ekId: genesis.ekId, akX: genesis.akX, akY: genesis.akY },
    };
    const [other, maker, deposit, credential, conflict] = await Promise.all([
      refusalOf(changed),
      refusalOf(foreign),
      refusalOf(poor),
      refusalOf(thief, stolen),
      refusalOf(twin, claimed),
    ]);
    expect(other).toMatch(/^ADMISSION_REFUSED: .*RELEASE_/);
    expect(maker).toMatch(/^ADMISSION_REFUSED: .*EK_/);
    expect(deposit).toMatch(/^ADMISSION_REFUSED: .*layer 1 refuses: DepositTooLow\(0x[0-9a-fA-F]{40}, 0, /);
    expect(credential).toMatch(/^ADMISSION_REFUSED: .*CREDENTIAL_WRONG/);
    expect(conflict).toMatch(/^ADMISSION_REFUSED: .*CANDIDATE_CONFLICTS/);
    await field.ledger.sync();
    expect(field.ledger.history.weights().size).toBe(4);
  });
});

describe('a member that asks under a false draw', () => {
  test('is dropped, reported to layer 1, judged by the quorum and slashed [FAULT-10]', async () => {
    const liar = 4;
    const account = field.net.account(liar);
    const before = await field.ledger.read<{ deposit: bigint; credit: number }>('nodeRegistry', 'node', [
      account,
    ]);
    await field.net.processes.stop(`node-${liar}`);
    const child = spawn(process.execPath, [BYZANTINE, field.net.paths.node(liar), field.net.paths.network], {
      stdio: 'ignore',
    });
    try {
      const { history } = field.ledger;
      const dispute = await field.ledger.waitFor(
        () => history.events.find((event) => event.type === 'dispute' && event.dispute.accused === account),
        120_000,
      );
      if (dispute.type !== 'dispute') throw new Error('no dispute');
      const verdict = await field.ledger.waitFor(
        () =>
          history.events.find(
            (event) =>
              event.type === 'dispute-resolved' &&
              event.disputeId === Buffer.from(dispute.dispute.disputeId).toString('hex'),
          ),
        120_000,
      );
      expect(verdict).toMatchObject({ guilty: true });
      const after = await field.ledger.read<{ deposit: bigint; credit: number }>('nodeRegistry', 'node', [
        account,
      ]);
      expect(after.credit).toBe(0);
      expect(after.deposit).toBeLessThan(before.deposit);
      expect(await field.balance(dispute.dispute.reporter)).toBeGreaterThan(0n);
      await until('the others count it without credit', async () => {
        const statuses = await Promise.all([1, 2, 3].map((index) => field.status(index)));
        const credits = statuses.map(({ members }) => members.find((m) => m.account === account)?.credit);
        return credits.every((credit) => credit === 0) ? true : undefined;
      });
    } finally {
      child.kill('SIGTERM');
      await new Promise((resolve) => child.once('exit', resolve));
    }
  });
});
