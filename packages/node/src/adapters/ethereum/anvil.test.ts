import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPublicClient, createWalletClient, http } from 'viem';
import { mnemonicToAccount } from 'viem/accounts';
import { foundry } from 'viem/chains';
import { expect, test } from 'vitest';
import { ANVIL_CHAIN_ID, ANVIL_MNEMONIC, startAnvil } from './anvil.ts';

const rich = mnemonicToAccount(ANVIL_MNEMONIC);

test('a chain listens on the loopback interface with the devnet chain id, and stops twice without complaint', async () => {
  const anvil = await startAnvil({ blockTimeS: 0 });
  expect(anvil.rpcUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  const client = createPublicClient({ chain: foundry, transport: http(anvil.rpcUrl) });
  expect(await client.getChainId()).toBe(ANVIL_CHAIN_ID);
  expect(await client.getBalance({ address: rich.address })).toBeGreaterThan(0n);
  await anvil.stop();
  await anvil.stop();
  await expect(fetch(anvil.rpcUrl)).rejects.toThrow();
});

test('a chain with a state file comes back with its history', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'nemea-anvil-'));
  const stateFile = join(dir, 'state.json');
  try {
    const first = await startAnvil({ stateFile, blockTimeS: 0 });
    const wallet = createWalletClient({ account: rich, chain: foundry, transport: http(first.rpcUrl) });
    const hash = await wallet.sendTransaction({ to: rich.address, value: 1n });
    await first.stop();

    const second = await startAnvil({ stateFile, blockTimeS: 0 });
    const client = createPublicClient({ chain: foundry, transport: http(second.rpcUrl) });
    const receipt = await client.getTransactionReceipt({ hash });
    expect(receipt.status).toBe('success');
    await second.stop();
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('an anvil that cannot start says why', async () => {
  const first = await startAnvil({ blockTimeS: 0 });
  const port = Number(new URL(first.rpcUrl).port);
  await expect(startAnvil({ port, blockTimeS: 0 })).rejects.toThrow(/anvil ended with exit code/);
  await first.stop();
});
