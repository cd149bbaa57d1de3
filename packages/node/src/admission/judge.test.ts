import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collectEvidence, encodeEvidence } from '@nemea/attestation';
import { fromUtf8, sha256, toHex } from '@nemea/core';
import type { NodeRecord } from '@nemea/membership';
import { NETWORK_ID } from '@nemea/membership/testing';
import { type Ledger, LedgerError, LedgerHistory, voteMessage, voteTypedData } from '@nemea/sdk';
import { eccPoint, parsePublicArea, toSpki } from '@nemea/tpm/structures';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../adapters/clock/system-clock.ts';
import { systemRandom } from '../adapters/clock/system-random.ts';
import { initDevice, openDevice, type TpmDevice } from '../adapters/device/device.ts';
import { peerIdOf } from '../peers/peer-id.ts';
import {
  type AdmissionRequest,
  type Application,
  admissionRequestCodec,
  admissionResponseCodec,
  applicationCodec,
} from '../protocol.ts';
import { network, silent, TestChain, testNode } from '../testing.ts';
import { beginTrial, concludeTrial, recordBinding, type Trial, vrfCertificationData } from './judge.ts';
import { ReceptionDesk } from './reception-desk.ts';

/** Two candidates with real software TPMs, before one judge. */

let nowMs: number;
let root: string;
let candidate: TpmDevice;
let other: TpmDevice;
let honest: Application;
let ledger: Ledger;
let chain: TestChain;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'judge-'));
  const open = async (name: string) => {
    const dir = join(root, name);
    await initDevice({ dir, name, tpm: { kind: 'swtpm' }, caDir: join(root, 'ca'), ports: {} });
    return openDevice(dir);
  };
  candidate = await open('one');
  other = await open('two');
  honest = await applicationOf(candidate);
  // After the certificates were made: they hold from then on.
  nowMs = Date.now();
});

afterAll(async () => {
  await candidate.close();
  await other.close();
  rmSync(root, { recursive: true });
});

beforeEach(() => {
  chain = new TestChain([testNode('judge')]);
  const rootDigest = sha256(candidate.ekChain.at(-1) as Uint8Array);
  const policy = { type: 'policy', approved: true } as const;
  chain.mine(
    { ...chain.at, ...policy, kind: 'ek-root', digest: toHex(rootDigest) },
    { ...chain.at, ...policy, kind: 'release', digest: toHex(candidate.release.digest) },
  );
  chain.answers.set('requireAdmissible', undefined);
  ledger = chain.ledgerOf(testNode('judge'));
});

function pointOf(publicArea: Uint8Array): { x: Uint8Array; y: Uint8Array } {
  const area = parsePublicArea(publicArea);
  if (area.type !== 'ecc') throw new Error('not an ECC key');
  const point = eccPoint(area);
  return { x: point.slice(1, 33), y: point.slice(33) };
}

async function applicationOf(device: TpmDevice): Promise<Application> {
  const { identity } = device;
  const [ak, vrf] = [pointOf(identity.akPublic), pointOf(identity.vrfPublic)];
  const record: NodeRecord = {
    account: device.account,
    owner: device.account,
    peerKey: device.peerKey,
    ekId: sha256(toSpki(parsePublicArea(identity.ekPublic))),
    akX: ak.x,
    akY: ak.y,
    vrfX: vrf.x,
    vrfY: vrf.y,
    level: 1,
    endpoint: '/ip4/127.0.0.1/tcp/1 /ip4/127.0.0.1/tcp/2',
  };
  const signer = privateKeyToAccount(`0x${toHex(device.keys.accountKey)}`);
  return {
    record,
    ekChain: [...device.ekChain],
    ekPublic: identity.ekPublic,
    akPublic: identity.akPublic,
    vrfPublic: identity.vrfPublic,
    certify: await identity.certifyVrf(vrfCertificationData(NETWORK_ID, record.account)),
    consent: await signer.signTypedData(voteTypedData(network, { type: 'Admission', record, epoch: 0 })),
  };
}

