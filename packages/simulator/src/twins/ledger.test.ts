import { toHex } from '@nemea/core';
import { ANVIL_MNEMONIC, startAnvil } from '@nemea/node/anvil';
import {
  type LedgerGround,
  leavingLedgerCompliance,
  ledgerCompliance,
  taskLedgerCompliance,
} from '@nemea/node/ports/testing';
import { type Ledger, type Network, openLedger } from '@nemea/sdk';
import type { Hex } from 'viem';
import { type HDAccount, mnemonicToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { deployContracts } from '../../../../contracts/deploy.ts';
import { Kernel } from '../kernel/kernel.ts';
import { Chain } from './layer-one/chain.ts';
import { openLedgerTwin } from './ledger.ts';
import { Life } from './life.ts';
import { drive } from './testing.ts';

const DEPOSIT = 1_000n;
const EPOCH_MS = 10_000;
/** Anvil's own accounts have native coin: the first deploys, the next four found, the one after is nobody. */
const [DEPLOYER, FIRST, STRANGER] = [0, 1, 5];
const keyOf = (account: HDAccount): Uint8Array => account.getHdKey().privateKey as Uint8Array;
const accountAt = (addressIndex: number): HDAccount => mnemonicToAccount(ANVIL_MNEMONIC, { addressIndex });
const founders = [0, 1, 2, 3].map((index) => accountAt(FIRST + index));
const addresses = founders.map(({ address }) => address.toLowerCase());

/** One story: tasks are run by the members that the first half has left. */
const suite = (ground: () => LedgerGround) => [
  ...ledgerCompliance(ground),
  ...taskLedgerCompliance(ground),
  ...leavingLedgerCompliance(ground),
];

/** The same suite over the contracts on anvil, and over the twin: where they differ, the twin is wrong. */
describe('layer 1 on anvil', () => {
  let stop: () => Promise<void> = async () => undefined;
  let ground: LedgerGround;

  beforeAll(async () => {
    const anvil = await startAnvil({ blockTimeS: 0 });
    stop = () => anvil.stop();
    const { rpcUrl, chainId } = anvil;
    const deployer = keyOf(accountAt(DEPLOYER));
    const contracts = await deployContracts({
      rpcUrl,
      chainId,
      privateKey: `0x${toHex(deployer)}`,
      genesis: addresses as Hex[],
      minDeposit: DEPOSIT,
      epochMs: EPOCH_MS,
    });
    const network: Network = { name: 'anvil', rpcUrl, chainId, startBlock: 1, epochMs: EPOCH_MS, contracts };
    const treasury = await openLedger(network, deployer);
    await treasury.submit('feeToken', 'approve', [contracts.nodeRegistry, 100n * DEPOSIT]);
    const deposit = async (account: string): Promise<void> => {
      await treasury.submit('nodeRegistry', 'depositFor', [account, DEPOSIT]);
    };
    for (const account of addresses.slice(0, 3)) await deposit(account);
    await treasury.submit('feeToken', 'transfer', [accountAt(STRANGER).address, 10n * DEPOSIT]);
    ground = {
      ledgers: await Promise.all(founders.map((founder) => openLedger(network, keyOf(founder)))),
      stranger: await openLedger(network, keyOf(accountAt(STRANGER))),
      deposit,
      payer: treasury.account,
      drive: (work) => work,
    };
  });
  afterAll(() => stop());

  for (const { title, run } of suite(() => ground)) it(title, run);
});

describe('the layer-1 twin', () => {
  const kernel = new Kernel('layer 1');
  const treasury = `0x${'77'.repeat(20)}`;
  const chain = new Chain({
    network: networkOf(),
    genesis: addresses,
    governor: treasury,
    depositMin: DEPOSIT,
    balances: new Map([
      [treasury, 100n * DEPOSIT],
      [accountAt(STRANGER).address.toLowerCase(), 10n * DEPOSIT],
    ]),
    startS: 1_000,
    seed: 'layer 1',
  });
  const open = (account: HDAccount): Ledger =>
    openLedgerTwin({ kernel, chain, accountKey: keyOf(account), life: new Life(), rpc: () => 5 });
  const deposit = async (account: string): Promise<void> => {
    chain.send(treasury, { kind: 'deposit', account, amount: DEPOSIT });
    await kernel.sleep(2_000);
  };
  const ground: LedgerGround = {
    ledgers: founders.map(open),
    stranger: open(accountAt(STRANGER)),
    deposit,
    payer: treasury,
    drive: (work) => drive(kernel, work),
  };

  beforeAll(() => {
    for (const account of addresses.slice(0, 3))
      chain.send(treasury, { kind: 'deposit', account, amount: DEPOSIT });
    chain.mine(1_000);
    kernel.every(1_000, () => chain.mine(1_000 + Math.floor(kernel.nowMs / 1_000)));
  });

  for (const { title, run } of suite(() => ground)) it(title, run);
});

function networkOf(): Network {
  const contract = (digit: number): string => `0x${digit.toString(16).repeat(40)}`;
  return {
    name: 'twin',
    rpcUrl: 'http://127.0.0.1:1',
    chainId: 31_337,
    startBlock: 0,
    epochMs: EPOCH_MS,
    contracts: {
      feeToken: contract(1),
      nodeRegistry: contract(2),
      policyRegistry: contract(3),
      epochLog: contract(4),
      capsuleRegistry: contract(5),
      releasePolicy: contract(6),
      taskEscrow: contract(7),
      disputes: contract(8),
    },
  };
}
