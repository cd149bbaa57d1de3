import { IMAGE, RELEASE } from '@nemea/attestation/testing';
import { fromUtf8, sha256, toHex } from '@nemea/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { answerDigest, CHALLENGE_COMMANDS, challengeBinding } from './challenge.ts';
import type { DisputeOnLedger } from './ledger-view.ts';
import { UPDATE_EPOCHS } from './offence.ts';
import { candidateId } from './roster.ts';
import {
  accusationOf,
  answerOf,
  attestationOf,
  BLOCKS_PER_EPOCH,
  epochReportOf,
  foundNetwork,
  isSeated,
  seatOfAttestor,
  TestMachine,
  type TestMember,
  testMember,
  testMembers,
} from './testing.ts';

/** What one dishonest member or stranger tries so that others look guilty, or look like somebody else. */

const EPOCH = 2;
const members = testMembers(12);
const [target] = members as [TestMember];
const others = members.slice(1);
let { ledger, machine } = foundNetwork(members);

beforeEach(() => {
  ({ ledger, machine } = foundNetwork(members));
});

function isDrawn(attestor: TestMember, epoch = EPOCH): boolean {
  return isSeated(machine, attestor, target, epoch);
}

const drawn = () => others.find((member) => isDrawn(member)) as TestMember;
const undrawn = () => others.find((member) => !isDrawn(member)) as TestMember;

describe('a candidacy [MEMB-11]', () => {
  const { record } = testMember('candidate');

  it.each(['owner', 'akX', 'akY', 'vrfX', 'vrfY', 'level', 'endpoint'] as const)(
    'is another one when its %s is exchanged, so judges never vouch for a forged record',
    (field) => {
      const forged = { ...record, [field]: { ...target.record, level: 3, endpoint: 'elsewhere' }[field] };
      expect(toHex(candidateId(forged, sha256()))).not.toBe(toHex(candidateId(record, sha256())));
    },
  );
});

describe('a dispute [MEMB-26] [MEMB-27]', () => {
  const [, accused] = members as [TestMember, TestMember];
  const disputeId = sha256(fromUtf8('dispute'));
  const judge = () => machine.order(target, { kind: 'judge-dispute', disputeId });

  function dispute(change: Partial<DisputeOnLedger> = {}): void {
    ledger.disputes.set(toHex(disputeId), {
      disputeId,
      reporter: target.account,
      accused: accused.account,
      epoch: EPOCH,
      command: CHALLENGE_COMMANDS.epoch,
      proof: new Uint8Array(80),
      ...change,
    });
  }

  it('condemns who signed an epoch request with a false proof, and takes its credit', () => {
    dispute();
    expect(judge()).toBeUndefined();
    expect(machine.effects.at(-1)).toEqual({
      type: 'vote',
      vote: { type: 'DisputeVerdict', disputeId, guilty: true },
    });
    expect(machine.credit(accused)).toBe(0);
    expect(judge()).toBe('ALREADY_DONE');
  });

  it('clears who had drawn itself truly', () => {
    dispute({ proof: seatOfAttestor(ledger, accused, EPOCH).proof });
    judge();
    expect(machine.effects).toEqual([
      { type: 'vote', vote: { type: 'DisputeVerdict', disputeId, guilty: false } },
    ]);
    expect(machine.credit(accused)).toBeGreaterThan(0);
  });

  it('never condemns a verifier whose request in a task carries the proof of that task', () => {
    dispute({ command: CHALLENGE_COMMANDS.before });
    judge();
    expect(machine.effects).toMatchObject([{ vote: { guilty: false } }]);
    expect(machine.credit(accused)).toBeGreaterThan(0);
  });

  it('that nobody reported, against nobody, or about an epoch to come is not judged', () => {
    expect(judge()).toBe('DISPUTE_UNKNOWN');
    dispute({ accused: testMember('nobody').account });
    expect(judge()).toBe('DISPUTE_UNKNOWN');
    ledger.head = 35;
    dispute({ epoch: EPOCH + 1 });
    expect(machine.order(target, { kind: 'judge-dispute', disputeId }, 25)).toBe('DISPUTE_UNKNOWN');
  });

  it('that layer 1 has closed is not judged again', () => {
    dispute();
    ledger.closed.set(toHex(disputeId), 20);
    expect(judge()).toBe('ALREADY_DONE');
  });
});