const begin = (change: Partial<Application> = {}, record: Partial<NodeRecord> = {}) =>
  beginTrial(
    ledger,
    applicationCodec.encode({ ...honest, ...change, record: { ...honest.record, ...record } }),
    { nowMs, random: systemRandom },
  );

async function answerOf(device: TpmDevice, trial: Trial, challenge = trial.nonce) {
  const { credential } = trial.enrolment;
  return {
    secret: await device.identity.activateCredential(credential),
    evidence: encodeEvidence(
      await collectEvidence({
        tpm: device.tpm,
        identity: device.identity,
        log: device.measured,
        networkId: NETWORK_ID,
        challenge,
        binding: recordBinding(trial.application.record),
      }),
    ),
  };
}

test('a candidate whose papers are in order, and whose TPM is there, is affirmed', async () => {
  const trial = await begin();
  const judged = concludeTrial(ledger, trial, await answerOf(candidate, trial), nowMs);
  expect(judged).toMatchObject({ verdict: 'affirming', reasons: [] });
});

describe('papers are refused [ATT-16]', () => {
  const refused = async (trial: Promise<Trial>, message: string | RegExp) => {
    await expect(trial).rejects.toThrow(message);
  };

  test('under a root that layer 1 does not approve', async () => {
    chain = new TestChain([testNode('judge')]);
    ledger = chain.ledgerOf(testNode('judge'));
    await expect(begin()).rejects.toMatchObject({ code: expect.stringMatching(/^EK_/) });
  });

  test('with the endorsement certificate of another TPM', async () => {
    await refused(begin({ ekChain: [...other.ekChain] }), 'ekId');
  });

  test('that claim a level which their maker cannot give', async () => {
    await refused(begin({}, { level: 3 }), 'level: got 3, want 1');
  });

  test.each(['akX', 'akY', 'vrfX', 'vrfY', 'ekId'] as const)('whose record has another %s', async (field) => {
    await refused(begin({}, { [field]: sha256(fromUtf8('other')) }), field);
  });

  test('that layer 1 would not register, with what it says of them [MEMB-15]', async () => {
    const owner = other.account;
    const data = { error: 'OwnerNotBacking', args: [candidate.account, owner] };
    chain.answers.set('requireAdmissible', new LedgerError('LEDGER_REVERTED', 'refused', { data }));
    const refusal = `layer 1 refuses: OwnerNotBacking(${candidate.account}, ${owner})`;
    await refused(begin({}, { owner }), refusal);
    await expect(begin({}, { owner })).rejects.toMatchObject({ code: 'APPLICATION_INVALID', data });
    chain.answers.set('requireAdmissible', undefined);
    expect((await begin({}, { owner })).application.record.owner).toBe(owner);
  });

  test('by layer 1 as of the epoch in which they are shown, and not when it does not answer', async () => {
    chain.mineTo(25);
    const asked: unknown[] = [];
    const { read } = ledger;
    ledger = {
      ...ledger,
      read: (contract, functionName, args = []) => {
        asked.push([contract, functionName, args]);
        return read(contract, functionName, args);
      },
    };
    await begin();
    const admission = voteMessage({ type: 'Admission', record: honest.record, epoch: 2 });
    expect(asked).toEqual([['nodeRegistry', 'requireAdmissible', [admission]]]);
    chain.answers.set('requireAdmissible', new LedgerError('LEDGER_UNREACHABLE', 'no answer'));
    await expect(begin()).rejects.toMatchObject({ code: 'LEDGER_UNREACHABLE' });
  });

  test('whose VRF key was certified for another account, or by another attestation key', async () => {
    const certify = await candidate.identity.certifyVrf(vrfCertificationData(NETWORK_ID, other.account));
    await expect(begin({ certify })).rejects.toMatchObject({ code: expect.stringMatching(/VRF|CERTIF/) });
    const { certify: foreign } = await applicationOf(other);
    await expect(begin({ certify: foreign })).rejects.toMatchObject({
      code: expect.stringMatching(/VRF|CERTIF|SIGNATURE/),
    });
  });

  test('when they cannot be read', async () => {
    await refused(beginTrial(ledger, fromUtf8('papers'), { nowMs, random: systemRandom }), 'application');
  });
});

