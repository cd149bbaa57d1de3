import { toHex } from '@nemea/core';
import {
  ADMISSION_EPOCHS,
  candidateId,
  drawnFrom,
  genesisRoster,
  JUDGES_EXPECTED,
  judgeAlpha,
  type Member,
  provenBeta,
  type Roster,
  withMember,
  withoutMember,
} from '@nemea/membership';
import { describe, expect, test } from 'vitest';
import { LAG_EPOCHS_MAX } from './draws.ts';
import type { Report } from './report.ts';
import type { RosterReplay, RosterSpan } from './roster-replay.ts';
import { TestChain, type TestNode, testNode } from './testing.ts';
import { verifyJuries } from './verify-juries.ts';

type Candidacy = Report['candidacies'][number];
type Verdict = Candidacy['judgements'][number]['verdict'];

const EPOCH = 2;
const members = Array.from({ length: 12 }, (_, index) => testNode(index + 1));
const founded = genesisRoster(members.map(({ record }) => record));
const applicationDigest = new Uint8Array(32);

const chain = new TestChain(members);
while (chain.history.epochOf(chain.history.head) <= EPOCH) chain.mine();
const { history, networkId } = chain.ledger;

/** A stranger with at least three judges, the lowest account not among them. */
const { candidate, jury } = findCandidate();
chain.mine(chain.admitted(candidate, 1, 1));
const [a, b, c] = jury;
const joined = withMember(founded, candidate.record, EPOCH);

function findCandidate(): { candidate: TestNode; jury: [TestNode, TestNode, TestNode] } {
  for (let seed = members.length + 1; ; seed++) {
    const node = testNode(seed);
    const [first, second, third] = drawn(node, EPOCH).filter(({ account }) => account !== lowest().account);
    if (first && second && third) return { candidate: node, jury: [first, second, third] };
  }
}

function lowest(): TestNode {
  return members.reduce((low, node) => (node.account < low.account ? node : low));
}

function alphaOf(node: TestNode, epoch: number): Uint8Array {
  const epochSeed = history.epochSeed(epoch) as Uint8Array;
  return judgeAlpha({ networkId, epochSeed }, candidateId(node.record, applicationDigest));
}

function drawn(node: TestNode, epoch: number): TestNode[] {
  const alpha = alphaOf(node, epoch);
  return members.filter((judge) => {
    const member = founded.get(judge.account) as Member;
    const beta = provenBeta(member, alpha, judge.prove(alpha));
    return beta !== undefined && drawnFrom(founded, member, beta, JUDGES_EXPECTED);
  });
}

function candidacy(
  seated: readonly TestNode[],
  verdicts: readonly Verdict[],
  parts: Partial<Candidacy> = {},
): Candidacy {
  const alpha = alphaOf(candidate, parts.epoch ?? EPOCH);
  return {
    candidate: toHex(candidateId(candidate.record, applicationDigest)),
    account: candidate.account,
    applicationDigest: toHex(applicationDigest),
    epoch: EPOCH,
    outcome: 'admitted',
    seated: seated.map(({ account }) => account),
    judgements: verdicts.map((verdict, index) => {
      const judge = seated[index] as TestNode;
      return { account: judge.account, verdict, proof: toHex(judge.prove(alpha)) };
    }),
    ...parts,
  };
}

/** The candidate comes in after `closedEpoch`; the jury is counted by a roster of before. */
function replayed(counting: Roster = founded, closedEpoch = EPOCH - 1): RosterReplay {
  const after = new Map(counting).set(candidate.account, joined.get(candidate.account) as Member);
  const spans = [
    { closedEpoch: 0, roster: founded },
    { closedEpoch, roster: counting },
    { closedEpoch, roster: after },
  ];
  return { spans, exactEpoch: EPOCH, epochsMatched: EPOCH };
}

async function lies(of: Candidacy, rosters = replayed(), others: Candidacy[] = []): Promise<string[]> {
  const node = {
    name: 'stranger',
    account: candidate.account,
    peerId: '',
    level: 1,
    isGenesis: false,
    admission: { txHash: '', gasUsed: 0, block: history.head },
    credit: 1,
    status: 'active' as const,
    rssMb: 0,
    canExecute: false,
  };
  const findings = await verifyJuries({
    report: { nodes: [node], candidacies: [of, ...others] },
    ledger: { networkId, history },
    rosters,
  });
  return findings.flatMap(({ ok, check, detail }) => (!ok && check === 'jury of stranger' ? [detail] : []));
}

const AFFIRM: Verdict[] = ['affirming', 'warning', 'affirming'];

