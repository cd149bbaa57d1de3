import { toHex } from '@nemea/core';
import { beforeEach, describe, expect, test } from 'vitest';
import { CANDIDACIES_PER_SPONSOR, JUDGING_BLOCKS } from './admission.ts';
import { CREDIT_NEWCOMER } from './credit.ts';
import { drawnFrom, JUDGES_EXPECTED, judgeAlpha } from './jury.ts';
import { type Member, ROSTER_MAX } from './roster.ts';
import {
  accusationOf,
  applicationOf,
  candidateOf,
  drawContext,
  foundNetwork,
  judgementOf,
  seatOf,
  type TestMember,
  testMember,
  testMembers,
} from './testing.ts';

const EPOCH = 2;
const members = testMembers(12);
const stranger = testMember('stranger');
const [sponsor] = members as [TestMember];
let { ledger, machine } = foundNetwork(members);

beforeEach(() => {
  ({ ledger, machine } = foundNetwork(members));
});

/** Members that are, and that are not, drawn to judge a candidate. */
function juryFor(candidate: TestMember): { drawn: TestMember[]; others: TestMember[] } {
  const isDrawn = (member: TestMember) => {
    const { beta } = member.prove(judgeAlpha(drawContext(ledger, EPOCH), candidateOf(candidate)));
    const inRoster = machine.state.roster.get(member.account);
    return inRoster !== undefined && drawnFrom(machine.state.roster, inRoster, beta, JUDGES_EXPECTED);
  };
  return {
    drawn: members.filter(isDrawn),
    others: members.filter((member) => machine.state.roster.has(member.account) && !isDrawn(member)),
  };
}

function judge(by: readonly TestMember[], verdict: 'affirming' | 'contraindicated' = 'affirming') {
  for (const member of by) {
    expect(machine.order(member, judgementOf(ledger, member, stranger, EPOCH, verdict))).toBeUndefined();
  }
}

const close = () => machine.order(sponsor, { kind: 'close-candidacy', candidate: candidateOf(stranger) });
const outcome = () => machine.state.candidacies.get(toHex(candidateOf(stranger)))?.outcome;

describe('an application [MEMB-11]', () => {
  test('opens a candidacy and tells the rim to draw', () => {
    expect(machine.order(sponsor, applicationOf(stranger))).toBeUndefined();
    expect(machine.effects).toEqual([{ type: 'candidacy', candidate: candidateOf(stranger) }]);
    expect(outcome()).toBe('open');
  });

  test('is taken once in an epoch, and again in a later one with another jury [MEMB-14]', () => {
    machine.order(sponsor, applicationOf(stranger));
    expect(machine.order(members[1] as TestMember, applicationOf(stranger))).toBe('ALREADY_DONE');
    judge(juryFor(stranger).drawn.slice(0, 1));
    ledger.head = 31;
    expect(machine.order(members[1] as TestMember, applicationOf(stranger))).toBeUndefined();
    expect(machine.state.candidacies.get(toHex(candidateOf(stranger)))?.judgements.size).toBe(0);
  });

  test.each(['account', 'peerKey', 'ekId', 'akX', 'vrfX'] as const)(
    'conflicts with a member that has the same %s',
    (field) => {
      const record = { ...stranger.record, [field]: sponsor.record[field] };
      expect(machine.order(sponsor, { ...applicationOf(stranger), record })).toBe('CANDIDATE_CONFLICTS');
    },
  );

  test('of one sponsor is refused when many are open, and crowds out nobody else [MEMB-4]', () => {
    for (let i = 0; i < CANDIDACIES_PER_SPONSOR; i++) {
      expect(machine.order(sponsor, applicationOf(testMember(`flood ${i}`)))).toBeUndefined();
    }
    expect(machine.order(sponsor, applicationOf(stranger))).toBe('TOO_MANY_OPEN');
    expect(machine.order(members[1] as TestMember, applicationOf(stranger))).toBeUndefined();
    expect(machine.state.candidacies.size).toBe(CANDIDACIES_PER_SPONSOR + 1);
  });
});

