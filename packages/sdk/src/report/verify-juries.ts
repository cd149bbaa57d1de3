import { bytesEqual, fromHex } from '@nemea/core';
import {
  ADMISSION_EPOCHS,
  candidateId,
  JUDGES_EXPECTED,
  judgeAlpha,
  judgesNeeded,
  juryDecision,
  juryOf,
  mayServe,
  type NodeRecord,
  type Registration,
} from '@nemea/membership';
import type { Ledger } from '../client/ledger.ts';
import { checkDraw, type DrawTime, LAG_EPOCHS_MAX, memberAround, spansAround } from './draws.ts';
import { examine, type Finding, type Lies } from './finding.ts';
import { nameOf, short } from './inquiry.ts';
import type { Report } from './report.ts';
import type { RosterReplay, RosterSpan } from './roster-replay.ts';

type Candidacy = Report['candidacies'][number];

interface Inquiry {
  readonly report: Pick<Report, 'nodes' | 'candidacies'>;
  readonly ledger: Pick<Ledger, 'networkId' | 'history'>;
  readonly rosters: RosterReplay;
}

/**
 * Every stranger was judged by drawn members, and decided on as the machine decides. The certificate of the admission
 * signs for the outcome alone: that no seat is left out and no verdict turned, nothing here can show.
 */
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
    checkCandidate(inquiry, lies, candidacy);
    const epochSeed = ledger.history.epochSeed(candidacy.epoch);
    if (epochSeed === undefined) {
      lies.add(`epoch ${candidacy.epoch} never began`);
      return '';
    }
    const alpha = judgeAlpha({ networkId: ledger.networkId, epochSeed }, candidate);
    checkSeats(inquiry, lies, candidacy, alpha);
    checkDecision(inquiry, lies, candidacy);
    const { seated, judgements } = candidacy;
    const affirming = judgements.filter(({ verdict }) => verdict !== 'contraindicated').length;
    const silent = seated.length - judgements.length;
    return `${judgements.length} judges drawn by VRF in epoch ${candidacy.epoch}, ${affirming} affirmed, ${silent} silent`;
  });
}

/** Nobody sits or judges twice; whoever judges has a seat, and was drawn for it. */
function checkSeats(inquiry: Inquiry, lies: Lies, candidacy: Candidacy, alpha: Uint8Array): void {
  const { report, rosters } = inquiry;
  const when = timeOf(inquiry, candidacy);
  const seated = new Set(candidacy.seated);
  lies.unlessEqual('different seats', seated.size, candidacy.seated.length);
  const spans = spansAround(rosters, when);
  for (const account of seated) {
    const isMember = memberAround(spans, account) !== undefined;
    lies.unless(isMember, `${nameOf(report, account)} has a seat and was no member`);
  }
  const judges = new Set<string>();
  for (const { account, proof } of candidacy.judgements) {
    lies.unless(!judges.has(account), `${nameOf(report, account)} judges twice`);
    lies.unless(seated.has(account), `${nameOf(report, account)} judges without a seat`);
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
      when,
    );
  }
}

/** The candidacy is this very application: its id commits to a record that layer 1 took. */
function checkCandidate(inquiry: Inquiry, lies: Lies, candidacy: Candidacy): void {
  if (!isUsed(inquiry, candidacy)) return;
  lies.unless(
    registrationsOf(inquiry, candidacy).some(({ record }) => isOf(candidacy, record)),
    `candidate ${short(candidacy.candidate)} is not this node's application`,
  );
}

/**
 * Whether layer 1 must have registered the account on this candidacy. A certificate need not be used: its owner may take
 * the deposit back and never come, or come on another, as long as each registration has one of its own [MEMB-15].
 */
