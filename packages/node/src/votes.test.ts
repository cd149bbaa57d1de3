import { fromHex, toHex } from '@nemea/core';
import { initialState, type NodeRecord, type Vote } from '@nemea/membership';
import { type Ledger, LedgerHistory, type Network, voteDigest, voteTypedData } from '@nemea/sdk';
import { pino } from 'pino';
import { privateKeyToAccount } from 'viem/accounts';
import { describe, expect, it } from 'vitest';
import { systemClock } from './adapters/clock/system-clock.ts';
import { systemRandom } from './adapters/clock/system-random.ts';
import type { NodeContext } from './context.ts';
import { voteMessageCodec } from './protocol.ts';
import { isCanonicalSignature, Votes } from './votes.ts';

const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const signers = [1, 2, 3, 4].map((n) => privateKeyToAccount(`0x${String(n).repeat(64)}`));
const accounts = signers.map(({ address }) => address.toLowerCase());
const contract = `0x${'ab'.repeat(20)}`;
const network: Network = {
  name: 'test',
  rpcUrl: 'http://127.0.0.1:1',
  chainId: 31_337,
  startBlock: 0,
  epochMs: 5000,
  contracts: {
    feeToken: contract,
    nodeRegistry: contract,
    policyRegistry: contract,
    epochLog: contract,
    capsuleRegistry: contract,
    releasePolicy: contract,
    taskEscrow: contract,
    disputes: contract,
  },
};
const vote: Vote = { type: 'DisputeVerdict', disputeId: new Uint8Array(32).fill(5), guilty: false };
const signatureOf = (n: number) =>
  (signers[n] as (typeof signers)[number]).signTypedData(voteTypedData(network, vote));
const messageOf = (signature: string) =>
  voteMessageCodec.encode({ digest: fromHex(voteDigest(network, vote)), signature });

/** The same signature as anybody can rewrite it: it recovers to the same signer, and the contract refuses it. */
function flipped(signature: string): string {
  const s = CURVE_ORDER - BigInt(`0x${signature.slice(66, 130)}`);
  const v = signature.endsWith('1b') ? '1c' : '1b';
  return `${signature.slice(0, 66)}${s.toString(16).padStart(64, '0')}${v}`;
}

function recordOf(account: string, n: number): NodeRecord {
  const key = new Uint8Array(32).fill(n + 1);
  const endpoint = '/ip4/127.0.0.1/tcp/1 /ip4/127.0.0.1/tcp/2';
  return {
    account,
    owner: account,
    peerKey: key,
    ekId: key,
    akX: key,
    akY: key,
    vrfX: key,
    vrfY: key,
    level: 1,
    endpoint,
  };
}

function ballotBox() {
  const history = new LedgerHistory({
    startBlock: 0,
    epochMs: network.epochMs,
    networkId: new Uint8Array(32),
    genesisAccounts: accounts,
  });
  history.append(
    { number: 0, hash: new Uint8Array(32), timestampS: 0 },
    accounts.map((account, n) => ({
      type: 'node-admitted',
      block: 0,
      txHash: '0x',
      record: recordOf(account, n),
      credit: 100,
      weight: 10,
    })),
  );
  const unused = () => Promise.reject(new Error('not part of this test'));
  const ledger: Ledger = {
    network,
    networkId: new Uint8Array(32),
    history,
    account: accounts[0] as string,
    sync: unused,
    waitFor: unused,
    submit: unused,
    read: unused,
    readAt: unused,
    signVote: () => signatureOf(0),
    submitVote: async () => ({ txHash: '0x', block: 1, gasUsed: 1 }),
    signRequest: unused,
    receipt: unused,
    mined: unused,
    chainId: unused,
    balance: unused,
    transferNative: unused,
  };
  const state = initialState(ledger.networkId, history);
  const context: NodeContext = {
    clock: systemClock,
    random: systemRandom,
    ledger,
    logger: pino({ level: 'silent' }),
    state: () => state,
    self: () => state.roster.get(ledger.account),
    overlay: () => ({
      peerId: '',
      addresses: [],
      counters: { sendsDropped: 0, streamsAborted: 0 },
      peers: () => [],
      connect: unused,
      send: () => undefined,
      request: unused,
      setMembers: () => undefined,
      evict: unused,
      readmit: () => undefined,
      close: async () => undefined,
    }),
    get measured(): never {
      throw new Error('not part of this test');
    },
    get tpm(): never {
      throw new Error('not part of this test');
    },
    sign: () => new Uint8Array(64),
    verifySignature: () => true,
    propose: () => undefined,
    collectEvidence: unused,
    quote: unused,
    appraiseMember: () => {
      throw new Error('not part of this test');
    },
  };
  return new Votes(context, () => undefined);
}

describe('votes', () => {
  it('take only the one form of a signature that the contract takes', async () => {
    const signature = await signatureOf(1);
    expect(isCanonicalSignature(signature)).toBe(true);
    expect(isCanonicalSignature(flipped(signature))).toBe(false);
    const recoveryBit = signature.endsWith('1b') ? '00' : '01';
    expect(isCanonicalSignature(`${signature.slice(0, 130)}${recoveryBit}`)).toBe(false);
  });

  it('keep the signature of a member when another rewrites it', async () => {
    const votes = ballotBox();
    await votes.cast(vote);
    for (const n of [1, 2]) {
      votes.receive(`mallory-${n}`, messageOf(flipped(await signatureOf(n))));
      votes.receive(`peer-${n}`, messageOf(await signatureOf(n)));
    }
    const wanted = await Promise.all([0, 1, 2].map(signatureOf));
    expect([...((await votes.certificate(vote)) ?? [])].sort()).toEqual(wanted.sort());
    votes.close();
  });

  it('count every early signature, though strangers sent theirs first', async () => {
    const votes = ballotBox();
    const stranger = privateKeyToAccount(`0x${'9'.repeat(64)}`);
    votes.receive('stranger', messageOf(await stranger.signTypedData(voteTypedData(network, vote))));
    votes.receive('garbage', messageOf(`0x${toHex(new Uint8Array(65).fill(0xff))}`));
    votes.receive('peer-1', messageOf(await signatureOf(1)));
    votes.receive('peer-2', messageOf(await signatureOf(2)));
    await votes.cast(vote);
    expect(await votes.certificate(vote)).toHaveLength(3);
    votes.close();
  });
});