describe('a judgement [MEMB-12]', () => {
  beforeEach(() => {
    machine.order(sponsor, applicationOf(stranger));
  });

  test('counts once for each drawn judge', () => {
    const [first] = juryFor(stranger).drawn as [TestMember];
    judge([first]);
    expect(machine.order(first, judgementOf(ledger, first, stranger, EPOCH))).toBe('ALREADY_DONE');
  });

  test('of a member that was not drawn is refused', () => {
    const [other] = juryFor(stranger).others as [TestMember];
    expect(machine.order(other, judgementOf(ledger, other, stranger, EPOCH))).toBe('NOT_DRAWN');
  });

  test('with the proof of another judge is refused', () => {
    const [first, second] = juryFor(stranger).drawn as [TestMember, TestMember];
    expect(machine.order(second, judgementOf(ledger, first, stranger, EPOCH))).toBe('VRF_INVALID');
  });

  test('of another epoch is refused', () => {
    const [first] = juryFor(stranger).drawn as [TestMember];
    expect(machine.order(first, judgementOf(ledger, first, stranger, EPOCH - 1))).toBe('EPOCH_WRONG');
  });

  test('about nobody is refused', () => {
    const [first] = juryFor(stranger).drawn as [TestMember];
    const nobody = judgementOf(ledger, first, testMember('nobody'), EPOCH);
    expect(machine.order(first, nobody)).toBe('CANDIDATE_UNKNOWN');
  });

  test('of a member that was admitted in this epoch is refused, drawn or not', () => {
    const newcomer = juryFor(stranger).drawn[0] as TestMember;
    const member = machine.state.roster.get(newcomer.account);
    if (member === undefined) throw new Error('no such member');
    machine.state = {
      ...machine.state,
      roster: new Map(machine.state.roster).set(member.account, { ...member, admittedEpoch: EPOCH }),
    };
    expect(machine.order(newcomer, judgementOf(ledger, newcomer, stranger, EPOCH))).toBe('NOT_DRAWN');
  });
});

describe('the decision on a candidate [MEMB-13]', () => {
  beforeEach(() => {
    machine.order(sponsor, applicationOf(stranger));
  });

  test('waits for two judges at least', () => {
    judge(juryFor(stranger).drawn.slice(0, 1));
    ledger.head += JUDGING_BLOCKS;
    expect(close()).toBe('JURY_INCOMPLETE');
  });

  test('waits until the jury had its time', () => {
    judge(juryFor(stranger).drawn.slice(0, JUDGES_EXPECTED - 1));
    expect(close()).toBe('TOO_EARLY');
    ledger.head += JUDGING_BLOCKS;
    expect(close()).toBeUndefined();
    expect(outcome()).toBe('admitted');
  });

  test('has every member sign it for layer 1, and makes nobody a member yet [MEMB-15]', () => {
    judge(juryFor(stranger).drawn.slice(0, JUDGES_EXPECTED));
    ledger.head += JUDGING_BLOCKS;
    expect(close()).toBeUndefined();
    expect(machine.credit(stranger)).toBeUndefined();
    expect(machine.effects.map((effect) => effect.type)).toEqual(['candidacy-closed', 'vote']);
    expect(machine.effects.at(-1)).toMatchObject({
      vote: { type: 'Admission', record: stranger.record, epoch: EPOCH },
    });
    expect(close()).toBe('CANDIDATE_UNKNOWN');
    expect(machine.order(sponsor, applicationOf(stranger))).toBe('ALREADY_DONE');
  });

  test('counts the silence of a seated judge: a candidate cannot pick those it answers', () => {
    const { drawn } = juryFor(stranger);
    for (const member of drawn.slice(0, 4)) {
      expect(machine.order(member, seatOf(ledger, member, stranger, EPOCH))).toBeUndefined();
    }
    judge(drawn.slice(0, 2));
    ledger.head += JUDGING_BLOCKS;
    expect(close()).toBe('JURY_INCOMPLETE');
    expect(outcome()).toBe('open');
    judge(drawn.slice(2, 4));
    expect(close()).toBeUndefined();
    expect(outcome()).toBe('admitted');
  });

  test('gives a seat only to whom the VRF drew, and only once', () => {
    const { drawn, others } = juryFor(stranger);
    const [first] = drawn;
    const [other] = others;
    if (first === undefined || other === undefined)
      throw new Error('this epoch draws some and passes over some');
    expect(machine.order(first, seatOf(ledger, first, stranger, EPOCH))).toBeUndefined();
    expect(machine.order(first, seatOf(ledger, first, stranger, EPOCH))).toBe('ALREADY_DONE');
    expect(machine.order(other, seatOf(ledger, other, stranger, EPOCH))).toBe('NOT_DRAWN');
    expect(machine.order(other, seatOf(ledger, first, stranger, EPOCH))).toBe('VRF_INVALID');
  });

  test('refuses when a third of the jury does, and asks layer 1 for nothing', () => {
    const { drawn } = juryFor(stranger);
    judge(drawn.slice(0, 2));
    judge(drawn.slice(2, 3), 'contraindicated');
    ledger.head += JUDGING_BLOCKS;
    expect(close()).toBeUndefined();
    expect(outcome()).toBe('refused');
    expect(machine.effects.map((effect) => effect.type)).toEqual(['candidacy-closed']);
    expect(machine.credit(stranger)).toBeUndefined();
  });

  test('does not count a judge that was evicted', () => {
    const { drawn } = juryFor(stranger);
    judge(drawn.slice(0, 2));
    const roster = new Map(machine.state.roster);
    roster.delete((drawn[0] as TestMember).account);
    machine.state = { ...machine.state, roster };
    ledger.head += JUDGING_BLOCKS;
    const remaining = drawn[1] as TestMember;
    expect(machine.order(remaining, { kind: 'close-candidacy', candidate: candidateOf(stranger) })).toBe(
      'JURY_INCOMPLETE',
    );
  });

  test('is not decided by judges whom the cap on their owner has left no weight [MEMB-39]', () => {
    const [weightless, other] = juryFor(stranger).drawn as [TestMember, TestMember];
    judge([weightless, other]);
    const [first] = [...machine.state.roster.values()] as [Member];
    const owned = (account: string, owner: string): [string, Member] => [
      account,
      { ...first, account, owner, credit: 1 },
    ];
    // Members are cut in order of account, and what rounding leaves goes to the first: here to one that does not judge.
    const fleet = ['0', weightless.account].map((account) => owned(account, 'fleet'));
    const alone = Array.from({ length: 9 }, (_, i) => owned(`${i + 1}`, `${i}`));
    const counted = (judge: [string, Member]) => {
      machine.state = { ...machine.state, roster: new Map([...alone, ...fleet, judge]) };
      return machine.order(other, { kind: 'close-candidacy', candidate: candidateOf(stranger) });
    };
    ledger.head += JUDGING_BLOCKS;
    expect(counted(owned(other.account, 'fleet'))).toBe('JURY_INCOMPLETE');
    expect(counted(owned(other.account, 'other'))).toBe('JURY_INCOMPLETE');
    expect(outcome()).toBe('open');
  });

  test('waits while consensus can take no more members', () => {
    judge(juryFor(stranger).drawn.slice(0, JUDGES_EXPECTED));
    fillRoster();
    ledger.head += JUDGING_BLOCKS;
    expect(close()).toBe('ROSTER_FULL');
    expect(outcome()).toBe('open');
  });
});

