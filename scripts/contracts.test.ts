import { concatBytes, fromHex, merkleProof, merkleRoot, toHex } from '@nemea/core';
import {
  type Abi,
  type Address,
  createPublicClient,
  createWalletClient,
  encodeAbiParameters,
  type Hex,
  http,
  keccak256,
  numberToBytes,
  parseEventLogs,
  stringToHex,
  type TransactionReceipt,
} from 'viem';
import { type HDAccount, mnemonicToAccount } from 'viem/accounts';
import { foundry } from 'viem/chains';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  capsuleRegistryAbi,
  disputeStateNames,
  disputesAbi,
  epochLogAbi,
  errorsAbi,
  feeTokenAbi,
  nodeRegistryAbi,
  nodeStatusNames,
  policyRegistryAbi,
  releaseCodeNames,
  standardReleasePolicyAbi,
  taskEscrowAbi,
  taskStateNames,
} from '../contracts/abi.ts';
import { type Addresses, deployContracts } from '../contracts/deploy.ts';
import { ANVIL_MNEMONIC, type Anvil, startAnvil } from '../packages/node/src/adapters/ethereum/anvil.ts';
import { nemeaDomain, type VoteName, voteTypes } from '../packages/sdk/src/ledger/typed-data.ts';

const DEPOSIT = 1_000n;
const FEE = 400n;

const hash = (text: string) => keccak256(stringToHex(text));
const accountAt = (addressIndex: number) => mnemonicToAccount(ANVIL_MNEMONIC, { addressIndex });
const byAddress = (a: HDAccount, b: HDAccount) => (BigInt(a.address) < BigInt(b.address) ? -1 : 1);

const deployer = accountAt(0);
const founders = [1, 2, 3, 4, 5].map(accountAt);
const newcomer = accountAt(6);
const ownerB = accountAt(7);
const creator = accountAt(8);