describe('a result of attestation [MEMB-18] [ATT-12]', () => {
  const attest = (attestor: TestMember, change: object = {}, seat: object = {}) =>
    machine.order(attestor, {
      ...epochReportOf(ledger, attestor, EPOCH, [{ ...attestationOf(attestor, target, EPOCH), ...change }]),
      ...seat,
    });
  const kept = (attestor: TestMember) => machine.state.reports.get(EPOCH)?.get(attestor.account)?.results;

  it('counts when the attestor was drawn and the target signed the answer', () => {
    expect(attest(drawn())).toBeUndefined();
    expect(kept(drawn())).toHaveLength(1);
  });

  it('is left out when the attestor was not drawn, although the target plays along', () => {
    expect(attest(undrawn())).toBeUndefined();
    expect(kept(undrawn())).toEqual([]);
  });

  it('is refused when the draw is another member’s', () => {
    const { proof } = seatOfAttestor(ledger, undrawn(), EPOCH);
    expect(attest(drawn(), {}, { proof })).toBe('VRF_INVALID');
  });

  it.each([
    ['signed by the attestor', () => answerOf(drawn(), { ...target, sign: drawn().sign }, EPOCH)],
    ['of another epoch', () => answerOf(drawn(), target, EPOCH - 1)],
    ['given to another attestor', () => answerOf(undrawn(), target, EPOCH)],
  ])('is refused when the answer is one %s', (_how, answer) => {
    const { answerSignature } = answer();
    expect(attest(drawn(), { answerSignature })).toBe('SIGNATURE_INVALID');
    expect(machine.state.reports.size).toBe(0);
  });
});