describe('a candidate is refused, with every reason [ATT-17] [ATT-18],', () => {
  test('when its attestation key is not in the TPM of its endorsement key', async () => {
    const trial = await begin();
    const { evidence } = await answerOf(candidate, trial);
    const judged = concludeTrial(ledger, trial, { secret: new Uint8Array(32), evidence }, nowMs);
    expect(judged.verdict).toBe('contraindicated');
    expect(judged.reasons.join()).toContain('CREDENTIAL_WRONG');
  });

  test('when its quote is of another machine, or under another challenge', async () => {
    const trial = await begin();
    const { secret } = await answerOf(candidate, trial);
    const foreign = encodeEvidence(
      await collectEvidence({
        tpm: other.tpm,
        identity: other.identity,
        log: other.measured,
        networkId: NETWORK_ID,
        challenge: trial.nonce,
        binding: recordBinding(trial.application.record),
      }),
    );
    const stale = await answerOf(candidate, trial, sha256());
    for (const evidence of [foreign, stale.evidence, fromUtf8('garbage')]) {
      const judged = concludeTrial(ledger, trial, { secret, evidence }, nowMs);
      expect(judged.verdict).toBe('contraindicated');
      expect(judged.reasons.length).toBeGreaterThan(0);
    }
  });

  test('when it runs a release that layer 1 does not approve', async () => {
    const trial = await begin();
    const digest = toHex(candidate.release.digest);
    chain.mine({ ...chain.at, type: 'policy', kind: 'release', digest, approved: false });
    const judged = concludeTrial(ledger, trial, await answerOf(candidate, trial), nowMs);
    expect(judged.verdict).toBe('contraindicated');
    expect(judged.reasons.join()).toContain('RELEASE_NOT_APPROVED');
  });
});

test('that layer 1 does not answer is held against nobody: the door judges again once it does', async () => {
  const { startBlock } = network;
  const genesisAccounts = [candidate.account];
  const history = new LedgerHistory({ startBlock, epochMs: 10_000, networkId: NETWORK_ID, genesisAccounts });
  history.append({ number: 0, hash: sha256(), timestampS: 1_000 }, [
    ...chain.history.events.filter(({ type }) => type === 'policy').map((event) => ({ ...event, block: 0 })),
  ]);
  ledger = { ...ledger, history };
  const accounts = new Set(genesisAccounts);
  const desk = new ReceptionDesk({
    clock: systemClock,
    random: systemRandom,
    ledger,
    logger: silent,
    accounts,
  });
  const ask = async (request: AdmissionRequest) => {
    const answer = await desk.handle(peerIdOf(honest.record.peerKey), admissionRequestCodec.encode(request));
    return admissionResponseCodec.parse(answer);
  };
  const apply = { kind: 'apply', application: applicationCodec.encode(honest) } as const;
  const silence = new LedgerError('LEDGER_UNREACHABLE', 'no answer');
  chain.answers.set('requireAdmissible', silence);
  await expect(ask(apply)).rejects.toBe(silence);
  chain.answers.set('requireAdmissible', undefined);
  const accepted = await ask(apply);
  if (accepted.kind !== 'accepted') throw new Error(`got ${accepted.kind}`);
  const challenge = { kind: 'challenge', candidate: accepted.candidate } as const;
  chain.answers.set('requireAdmissible', silence);
  await expect(ask(challenge)).rejects.toBe(silence);
  chain.answers.set('requireAdmissible', undefined);
  expect((await ask(challenge)).kind).toBe('challenge');
});

test('what a quote is bound to changes with every field of the record', () => {
  const { record } = honest;
  const changed = [
    record,
    { ...record, account: other.account },
    ...(['peerKey', 'ekId', 'akX', 'akY', 'vrfX', 'vrfY'] as const).map((field) => ({
      ...record,
      [field]: sha256(fromUtf8('other')),
    })),
    { ...record, owner: other.account },
    { ...record, level: 2 },
    { ...record, endpoint: 'elsewhere' },
  ];
  expect(new Set(changed.map((it) => toHex(recordBinding(it)))).size).toBe(changed.length);
});