// A chain is state: each test builds on the one before it, in the order of the demo.
describe('layer 1 on a real chain', () => {
  let anvil: Anvil;
  let at: Addresses;
  let client: ReturnType<typeof createPublicClient>;

  beforeAll(async () => {
    anvil = await startAnvil({ blockTimeS: 0 });
    client = createPublicClient({ chain: foundry, transport: http(anvil.rpcUrl), pollingInterval: 20 });
    at = await deployContracts({
      rpcUrl: anvil.rpcUrl,
      chainId: anvil.chainId,
      privateKey: accountKey(deployer),
      genesis: founders.map((founder) => founder.address),
      minDeposit: DEPOSIT,
      epochMs: 5_000,
    });
  });
  afterAll(() => anvil.stop());

  async function send(
    from: HDAccount,
    address: Address,
    abi: Abi,
    functionName: string,
    args: readonly unknown[],
  ): Promise<TransactionReceipt> {
    const wallet = createWalletClient({ account: from, chain: foundry, transport: http(anvil.rpcUrl) });
    const hash = await wallet.writeContract({ address, abi: [...abi, ...errorsAbi], functionName, args });
    const receipt = await client.waitForTransactionReceipt({ hash });
    expect(receipt.status).toBe('success');
    return receipt;
  }

  async function certificate(primaryType: VoteName, message: object, signers = founders): Promise<Hex[]> {
    const domain = nemeaDomain(anvil.chainId, at.nodeRegistry);
    const typedData = { domain, types: voteTypes, primaryType, message } as Parameters<
      HDAccount['signTypedData']
    >[0];
    return Promise.all([...signers].sort(byAddress).map((signer) => signer.signTypedData(typedData)));
  }

  async function admit(candidate: HDAccount, epoch: bigint): Promise<TransactionReceipt> {
    await send(deployer, at.feeToken, feeTokenAbi, 'approve', [at.nodeRegistry, 10n * DEPOSIT]);
    await send(deployer, at.nodeRegistry, nodeRegistryAbi, 'depositFor', [candidate.address, DEPOSIT]);
    const admission = {
      account: candidate.address,
      owner: candidate.address,
      peerKey: hash(`peer ${candidate.address}`),
      ekId: hash(`ek ${candidate.address}`),
      akX: hash(`ak x ${candidate.address}`),
      akY: hash(`ak y ${candidate.address}`),
      vrfX: hash(`vrf x ${candidate.address}`),
      vrfY: hash(`vrf y ${candidate.address}`),
      level: 1,
      epoch,
      endpoint: '/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWGzBfSV1bbyq5JpzTvS4Nd7C6w1tQKb1Yv5sFCs2DVvQz',
    };
    const signatures = await certificate('Admission', admission);
    return send(deployer, at.nodeRegistry, nodeRegistryAbi, 'admit', [admission, signatures]);
  }

  const node = (account: Address) =>
    client.readContract({
      address: at.nodeRegistry,
      abi: nodeRegistryAbi,
      functionName: 'node',
      args: [account],
    });
  const balance = (account: Address) =>
    client.readContract({
      address: at.feeToken,
      abi: feeTokenAbi,
      functionName: 'balanceOf',
      args: [account],
    });
  const weightTotal = () =>
    client.readContract({ address: at.nodeRegistry, abi: nodeRegistryAbi, functionName: 'weightTotal' });

  test('founders admit each other, and genesis completes with their full weight', async () => {
    expect(await weightTotal()).toBe(5n);
    for (const founder of founders) await admit(founder, 0n);
    expect(await weightTotal()).toBe(50n);
    const record = await node(founders[0]?.address ?? '0x');
    expect(record).toMatchObject({ credit: 100, weight: 10, level: 1, deposit: DEPOSIT });
    expect(nodeStatusNames[record.status]).toBe('Active');
  });

  test('a newcomer is admitted with weight 1, and its record and endpoint are in the event', async () => {
    const receipt = await admit(newcomer, 1n);
    const [event] = parseEventLogs({ abi: nodeRegistryAbi, logs: receipt.logs, eventName: 'NodeAdmitted' });
    expect(event?.args.record.account).toBe(newcomer.address);
    expect(event?.args.record.weight).toBe(1);
    expect(event?.args.endpoint).toMatch(/^\/ip4/);
    expect(await weightTotal()).toBe(51n);
  });

  test('a certificate without two thirds of the weight is refused by name', async () => {
    const eviction = { account: newcomer.address, epoch: 1n, evidenceDigest: hash('evidence'), reason: 1 };
    const signatures = await certificate('Eviction', eviction, founders.slice(0, 3));
    await expect(
      send(deployer, at.nodeRegistry, nodeRegistryAbi, 'evict', [eviction, signatures]),
    ).rejects.toThrow(/QuorumNotReached/);
  });

  test('an epoch record with five signers costs at most 180k gas, and its credit root moves credit', async () => {
    const accounts = [...founders, newcomer];
    const leaves = accounts.map(({ address }, index) => creditLeaf(address, 1n, 101 + index));
    const record = {
      epoch: 1n,
      seed: hash('seed'),
      rosterRoot: hash('roster'),
      attestationRoot: hash('attestation'),
      creditRoot: `0x${toHex(merkleRoot(leaves))}` as const,
      admissions: 6,
      evictions: 0,
      policyVersion: 0n,
      // A cached number may be older than the admission of the newcomer.
      boundaryBlock: await client.getBlockNumber({ cacheTime: 0 }),
    };
    const signatures = await certificate('EpochRecord', record);
    const receipt = await send(deployer, at.epochLog, epochLogAbi, 'record', [record, signatures]);
    expect(receipt.gasUsed).toBeLessThanOrEqual(180_000n);

    // The newcomer was admitted before the boundary; its leaf is the last.
    const proof = merkleProof(leaves, 5).map((sibling) => `0x${toHex(sibling)}` as const);
    const args = [newcomer.address, 1n, 106, proof];
    await send(deployer, at.nodeRegistry, nodeRegistryAbi, 'syncCredit', args);
    expect(await node(newcomer.address)).toMatchObject({ credit: 106, weight: 10 });
    await expect(
      send(deployer, at.nodeRegistry, nodeRegistryAbi, 'syncCredit', [newcomer.address, 1n, 107, proof]),
    ).rejects.toThrow(/CreditProofInvalid/);
  });

  test('a task runs from escrow to settlement, and every unit of its fee is paid out', async () => {
    const executor = founders[0] as HDAccount;
    const verifiers = founders
      .slice(1, 4)
      .sort(byAddress)
      .map((verifier) => verifier.address);
    const [capsuleId, codeDigest, imageDigest] = [hash('capsule'), hash('code'), hash('image')];
    await send(ownerB, at.capsuleRegistry, capsuleRegistryAbi, 'register', [
      capsuleId,
      `0x01551220${hash('cid').slice(2)}`,
      hash('payload'),
      at.releasePolicy,
      hash('receiver key'),
      '/ip4/127.0.0.1/tcp/4101/p2p/12D3KooWGzBfSV1bbyq5JpzTvS4Nd7C6w1tQKb1Yv5sFCs2DVvQz',
    ]);
    const rule = { codeDigest, imageDigest, minCredit: 10, minLevel: 1, expiry: 2n ** 40n };
    await send(ownerB, at.releasePolicy, standardReleasePolicyAbi, 'setRule', [capsuleId, rule]);

    await send(deployer, at.feeToken, feeTokenAbi, 'transfer', [creator.address, FEE]);
    await send(creator, at.feeToken, feeTokenAbi, 'approve', [at.taskEscrow, FEE]);
    const spec = {
      codeDigest,
      imageDigest,
      capsuleIds: [capsuleId],
      timeoutS: 60,
      minLevel: 1,
      minCredit: 10,
      fee: FEE,
    };
    const created = await send(creator, at.taskEscrow, taskEscrowAbi, 'create', [spec, '0xa0']);
    const [event] = parseEventLogs({ abi: taskEscrowAbi, logs: created.logs, eventName: 'TaskCreated' });
    const taskId = event?.args.taskId ?? '0x';

    const check = async (code: Hex) => {
      const answer = await client.readContract({
        address: at.releasePolicy,
        abi: standardReleasePolicyAbi,
        functionName: 'check',
        args: [capsuleId, taskId, code, imageDigest, executor.address],
      });
      return releaseCodeNames[answer];
    };
    expect(await check(codeDigest)).toBe('Permitted');
    expect(await check(hash('other code'))).toBe('CodeNotPermitted');

    const salt = hash('salt');
    const commitment = keccak256(
      encodeAbiParameters(
        [{ type: 'bytes32' }, { type: 'address' }, { type: 'bytes32' }],
        [taskId, executor.address, salt],
      ),
    );
    const election = { taskId, attempt: 1, commitment };
    const elected = await certificate('Election', election);
    await send(deployer, at.taskEscrow, taskEscrowAbi, 'commitExecutor', [election, elected]);

    const settlement = {
      taskId,
      attempt: 1,
      executor: executor.address,
      salt,
      verifiers,
      certificateDigest: hash('certificate'),
    };
    const settled = await certificate('Settlement', settlement);
    await send(deployer, at.taskEscrow, taskEscrowAbi, 'settle', [settlement, settled]);

    expect(await balance(executor.address)).toBe(200n);
    for (const verifier of verifiers) expect(await balance(verifier)).toBe(26n);
    expect(await balance(ownerB.address)).toBe(100n);
    expect(await balance(at.taskEscrow)).toBe(0n);
    expect((await node(executor.address)).credit).toBe(120);
    const task = await client.readContract({
      address: at.taskEscrow,
      abi: taskEscrowAbi,
      functionName: 'task',
      args: [taskId],
    });
    expect(taskStateNames[task.state]).toBe('Settled');
    expect(task.executor).toBe(executor.address);
    await expect(
      send(deployer, at.taskEscrow, taskEscrowAbi, 'settle', [settlement, settled]),
    ).rejects.toThrow(/TaskStateWrong/);
  });

  test('a signed request with a false proof costs its attestor credit and deposit', async () => {
    const [attestor, target] = [founders[4] as HDAccount, founders[3] as HDAccount];
    const proof = '0x0badc0de';
    const request = {
      epoch: 2n,
      attestor: attestor.address,
      target: target.address,
      command: 1,
      nonce: hash('nonce'),
      proofHash: keccak256(proof),
    };
    const [signature] = await certificate('AttestationRequest', request, [attestor]);
    const reported = await send(target, at.disputes, disputesAbi, 'report', [request, proof, signature]);
    const [event] = parseEventLogs({ abi: disputesAbi, logs: reported.logs, eventName: 'DisputeReported' });
    const verdict = { disputeId: event?.args.disputeId ?? '0x', guilty: true };
    const before = await balance(target.address);
    const signatures = await certificate('DisputeVerdict', verdict, founders.slice(0, 4).concat(newcomer));
    await send(deployer, at.disputes, disputesAbi, 'resolve', [verdict, signatures]);
    expect(await node(attestor.address)).toMatchObject({ credit: 0, weight: 1, deposit: DEPOSIT / 2n });
    expect((await balance(target.address)) - before).toBe(DEPOSIT / 4n);
    const dispute = await client.readContract({
      address: at.disputes,
      abi: disputesAbi,
      functionName: 'dispute',
      args: [verdict.disputeId],
    });
    expect(disputeStateNames[dispute.state]).toBe('Guilty');
  });

  test('an evicted node loses vote and deposit', async () => {
    const eviction = { account: newcomer.address, epoch: 2n, evidenceDigest: hash('quote'), reason: 3 };
    const signatures = await certificate('Eviction', eviction, founders.slice(0, 4));
    await send(deployer, at.nodeRegistry, nodeRegistryAbi, 'evict', [eviction, signatures]);
    const record = await node(newcomer.address);
    expect(record).toMatchObject({ credit: 0, weight: 0, deposit: 0n, suspendedUntil: 102n });
    expect(nodeStatusNames[record.status]).toBe('Evicted');
  });

  test('after hand-over the policy moves by quorum only', async () => {
    await send(deployer, at.policyRegistry, policyRegistryAbi, 'change', [1, hash('release'), true]);
    await send(deployer, at.policyRegistry, policyRegistryAbi, 'handOver', []);
    await expect(
      send(deployer, at.policyRegistry, policyRegistryAbi, 'change', [1, hash('other'), true]),
    ).rejects.toThrow(/NotGovernor/);
    const change = { version: 2n, kind: 2, digest: hash('image'), approved: true };
    const signatures = await certificate('PolicyChange', change, founders.slice(0, 4));
    await send(deployer, at.policyRegistry, policyRegistryAbi, 'changeByQuorum', [change, signatures]);
    const list = await client.readContract({
      address: at.policyRegistry,
      abi: policyRegistryAbi,
      functionName: 'list',
      args: [2],
    });
    expect(list).toEqual([hash('image')]);
  });
});

/** abi.encodePacked(account, epoch, credit), as CreditTree.sol hashes it. */
function creditLeaf(account: Address, epoch: bigint, credit: number): Uint8Array {
  return concatBytes(fromHex(account), numberToBytes(epoch, { size: 8 }), numberToBytes(credit, { size: 4 }));
}

function accountKey(account: HDAccount): Hex {
  return `0x${toHex(account.getHdKey().privateKey ?? new Uint8Array())}`;
}
