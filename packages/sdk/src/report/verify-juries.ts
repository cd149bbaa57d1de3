import { bytesEqual, fromHex } from '@nemea/core';
import {
  candidateId,
  JUDGES_EXPECTED,
  JUDGES_MIN,
  judgeAlpha,
  juryWeightOf,
  mayServe,
} from '@nemea/membership';
import { checkDraw, type DrawTime, spansAround } from './draws.ts';
import { examine, type Finding, type Lies } from './finding.ts';
import { type Inquiry, nameOf, short } from './inquiry.ts';
import type { Report } from './report.ts';

type Candidacy = Report['candidacies'][number];

/** Every stranger was judged by drawn members. What each of them said is signed for by the admission's certificate. */
export async function verifyJuries(inquiry: Inquiry): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const candidacy of inquiry.report.candidacies)
    findings.push(...(await verifyJury(inquiry, candidacy)));
  return [...findings, ...(await verifyEveryStrangerJudged(inquiry))];
}

function verifyJury(inquiry: Inquiry, candidacy: Candidacy): Promise<Finding[]> {
  return examine(`jury of ${nameOf(inquiry.report, candidacy.account)}`, (lies) => {
    const { ledger } = inquiry;
    const candidate = fromHex(candidacy.candidate);
    checkCandidate(inquiry, lies, candidacy, candidate);
    const epochSeed = ledger.history.epochSeed(candidacy.epoch);
    if (epochSeed === undefined) {
      lies.add(`epoch ${candidacy.epoch} never began`);
      return '';
    }
    const alpha = judgeAlpha({ networkId: ledger.networkId, epochSeed }, candidate);
    const judges = new Set<string>();
    for (const { account, proof } of candidacy.judgements) {
      lies.unless(!judges.has(account), `${nameOf(inquiry.report, account)} judges twice`);
      judges.add(account);
      checkDraw(
        inquiry,
        lies,
        {
          role: 'judge',
          account,
          alpha,
          proof: fromHex(proof),
          expected: JUDGES_EXPECTED,
          isEligible: mayServe,
        },
        timeOf(inquiry, candidacy),
      );
    }
    if (candidacy.outcome === 'admitted') checkMajority(inquiry, lies, candidacy);
    const affirming = candidacy.judgements.filter(({ verdict }) => verdict !== 'contraindicated').length;
    return `${judges.size} judges drawn by VRF in epoch ${candidacy.epoch}, ${affirming} affirmed`;
  });
}

/** The candidacy is this very application: its id commits to the record that layer 1 holds. */
function checkCandidate({ ledger }: Inquiry, lies: Lies, candidacy: Candidacy, candidate: Uint8Array): void {
  const { history } = ledger;
  const record = history.recordAt(candidacy.account, history.head);
  if (candidacy.outcome !== 'admitted') return;
  if (record === undefined) {
    lies.add(`${candidacy.account} was never admitted`);
    return;
  }
  const id = candidateId(record, fromHex(candidacy.applicationDigest));
  lies.unless(
    bytesEqual(id, candidate),
    `candidate ${short(candidacy.candidate)} is not this node's application`,
  );
}

function checkMajority(inquiry: Inquiry, lies: Lies, candidacy: Candidacy): void {
  const { judgements } = candidacy;
  lies.unless(judgements.length >= JUDGES_MIN, `${judgements.length} judges, want at least ${JUDGES_MIN}`);
  const isMajority = spansAround(inquiry.rosters, timeOf(inquiry, candidacy)).some(({ roster }) => {
    let affirming = 0;
    let total = 0;
    for (const { account, verdict } of judgements) {
      const weight = juryWeightOf(roster, account);
      total += weight;
      if (verdict !== 'contraindicated') affirming += weight;
    }
    return affirming * 3 > total * 2;
  });
  lies.unless(isMajority, 'not more than two thirds of the judges affirmed');
}

/** A jury has judged by the block of the admission; of one that refused, nothing is on layer 1. */
function timeOf({ report, ledger }: Inquiry, candidacy: Candidacy): DrawTime {
  const { history } = ledger;
  const node = report.nodes.find(({ account }) => account === candidacy.account);
  const isAdmitted = candidacy.outcome === 'admitted' && node !== undefined;
  const block = isAdmitted ? Math.min(node.admission.block, history.head) : history.head;
  return { epoch: candidacy.epoch, judgedEpoch: history.epochOf(block) };
}

function verifyEveryStrangerJudged({ report }: Inquiry): Promise<Finding[]> {
  return examine('strangers', (lies) => {
    const strangers = report.nodes.filter(({ isGenesis }) => !isGenesis);
    for (const { name, account } of strangers) {
      const isJudged = report.candidacies.some((it) => it.account === account && it.outcome === 'admitted');
      lies.unless(isJudged, `the report shows no jury for ${name}`);
    }
    return `${strangers.length} of ${report.nodes.length} nodes joined later, each before a jury`;
  });
}