describe('an accusation [MEMB-22] [MEMB-23]', () => {
  const accuse = (...args: Parameters<typeof accusationOf> extends [unknown, ...infer Rest] ? Rest : never) =>
    machine.order(args[0], accusationOf(ledger, ...args));

  it('evicts a member that signed evidence which policy forbids', () => {
    expect(accuse(drawn(), target, EPOCH)).toBeUndefined();
    expect(machine.credit(target)).toBeUndefined();
    expect(machine.state.evictions).toBe(1);
    expect(machine.effects.map((effect) => effect.type)).toEqual(['roster', 'evicted', 'vote']);
    expect(machine.effects.at(-1)).toMatchObject({ vote: { type: 'Eviction', account: target.account } });
    expect(accuse(drawn(), target, EPOCH)).toBe('TARGET_UNKNOWN');
  });

  it('evicts a member that signed garbage: nobody else could have sent it', () => {
    const garbage = signedAnswer(drawn(), fromUtf8('garbage'));
    expect(accuse(drawn(), target, EPOCH, garbage)).toBeUndefined();
    expect(machine.credit(target)).toBeUndefined();
  });

  it.each([
    ['affirming evidence', () => answerOf(drawn(), target, EPOCH)],
    ['evidence that the accuser altered', () => altered(answerOf(drawn(), target, EPOCH))],
    ['garbage that the accuser signed', () => signedAnswer(drawn(), fromUtf8('garbage'), drawn())],
    ['an answer of another epoch', () => answerOf(drawn(), target, EPOCH - 1, [IMAGE])],
    ['an answer to another attestor', () => answerOf(undrawn(), target, EPOCH, [IMAGE])],
    [
      'an answer under another nonce',
      () => ({ ...answerOf(drawn(), target, EPOCH, [IMAGE]), nonce: sha256(fromUtf8('other')) }),
    ],
  ])('with %s has no effect', (_what, answer) => {
    expect(accuse(drawn(), target, EPOCH, answer())).toBe('EVIDENCE_NOT_CONTRADICTING');
    expect(machine.state.roster.has(target.account)).toBe(true);
  });

  it('with evidence that the accused did not sign as its TPM condemns whoever passed it on as its own', () => {
    const answer = answerOf(drawn(), { ...target, signQuote: drawn().signQuote }, EPOCH);
    expect(accuse(drawn(), target, EPOCH, answer)).toBeUndefined();
  });

  it('by a member that was not drawn has no effect', () => {
    expect(accuse(undrawn(), target, EPOCH)).toBe('NOT_DRAWN');
  });

  it('with the draw of another has no effect', () => {
    const { proof } = accusationOf(ledger, undrawn(), target, EPOCH);
    expect(machine.order(drawn(), { ...accusationOf(ledger, drawn(), target, EPOCH), proof })).toBe(
      'VRF_INVALID',
    );
  });

  it('against oneself, a stranger, or a member admitted in that epoch has no effect', () => {
    expect(accuse(target, target, EPOCH)).toBe('TARGET_UNKNOWN');
    expect(accuse(drawn(), testMember('nobody'), EPOCH)).toBe('TARGET_UNKNOWN');
    admitIn(target, EPOCH);
    expect(accuse(drawn(), target, EPOCH)).toBe('TARGET_UNKNOWN');
  });

  it('by a member admitted in that epoch has no effect', () => {
    admitIn(drawn(), EPOCH);
    expect(accuse(drawn(), target, EPOCH)).toBe('NOT_DRAWN');
  });

  it('of an epoch long past, or still to come, has no effect', () => {
    const accuser = drawn();
    ledger.head = 55;
    expect(accuse(accuser, target, EPOCH)).toBe('EPOCH_WRONG');
    const early = new TestMachine(ledger);
    expect(early.order(accuser, accusationOf(ledger, accuser, target, 3), 25)).toBe('EPOCH_WRONG');
  });

  it('with evidence of a release that was withdrawn after the answer has no effect [MEMB-24]', () => {
    ledger.releases.set(toHex(RELEASE.digest), { from: 0, until: 24 });
    expect(accuse(drawn(), target, EPOCH, answerOf(drawn(), target, EPOCH))).toBe(
      'EVIDENCE_NOT_CONTRADICTING',
    );
  });

  it('with evidence of a release approved since is judged by the block that members have agreed on, however early a one it names [MEMB-24]', () => {
    ledger.releases.set(toHex(RELEASE.digest), { from: 23, until: Number.POSITIVE_INFINITY });
    const accusation = accusationOf(ledger, drawn(), target, EPOCH, answerOf(drawn(), target, EPOCH));
    const { state } = machine;
    expect(machine.order(drawn(), accusation, 22)).toBeUndefined();
    expect(machine.state.roster.has(target.account)).toBe(false);
    machine.state = { ...state, ledgerBlock: 23 };
    expect(machine.order(drawn(), accusation, 22)).toBe('EVIDENCE_NOT_CONTRADICTING');
    expect(machine.state.roster.has(target.account)).toBe(true);
  });

  it.each(['releases', 'images'] as const)(
    'with evidence of %s that were withdrawn is a missed update only, once the time for it is over [MEMB-37]',
    (kind) => {
      const [digest] = [...ledger[kind].keys()] as [string];
      ledger[kind].set(digest, { from: 0, until: 19 });
      const late = EPOCH - 1 + UPDATE_EPOCHS;
      ledger.head = late * BLOCKS_PER_EPOCH + 5;
      for (const [epoch, code] of [
        [late - 1, 'EVIDENCE_NOT_CONTRADICTING'],
        [late, undefined],
        [late, 'ALREADY_DONE'],
      ] as const) {
        const attestor = others.find((member) => isDrawn(member, epoch)) as TestMember;
        expect(accuse(attestor, target, epoch, answerOf(attestor, target, epoch))).toBe(code);
      }
      expect([...machine.state.updatesMissed.keys()]).toEqual([target.account]);
      expect(machine.state.evictions).toBe(0);
    },
  );

  it('with evidence of an epoch that is closed takes nothing a second time from who has updated since [MEMB-37]', () => {
    ledger.releases.set(toHex(RELEASE.digest), { from: 0, until: 1 });
    const epoch = UPDATE_EPOCHS;
    ledger.head = epoch * BLOCKS_PER_EPOCH + 5;
    const attestor = others.find((member) => isDrawn(member, epoch)) as TestMember;
    const show = () => accuse(attestor, target, epoch, answerOf(attestor, target, epoch));
    machine.state = { ...machine.state, epochClosed: epoch - 1 };
    expect(show()).toBeUndefined();
    machine.state = { ...machine.state, epochClosed: epoch, updatesMissed: new Map() };
    ledger.head += BLOCKS_PER_EPOCH;
    expect(show()).toBe('EPOCH_WRONG');
    expect(machine.state.updatesMissed.size).toBe(0);
  });

  it('with evidence of software that was never approved evicts, although other software was withdrawn', () => {
    ledger.releases.set(toHex(RELEASE.digest), { from: 0, until: 1 });
    const epoch = UPDATE_EPOCHS;
    ledger.head = epoch * BLOCKS_PER_EPOCH + 5;
    const attestor = others.find((member) => isDrawn(member, epoch)) as TestMember;
    const never = { ...RELEASE, digest: sha256(fromUtf8('never approved')) };
    expect(accuse(attestor, target, epoch, answerOf(attestor, target, epoch, [never]))).toBeUndefined();
    expect(machine.state.roster.has(target.account)).toBe(false);
  });
});

function admitIn(member: TestMember, epoch: number): void {
  const known = machine.state.roster.get(member.account);
  if (known === undefined) throw new Error('no such member');
  const roster = new Map(machine.state.roster).set(member.account, { ...known, admittedEpoch: epoch });
  machine.state = { ...machine.state, roster };
}

function altered(answer: ReturnType<typeof answerOf>): ReturnType<typeof answerOf> {
  const evidence = answer.evidence.slice();
  evidence[evidence.length - 1] = (evidence.at(-1) as number) ^ 1;
  return { ...answer, evidence };
}

function signedAnswer(attestor: TestMember, evidence: Uint8Array, by = target) {
  const nonce = sha256(fromUtf8('nonce'));
  const binding = challengeBinding({
    epoch: EPOCH,
    attestor: attestor.account,
    target: target.account,
    command: 'epoch',
  });
  const answerSignature = by.sign(answerDigest({ binding, nonce, evidenceDigest: sha256(evidence) }));
  return { evidence, nonce, answerSignature };
}