describe('an admission is counted as the machine counts it [MEMB-13], and', () => {
  test('holds by more than two thirds of the seats', async () => {
    expect(await lies(candidacy(jury, AFFIRM))).toEqual([]);
    expect(await lies(candidacy([a, b], AFFIRM.slice(0, 2)))).toEqual([]);
  });

  test('is a lie when silent seats leave those that affirm two thirds only [MEMB-12]', async () => {
    expect(await lies(candidacy(jury, AFFIRM.slice(0, 2)))).toEqual([
      'not more than two thirds of the judges affirmed: 20 of 30 by weight',
    ]);
  });

  test('is a lie when a third refused', async () => {
    const [detail] = await lies(candidacy(jury, ['affirming', 'affirming', 'contraindicated']));
    expect(detail).toMatch(/not more than two thirds of the judges affirmed/);
  });

  test('is a lie by one judge', async () => {
    expect(await lies(candidacy([a], AFFIRM.slice(0, 1)))).toEqual([
      '1 judges that weigh something, want at least 2',
    ]);
  });

  test('holds by the one judge of a network of one', async () => {
    const alone = new Map([[a.account, founded.get(a.account) as Member]]);
    const rosters = { ...replayed(), spans: [{ closedEpoch: 0, roster: alone }, ...replayed(alone).spans] };
    expect(await lies(candidacy([a], AFFIRM.slice(0, 1)), rosters)).toEqual([]);
  });

  test('is a lie by a judge whom the cap on its owner has left no weight [MEMB-39]', async () => {
    const fleet = new Set([lowest().account, b.account]);
    const capped = [...founded.values()].map((member): [string, Member] => [
      member.account,
      { ...member, credit: 1, owner: fleet.has(member.account) ? 'fleet' : member.owner },
    ]);
    expect(await lies(candidacy([a, b], AFFIRM.slice(0, 2)), replayed(new Map(capped)))).toEqual([
      '1 judges that weigh something, want at least 2',
    ]);
  });

  test('is a lie by judges that were evicted before the count', async () => {
    const without = withoutMember(withoutMember(founded, b.account), c.account);
    expect(await lies(candidacy(jury, AFFIRM), replayed(without))).toEqual([
      '1 judges that weigh something, want at least 2',
    ]);
  });

  test('is a lie by a jury that was drawn after it', async () => {
    const later = candidacy(drawn(candidate, EPOCH + 1), [], { epoch: EPOCH + 1 });
    expect(await lies(later)).toContain(`no admission in epoch ${EPOCH + 1} or later follows its jury`);
  });

  test('is a lie by a jury that was given up before it [MEMB-5]', async () => {
    const latest = EPOCH + LAG_EPOCHS_MAX + ADMISSION_EPOCHS;
    const [detail] = await lies(candidacy(jury, AFFIRM), replayed(founded, latest + 1));
    expect(detail).toBe(`its jury of epoch ${EPOCH} was given up long before epoch ${latest + 1} closed`);
    expect(await lies(candidacy(jury, AFFIRM), replayed(founded, latest))).toEqual([]);
  });

  test('is not counted by a roster of after the epoch of its jury: the candidacy was forgotten by then [MEMB-5]', async () => {
    const without = withoutMember(withoutMember(founded, b.account), c.account);
    const [genesis, ...after] = replayed(founded, EPOCH + 1).spans;
    const before = [EPOCH - 1, EPOCH].map((closedEpoch) => ({ closedEpoch, roster: without }));
    const rosters = { ...replayed(), spans: [genesis as RosterSpan, ...before, ...after] };
    expect(await lies(candidacy(jury, AFFIRM), rosters)).toEqual([
      '1 judges that weigh something, want at least 2',
    ]);
  });
});

describe('a certificate that was not used [MEMB-15]', () => {
  const other = testNode(98);
  const alpha = (node: TestNode) => alphaOf(node, EPOCH);
  const never = (verdicts: readonly Verdict[]): Candidacy => {
    const seated = drawn(other, EPOCH);
    return {
      ...candidacy([], []),
      candidate: toHex(candidateId(other.record, applicationDigest)),
      account: other.account,
      seated: seated.map(({ account }) => account),
      judgements: seated.map(({ account, prove }, index) => ({
        account,
        verdict: verdicts[index % verdicts.length] as Verdict,
        proof: toHex(prove(alpha(other))),
      })),
    };
  };
  const liesOf = async (of: Candidacy) => {
    const report = { nodes: [], candidacies: [of] };
    const ledger = { networkId, history };
    const findings = await verifyJuries({ report, ledger, rosters: replayed() });
    return findings.flatMap(({ ok, detail }) => (ok ? [] : [detail]));
  };

  test('is no lie where layer 1 never registered the account, if its jury affirmed', async () => {
    expect(await liesOf(never(['affirming']))).toEqual([]);
    expect(await liesOf(never(['contraindicated']))).toHaveLength(1);
  });

  test('is no lie where each registration has a candidacy of its own, and no cover for one that has none', async () => {
    const used = candidacy(jury, AFFIRM);
    const record = { ...candidate.record, endpoint: 'elsewhere' };
    const unused = { ...used, candidate: toHex(candidateId(record, applicationDigest)) };
    const ofUnused = (await lies(unused, replayed(), [used])).filter((detail) => /application/.test(detail));
    expect(ofUnused).toEqual([]);
    expect((await lies(unused)).join()).toMatch(/is not this node's application/);
  });
});

describe('a seat', () => {
  test('is taken by whoever judges, once, and by members only', async () => {
    const judges = candidacy(jury, AFFIRM);
    const seatless = { ...judges, seated: [a.account, b.account] };
    expect(await lies(seatless)).toContain(`${c.account} judges without a seat`);
    expect(await lies({ ...judges, seated: [...judges.seated, a.account] })).toContain(
      'different seats: got 3, want 4',
    );
    expect(await lies({ ...judges, seated: [...judges.seated, testNode(99).account] })).toContain(
      `${testNode(99).account} has a seat and was no member`,
    );
  });
});

describe('a refusal', () => {
  const refused = (verdicts: readonly Verdict[]) => candidacy(jury, verdicts, { outcome: 'refused' });

  test('holds by a third of the seats, and where another took the key of an affirmed one [MEMB-6]', async () => {
    expect(await lies(refused(['contraindicated', 'affirming']))).toEqual([]);
    expect(await lies(refused(AFFIRM))).toEqual([]);
  });

  test('is a lie by a jury that could still go either way; it is open', async () => {
    const undecided = AFFIRM.slice(0, 2);
    expect(await lies(refused(undecided))).toEqual([
      'not a third of the judges refused, so nothing was decided',
    ]);
    expect(await lies(candidacy(jury, undecided, { outcome: 'open' }))).toEqual([]);
  });
});
