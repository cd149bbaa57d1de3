import { generateKeyPairSync } from 'node:crypto';
import type { NodeRecord } from '@nemea/membership';
import { type Ledger, LedgerError, LedgerHistory, type Network, voteTypedData } from '@nemea/sdk';
import { pino } from 'pino';
import { privateKeyToAccount } from 'viem/accounts';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../adapters/clock/system-clock.ts';
import { systemRandom } from '../adapters/clock/system-random.ts';
import { peerIdOf } from '../peers/peer-id.ts';
import { admissionRequestCodec, admissionResponseCodec, applicationCodec } from '../protocol.ts';
import { ReceptionDesk } from './reception-desk.ts';

/** What a stranger can do at the door before any TPM is asked. */

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
const owner = privateKeyToAccount(`0x${'1'.repeat(64)}`);
const thief = privateKeyToAccount(`0x${'2'.repeat(64)}`);
const rawKey = () =>
  new Uint8Array(
    generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' }).subarray(-32),
  );
const peerKey = rawKey();
const PEER = peerIdOf(peerKey);
const STRANGER = peerIdOf(rawKey());

const key = new Uint8Array(32).fill(3);
const honest: NodeRecord = {
  account: owner.address.toLowerCase(),
  owner: owner.address.toLowerCase(),
  peerKey,
  ekId: key,
  akX: key,
  akY: key,
  vrfX: key,
  vrfY: key,
  level: 1,
  endpoint: '/ip4/127.0.0.1/tcp/1 /ip4/127.0.0.1/tcp/2',
};

async function applicationOf(record: NodeRecord, signer = owner): Promise<Uint8Array> {
  const consent = await signer.signTypedData(voteTypedData(network, { type: 'Admission', record, epoch: 0 }));
  const empty = new Uint8Array(0);
  return applicationCodec.encode({
    record,
    ekChain: [empty],
    ekPublic: empty,
    akPublic: empty,
    vrfPublic: empty,
    certify: { attest: empty, signature: empty },
    consent,
  });
}

/** A desk before layer 1, which registers everybody unless it says otherwise. */
function openDesk(requireAdmissible: () => void = () => undefined) {
  const history = new LedgerHistory({
    startBlock: 0,
    epochMs: 5000,
    networkId: key,
    genesisAccounts: [honest.account],
  });
  history.append({ number: 0, hash: key, timestampS: 0 }, []);
  const unused = () => Promise.reject(new Error('not part of this test'));
  const ledger: Ledger = {
    network,
    networkId: key,
    history,
    account: '',
    sync: unused,
    waitFor: unused,
    submit: unused,
    read: async <T>() => requireAdmissible() as T,
    readAt: unused,
    signVote: unused,
    submitVote: unused,
    signRequest: unused,
    receipt: unused,
    mined: unused,
    chainId: unused,
    balance: unused,
    transferNative: unused,
  };
  const desk = new ReceptionDesk({
    clock: systemClock,
    random: systemRandom,
    ledger,
    logger: pino({ level: 'silent' }),
    accounts: new Set([honest.account]),
  });
  return async (peer: string, request: Parameters<typeof admissionRequestCodec.encode>[0]) =>
    admissionResponseCodec.parse(await desk.handle(peer, admissionRequestCodec.encode(request)));
}

describe('the reception desk', () => {
  it('takes an application from the peer whose record it is [ATT-15]', async () => {
    const ask = openDesk();
    const answer = await ask(PEER, { kind: 'apply', application: await applicationOf(honest) });
    expect(answer.kind).toBe('accepted');
  });

  it.each([
    ['sent by another peer', STRANGER, honest, owner, 'peer key'],
    ['that stakes the deposit of an account that did not agree', PEER, honest, thief, 'consent'],
    ['whose endpoint is no address', PEER, { ...honest, endpoint: 'nowhere' }, owner, 'endpoint'],
    ['whose overlay is no multiaddr', PEER, { ...honest, endpoint: 'a b' }, owner, 'multiaddr'],
  ])('tells why it refuses an application %s', async (_what, peer, record, signer, reason) => {
    const ask = openDesk();
    const application = await applicationOf(record, signer);
    await expect(ask(peer, { kind: 'apply', application })).resolves.toMatchObject({
      kind: 'judged',
      verdict: 'contraindicated',
      reasons: [expect.stringContaining(reason)],
      vote: null,
    });
  });

  const revert = (error: string, ...args: string[]) => {
    const data = { error, args };
    return () => {
      throw new LedgerError('LEDGER_REVERTED', `contract refused: ${error}`, { data });
    };
  };

  it.each([
    ['Suspended', '2', '7'],
    // Exiting: no member any more for the others, but still one for layer 1.
    ['AlreadyAdmitted', honest.account, '3'],
  ])('refuses whom layer 1 would not register: %s [MEMB-15]', async (error, ...args) => {
    const ask = openDesk(revert(error, ...args));
    const application = await applicationOf(honest);
    await expect(ask(PEER, { kind: 'apply', application })).resolves.toMatchObject({
      verdict: 'contraindicated',
      reasons: [`APPLICATION_INVALID: layer 1 refuses: ${error}(${args.join(', ')})`],
    });
  });

  it('turns nobody away whom layer 1 has just admitted, and who does not know it yet', async () => {
    const ask = openDesk(revert('AlreadyAdmitted', honest.account, '1'));
    const application = await applicationOf(honest);
    await expect(ask(PEER, { kind: 'apply', application })).resolves.toMatchObject({ kind: 'accepted' });
  });

  it('judges founders alone before there is a network, and votes for none whose papers are bad [ATT-19]', async () => {
    const ask = openDesk();
    const challenge = async (record: NodeRecord, signer = owner) => {
      const accepted = await ask(PEER, { kind: 'apply', application: await applicationOf(record, signer) });
      if (accepted.kind !== 'accepted') throw new Error('not accepted');
      return await ask(PEER, { kind: 'challenge', candidate: accepted.candidate });
    };
    await expect(challenge(honest)).resolves.toMatchObject({
      kind: 'judged',
      verdict: 'contraindicated',
      reasons: [expect.stringMatching(/^[A-Z]+(?:_[A-Z]+)+: /)],
      vote: null,
    });
    const other = { ...honest, account: thief.address.toLowerCase() };
    await expect(challenge(other, thief)).resolves.toEqual({ kind: 'wait', code: 'NOT_A_JUDGE' });
  });

  it('lets nobody stand trial in the place of the one that applied', async () => {
    const ask = openDesk();
    const accepted = await ask(PEER, { kind: 'apply', application: await applicationOf(honest) });
    if (accepted.kind !== 'accepted') throw new Error('not accepted');
    const { candidate } = accepted;
    await expect(ask(STRANGER, { kind: 'challenge', candidate })).rejects.toThrow('did not apply');
    const answer = { kind: 'answer', candidate, secret: key, evidence: key } as const;
    await expect(ask(STRANGER, answer)).rejects.toThrow('did not apply');
    await expect(ask(PEER, { kind: 'challenge', candidate })).resolves.toMatchObject({ kind: 'judged' });
  });
});