/** Consensus can take no more members. */
function fillRoster(): void {
  const [filler] = machine.state.roster.values();
  if (filler === undefined) throw new Error('empty roster');
  const roster = new Map(machine.state.roster);
  for (let i = 0; roster.size < ROSTER_MAX; i++)
    roster.set(`filler ${i}`, { ...filler, account: `filler ${i}` });
  machine.state = { ...machine.state, roster };
}

describe('enrolment [MEMB-15]', () => {
  const enrol = (block = ledger.head) => machine.order(sponsor, { kind: 'enrol' }, block);
  const registers = ({ record }: TestMember, block = ledger.head) =>
    ledger.registered.push({ record, block });

  test('makes a member, with a newcomer’s credit, of whom layer 1 has registered, and of nobody else', () => {
    expect(enrol()).toBe('ALREADY_DONE');
    registers(stranger);
    expect(enrol()).toBeUndefined();
    expect(machine.credit(stranger)).toBe(CREDIT_NEWCOMER);
    expect(machine.state.roster.get(stranger.account)?.admittedEpoch).toBe(EPOCH);
    expect(machine.state.admissions).toBe(1);
    expect(machine.effects.map((effect) => effect.type)).toEqual(['enrolled', 'roster']);
    expect(enrol()).toBe('ALREADY_DONE');
    ledger.head++;
    expect(enrol()).toBe('ALREADY_DONE');
    expect(machine.state.admissions).toBe(1);
  });

  test('goes by the block that the members have agreed on, and leaves nobody out', () => {
    const later = testMember('later');
    registers(stranger, ledger.head - 1);
    registers(later);
    expect(enrol(ledger.head - 1)).toBeUndefined();
    expect(machine.credit(stranger)).toBe(CREDIT_NEWCOMER);
    expect(machine.credit(later)).toBeUndefined();
    expect(enrol()).toBeUndefined();
    expect(machine.credit(later)).toBe(CREDIT_NEWCOMER);
    expect(machine.state.admissions).toBe(2);
  });

  test('takes no more than consensus can, and counts them all, as whoever replays it does', () => {
    fillRoster();
    registers(stranger);
    expect(enrol()).toBeUndefined();
    expect(machine.state.roster.size).toBe(ROSTER_MAX);
    expect(machine.state.roster.has(stranger.account)).toBe(false);
    expect(machine.effects.map((effect) => effect.type)).toEqual(['roster']);
    expect(machine.state.admissions).toBe(1);
  });
});

test('a stranger orders nothing and moves nothing, not even the anchor [MEMB-3]', () => {
  ledger.head = 29;
  const before = machine.state;
  expect(machine.order(stranger, applicationOf(stranger))).toBe('AUTHOR_NOT_MEMBER');
  expect(machine.order(stranger, accusationOf(ledger, stranger, sponsor, EPOCH))).toBe('AUTHOR_NOT_MEMBER');
  expect(machine.state).toBe(before);
});