function isUsed(inquiry: Inquiry, candidacy: Candidacy): boolean {
  if (candidacy.outcome !== 'admitted') return false;
  const registrations = registrationsOf(inquiry, candidacy);
  const { history } = inquiry.ledger;
  const brings = (of: Candidacy, { record, block }: Registration): boolean =>
    isOf(of, record) &&
    of.epoch <= history.epochOf(block) &&
    history.epochOf(block) <= of.epoch + LAG_EPOCHS_MAX + ADMISSION_EPOCHS;
  if (registrations.some((registration) => brings(candidacy, registration))) return true;
  const admitted = inquiry.report.candidacies.filter(
    ({ account, outcome }) => account === candidacy.account && outcome === 'admitted',
  );
  return registrations.some((registration) => !admitted.some((other) => brings(other, registration)));
}

function registrationsOf({ ledger }: Inquiry, { account }: Candidacy): readonly Registration[] {
  const { history } = ledger;
  return history.admissions(0, history.head).filter(({ record }) => record.account === account);
}

function isOf({ candidate, applicationDigest }: Candidacy, record: NodeRecord): boolean {
  return bytesEqual(candidateId(record, fromHex(applicationDigest)), fromHex(candidate));
}

/** Counts the jury again as the machine does, by every roster by which it may have been counted [MEMB-13]. */
function checkDecision(inquiry: Inquiry, lies: Lies, candidacy: Candidacy): void {
  const { outcome } = candidacy;
  if (outcome === 'open') return;
  const spans = isUsed(inquiry, candidacy)
    ? countedBy(inquiry, lies, candidacy)
    : spansAround(inquiry.rosters, timeOf(inquiry, candidacy));
  const seats = {
    seated: new Set(candidacy.seated),
    judgements: new Map(candidacy.judgements.map((it) => [it.account, it])),
  };
  const decisions = spans.map(({ roster }) => juryDecision(roster, juryOf(roster, seats)));
  // One that was affirmed is refused all the same when a member has come in that shares a key with it.
  if (decisions.some((it) => it === 'affirmed' || it === outcome)) return;
  const last = spans.at(-1);
  if (last === undefined) return;
  const { judges, affirming, total } = juryOf(last.roster, seats);
  const needed = judgesNeeded(last.roster);
  if (judges < needed) lies.add(`${judges} judges that weigh something, want at least ${needed}`);
  else if (outcome === 'refused') lies.add('not a third of the judges refused, so nothing was decided');
  else lies.add(`not more than two thirds of the judges affirmed: ${affirming} of ${total} by weight`);
}

/**
 * The rosters that the jury may have been counted by. By then its epoch had begun, and no later one was closed, or the candidacy
 * had been forgotten [MEMB-5]. The candidate came in later, when layer 1 had taken the certificate [MEMB-15].
 */
function countedBy(inquiry: Inquiry, lies: Lies, candidacy: Candidacy): readonly RosterSpan[] {
  const { account, epoch } = candidacy;
  const admittedEpoch = ({ roster }: RosterSpan) => roster.get(account)?.admittedEpoch ?? -1;
  const joined = inquiry.rosters.spans.find((span) => admittedEpoch(span) >= epoch);
  if (joined === undefined) {
    lies.add(`no admission in epoch ${epoch} or later follows its jury`);
    return [];
  }
  lies.unless(
    joined.closedEpoch <= epoch + LAG_EPOCHS_MAX + ADMISSION_EPOCHS,
    `its jury of epoch ${epoch} was given up long before epoch ${joined.closedEpoch} closed`,
  );
  const { spans } = inquiry.rosters;
  const before = spans.findLast(({ closedEpoch }) => closedEpoch < epoch)?.closedEpoch ?? 0;
  const first = Math.min(joined.closedEpoch, before);
  const last = Math.min(joined.closedEpoch, epoch);
  return spans.filter(({ closedEpoch }) => first <= closedEpoch && closedEpoch <= last);
}

/** A jury has judged by the block of the admission; of one that refused, or in vain, nothing is on layer 1. */
function timeOf(inquiry: Inquiry, candidacy: Candidacy): DrawTime {
  const { report, ledger } = inquiry;
  const { history } = ledger;
  const node = report.nodes.find(({ account }) => account === candidacy.account);
  const block =
    node !== undefined && isUsed(inquiry, candidacy)
      ? Math.min(node.admission.block, history.head)
      : history.head;
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
