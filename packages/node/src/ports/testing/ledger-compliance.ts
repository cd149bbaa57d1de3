import { assert, bytesEqual, toHex } from '@nemea/core';
import type { NodeRecord, Vote } from '@nemea/membership';
import type { AttestationRequest, Ledger } from '@nemea/sdk';
import { keccak256 } from 'viem';
import type { ComplianceCase } from './journal-compliance.ts';
import { digest, type LedgerGround, storyOf, syncAll } from './ledger-story.ts';

type VoteOf<T extends Vote['type']> = Extract<Vote, { type: T }>;

/** The suite for layer 1 as nodes rely on it: one story, whose cases build on each other. */
export function ledgerCompliance(ground: () => LedgerGround): ComplianceCase[] {
  const { ledger, drive, certificate, recordOf, submit, outcomeOf, verdictOn, expectOutcome, events } =
    storyOf(ground);

  const admission = (index: number, epoch = 0): VoteOf<'Admission'> => ({
    type: 'Admission',
    record: recordOf(index),
    epoch,
  });

  const epochRecord = (epoch: number, boundaryBlock: number): Vote => ({
    type: 'EpochRecord',
    epoch,
    seed: digest('seed'),
    rosterRoot: digest('roster'),
    attestationRoot: digest('attestations'),
    creditRoot: digest('credit'),
    admissions: 0,
    evictions: 0,
    policyVersion: 1,
    boundaryBlock,
  });

  const depositMin = (): Promise<bigint> => drive(ledger(0).read<bigint>('nodeRegistry', 'depositMin'));

  const proof = digest('proof');
  const request = (): AttestationRequest => ({
    epoch: 1,
    attestor: ledger(2).account,
    target: ledger(1).account,
    command: 0,
    nonce: digest('nonce'),
    proofHash: keccak256(proof, 'bytes'),
  });
  const report = async (reporter: Ledger, signer: Ledger): Promise<string> => {
    const asked = request();
    const hex = (bytes: Uint8Array): string => `0x${toHex(bytes)}`;
    return outcomeOf(
      reporter.submit('disputes', 'report', [
        { ...asked, epoch: BigInt(asked.epoch), nonce: hex(asked.nonce), proofHash: hex(asked.proofHash) },
        hex(proof),
        await signer.signRequest(asked),
      ]),
    );
  };

  return [
    {
      title: 'names its genesis accounts, and the deposit that a member makes',
      async run() {
        const accounts = await drive(ledger(0).read<string[]>('nodeRegistry', 'genesisAccounts'));
        const want = ground().ledgers.map(({ account }) => account);
        assert(
          accounts.map((account) => account.toLowerCase()).join() === want.join(),
          `got ${accounts.join()}`,
        );
        const minimum = await depositMin();
        const node = await drive(ledger(0).read<{ deposit: bigint }>('nodeRegistry', 'node', [want[0]]));
        assert(minimum > 0n && node.deposit >= minimum, `deposit: got ${node.deposit}, want ${minimum}`);
        const isBacking = (owner: string) =>
          drive(ledger(0).read<boolean>('nodeRegistry', 'isBacking', [owner, want[0]]));
        assert(await isBacking(ground().payer), 'who paid the deposit backs the account');
        assert(!(await isBacking(ground().stranger.account)), 'nobody else does');
      },
    },
    {
      title: 'admits nobody whom two thirds or less have signed for',
      run: async () => expectOutcome(await submit(admission(0), [ledger(0), ledger(1)]), 'QuorumNotReached'),
    },
    {
      title: 'takes no certificate whose signers do not rise',
      async run() {
        const signatures = (await certificate(admission(0), ground().ledgers)).reverse();
        expectOutcome(await outcomeOf(ledger(0).submitVote(admission(0), signatures)), 'SignersNotRising');
      },
    },
    {
      title: 'takes no certificate with a stranger in it',
      run: async () =>
        expectOutcome(
          await submit(admission(0), [ledger(0), ledger(1), ledger(2), ground().stranger]),
          'SignerNotVoter',
        ),
    },
    {
      title: 'admits nobody without a deposit',
      async run() {
        expectOutcome(await submit(admission(3)), 'DepositTooLow');
        await drive(ground().deposit(ledger(3).account));
      },
    },
    {
      title: 'tells whom it would admit before anybody has signed, and by which error it would refuse',
      async run() {
        const stranger = ground().stranger.account;
        const refused: [Partial<NodeRecord>, string][] = [
          [{}, 'OK'],
          [{ endpoint: '' }, 'FieldInvalid(endpoint)'],
          [{ vrfY: new Uint8Array(32) }, 'FieldInvalid(vrf)'],
          [{ account: stranger, owner: stranger }, `AccountNotGenesis(${stranger})`],
          [{ owner: stranger }, `OwnerNotBacking(${ledger(0).account},${stranger})`],
        ];
        for (const [change, want] of refused) {
          const vote: Vote = { ...admission(0), record: { ...recordOf(0), ...change } };
          expectOutcome(await verdictOn(vote), want);
          if (want !== 'OK') expectOutcome(await submit(vote), want.slice(0, want.indexOf('(')));
        }
      },
    },
    {
      title: 'admits genesis members with the credit and the weight of genesis, each once',
      async run() {
        for (const index of [0, 1]) expectOutcome(await submit(admission(index)), 'OK');
        expectOutcome(await submit(admission(0)), 'AlreadyAdmitted');
        const admitted = await events('node-admitted');
        assert(
          admitted.length === 2 && !ledger(1).history.genesisComplete,
          `got ${admitted.length} admissions`,
        );
        const [first] = admitted;
        assert(first?.credit === 100 && first.weight === 10, `got ${first?.credit} and ${first?.weight}`);
        assert(
          bytesEqual(first.record.peerKey, recordOf(0).peerKey),
          'the record is the one that was voted on',
        );
      },
    },
    {
      title: 'admits nobody under an owner who has not paid',
      async run() {
        const owner = ground().stranger.account;
        const vote: Vote = { ...admission(2), record: { ...recordOf(2), owner } };
        expectOutcome(await submit(vote), 'OwnerNotBacking');
      },
    },
    {
      title: 'admits no TPM, no key and no account twice',
      async run() {
        const vote: Vote = { ...admission(2), record: { ...recordOf(2), ekId: recordOf(0).ekId } };
        expectOutcome(await submit(vote), 'EkTaken');
        const { account, ekId, peerKey, vrfX, vrfY } = recordOf(0);
        const hex = (bytes: Uint8Array): string => `0x${toHex(bytes)}`;
        const taken: [Partial<NodeRecord>, string][] = [
          [{ ekId }, `EkTaken(${hex(ekId)},${account})`],
          [{ peerKey }, `PeerKeyTaken(${hex(peerKey)},${account})`],
          [{ vrfX, vrfY }, `VrfKeyTaken(${hex(vrfX)},${hex(vrfY)},${hex(ekId)})`],
          [{ account, owner: account }, `AlreadyAdmitted(${account},1)`],
        ];
        for (const [change, want] of taken)
          expectOutcome(await verdictOn({ ...vote, record: { ...recordOf(2), ...change } }), want);
      },
    },
    {
      title: 'evicts nobody before genesis is complete',
      async run() {
        const vote: Vote = {
          type: 'Eviction',
          account: ledger(0).account,
          epoch: 1,
          evidenceDigest: proof,
          reason: 1,
        };
        expectOutcome(await submit(vote), 'GenesisIncomplete');
      },
    },
    {
      title: 'counts weights once genesis is complete',
      async run() {
        for (const index of [2, 3]) expectOutcome(await submit(admission(index)), 'OK');
        await drive(syncAll(ledger(1)));
        assert(ledger(1).history.genesisComplete, 'genesis is complete');
        const weights = [...ledger(1).history.weights().values()];
        assert(weights.length === 4 && weights.every((weight) => weight === 10), `got ${weights.join()}`);
      },
    },
    {
      title: 'records epochs that rise, as of blocks that are there',
      async run() {
        await drive(syncAll(ledger(0)));
        const { head } = ledger(0).history;
        expectOutcome(await submit(epochRecord(1, head + 1_000_000)), 'BoundaryBlockInvalid');
        expectOutcome(await submit(epochRecord(1, head)), 'OK');
        expectOutcome(await submit(epochRecord(1, head)), 'EpochNotRising');
        expectOutcome(await submit(epochRecord(2, head - 1)), 'BoundaryBlockInvalid');
        assert((await events('epoch')).map(({ epoch }) => epoch).join() === '1', 'epoch 1 is recorded');
      },
    },
    {
      title:
        'takes a report of the attested member only, of a request that its attestor has signed, and once',
      async run() {
        expectOutcome(await report(ledger(3), ledger(2)), 'ReporterNotTarget');
        expectOutcome(await report(ledger(1), ledger(3)), 'AttestorSignatureMismatch');
        expectOutcome(await report(ledger(1), ledger(2)), 'OK');
        expectOutcome(await report(ledger(1), ledger(2)), 'DisputeExists');
        const [dispute] = await events('dispute');
        assert(dispute?.dispute.accused === ledger(2).account, `got ${dispute?.dispute.accused}`);
        assert(bytesEqual(dispute.dispute.proof, proof), 'the proof is there to be judged');
      },
    },
    {
      title: 'takes credit and half of the deposit from whom a quorum finds guilty, once',
      async run() {
        const disputeId = (await events('dispute'))[0]?.dispute.disputeId as Uint8Array;
        const before = await drive(
          ledger(0).read<{ deposit: bigint }>('nodeRegistry', 'node', [ledger(2).account]),
        );
        const vote: Vote = { type: 'DisputeVerdict', disputeId, guilty: true };
        expectOutcome(await submit(vote), 'OK');
        expectOutcome(await submit(vote), 'DisputeNotOpen');
        const [resolved] = await events('dispute-resolved');
        assert(resolved?.guilty === true && resolved.disputeId === toHex(disputeId), 'the verdict is there');
        const weight = (await events('weight')).at(-1);
        assert(
          weight?.account === ledger(2).account && weight.credit === 0 && weight.weight === 1,
          'no credit is left',
        );
        const after = await drive(
          ledger(0).read<{ deposit: bigint }>('nodeRegistry', 'node', [ledger(2).account]),
        );
        assert(after.deposit === before.deposit / 2n, `deposit: got ${after.deposit} of ${before.deposit}`);
      },
    },
    {
      title: 'evicts by a quorum, takes the whole deposit, and admits nobody who is suspended',
      async run() {
        const { account } = ledger(3);
        const vote: Vote = { type: 'Eviction', account, epoch: 1, evidenceDigest: proof, reason: 1 };
        expectOutcome(await submit(vote), 'OK');
        expectOutcome(await submit(vote), 'NodeNotMember');
        assert((await events('node-evicted'))[0]?.account === account, 'the eviction is there');
        assert(!ledger(1).history.weights().has(account), 'it has no weight');
        const node = await drive(ledger(0).read<{ deposit: bigint }>('nodeRegistry', 'node', [account]));
        assert(node.deposit === 0n, `deposit: got ${node.deposit}`);
        await drive(ground().deposit(account));
        expectOutcome(await submit(admission(3, 2), [ledger(0), ledger(1), ledger(2)]), 'Suspended');
        const { ekId } = recordOf(3);
        const verdict = await verdictOn(admission(3, 2));
        assert(verdict.startsWith(`Suspended(${account},0x${toHex(ekId)},2,`), `got ${verdict}`);
      },
    },
    {
      title: 'takes the certificate of an admission for four epochs, and not later',
      async run() {
        const { account } = ground().stranger;
        const signers = [ledger(0), ledger(1), ledger(2)];
        const applying = (epoch: number): Vote => ({
          type: 'Admission',
          record: {
            ...recordOf(3),
            account,
            owner: account,
            peerKey: digest('peer 4'),
            ekId: digest('ek 4'),
            vrfX: digest('vrf x 4'),
          },
          epoch,
        });
        expectOutcome(await verdictOn(applying(1)), `DepositTooLow(${account},0,${await depositMin()})`);
        await drive(ground().deposit(account));
        await drive(syncAll(ledger(0)));
        expectOutcome(await submit(epochRecord(6, ledger(0).history.head), signers), 'OK');
        expectOutcome(await submit(applying(1), signers), 'AdmissionStale');
        expectOutcome(await verdictOn(applying(1)), `AdmissionStale(${account},1,6)`);
        expectOutcome(await verdictOn(applying(2)), 'OK');
      },
    },
    {
      title: 'shows everybody the same blocks, epochs and seeds',
      async run() {
        await drive(syncAll(ledger(0)));
        await drive(syncAll(ledger(1)));
        const [a, b] = [ledger(0).history, ledger(1).history];
        for (let block = a.startBlock; block <= Math.min(a.head, b.head); block++) {
          assert(
            bytesEqual(a.blockHash(block) as Uint8Array, b.blockHash(block) as Uint8Array),
            `block ${block}`,
          );
          assert(
            (a.blockTimestampS(block) ?? 0) >= (a.blockTimestampS(block - 1) ?? 0),
            'time does not go back',
          );
        }
        const seed = (history: typeof a) => history.epochSeed(history.epochOf(history.startBlock));
        assert(bytesEqual(seed(a) as Uint8Array, seed(b) as Uint8Array), 'the seed is the same');
      },
    },
  ];
}
