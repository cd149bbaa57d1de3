import { createEd25519Verifier } from '@nemea/consensus/ed25519';
import { bytesEqual, fromHex, merkleRoot } from '@nemea/core';
import {
  ATTESTORS_EXPECTED,
  answerDigest,
  attestAlpha,
  attestOutput,
  challengeBinding,
  compareLeaves,
  type DrawContext,
  type EpochLeaf,
  isEquivocation,
  isOutdated,
  isResult,
  isSeat,
  mayDraw,
  provenBeta,
  type ResultLeaf,
} from '@nemea/membership';
import { contractAbis } from '../client/ledger.ts';
import { checkDraw, memberAround, spansAround } from './draws.ts';
import { parseEpochLeaf } from './epoch-leaf.ts';
import { checkEquivocation } from './equivocation.ts';
import { examine, type Finding, type Lies } from './finding.ts';
import { hex0x, type Inquiry, minedTo, nameOf } from './inquiry.ts';
import type { Report } from './report.ts';
import { checkCertificate, decodeCall } from './vote-certificate.ts';

type Epoch = Report['epochs'][number];

/** Every epoch: its record, its attestations leaf by leaf; and that none is missing, and what they did to credit. */
export async function verifyEpochs(inquiry: Inquiry): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const epoch of inquiry.report.epochs) {
    findings.push(...(await verifyRecord(inquiry, epoch)), ...(await verifyAttestations(inquiry, epoch)));
  }
  return [...findings, ...(await verifyNoneMissing(inquiry)), ...(await describeRosters(inquiry))];
}

function verifyRecord(inquiry: Inquiry, epoch: Epoch): Promise<Finding[]> {
  return examine(`record of epoch ${epoch.epoch}`, async (lies) => {
    const { history } = inquiry.ledger;
    const mined = await minedTo(inquiry, lies, 'epochLog', epoch.txHash);
    if (mined === undefined) return '';
    const call = decodeCall(contractAbis.epochLog, mined);
    if (call?.functionName !== 'record') {
      lies.add(`transaction ${epoch.txHash} records no epoch`);
      return '';
    }
    const [message, signatures] = call.args;
    const signed = await checkCertificate(inquiry, lies, { type: 'EpochRecord', message, signatures, mined });
    lies.unlessEqual('gas', epoch.gasUsed, mined.gasUsed);
    if (!lies.unlessEqual('epoch on layer 1', Number(message.epoch), epoch.epoch)) return '';
    const seed = history.epochSeed(epoch.epoch);
    lies.unlessEqual('seed', message.seed, seed === undefined ? 'none' : hex0x(seed));
    lies.unlessEqual('first block', Number(message.boundaryBlock), history.epochBoundary(epoch.epoch) ?? -1);
    lies.unless(
      Number(message.policyVersion) <= history.policyVersion(mined.block),
      `policy version ${message.policyVersion} is not known yet`,
    );
    const root = merkleRoot(epoch.leaves.map((leaf) => fromHex(leaf)));
    lies.unless(
      bytesEqual(root, fromHex(message.attestationRoot)),
      `its ${epoch.leaves.length} attestations are not those that the quorum signed for: ` +
        `their root is ${hex0x(root)}, layer 1 holds ${message.attestationRoot}`,
    );
    return `${signed}; seed from block hashes; root of ${epoch.leaves.length} attestations`;
  });
}

function verifyAttestations(inquiry: Inquiry, epoch: Epoch): Promise<Finding[]> {
  return examine(`attestations of epoch ${epoch.epoch}`, (lies) => {
    const seed = inquiry.ledger.history.epochSeed(epoch.epoch);
    if (seed === undefined) {
      lies.add('the epoch never began');
      return '';
    }
    const leaves = epoch.leaves.flatMap((encoded, index) => {
      const leaf = lies.parsed(`leaf ${index}`, () => parseEpochLeaf(fromHex(encoded)));
      return leaf === undefined ? [] : [leaf];
    });
    checkOrder(inquiry.report, lies, leaves);
    for (const leaf of leaves)
      lies.unlessEqual(`epoch of ${leafName(inquiry.report, leaf)}`, leaf.epoch, epoch.epoch);
    const draw = { networkId: inquiry.ledger.networkId, epochSeed: seed };
    const seats = checkSeats(inquiry, lies, draw, leaves);
    const results = leaves.filter(isResult);
    let possible = 0;
    for (const leaf of results) {
      const proof = seats.get(leaf.attestor);
      if (checkResult(inquiry, lies, { draw, epoch: epoch.epoch, proof }, leaf) === 'possible') possible += 1;
    }
    const outdated = leaves.filter(isOutdated).length;
    const updates = outdated === 0 ? '' : `; ${outdated} missed an update`;
    const equivocations = leaves.filter(isEquivocation);
    for (const leaf of equivocations) checkEquivocation(inquiry, lies, leaf);
    const contradicting =
      equivocations.length === 0 ? '' : `; ${equivocations.length} proven to have contradicted themselves`;
    const affirming = results.filter(({ verdict }) => verdict !== 'contraindicated').length;
    const undecided = possible === 0 ? '' : ` (${possible} as far as credit is known)`;
    return `${seats.size} attestors reported; ${results.length} results drawn by VRF${undecided}, answered under the target's key; ${affirming} affirm${updates}${contradicting}`;
  });
}

/** Leaves rise by target, then attestor: nobody is counted twice. */
function checkOrder(report: Report, lies: Lies, leaves: readonly EpochLeaf[]): void {
  for (const [index, leaf] of leaves.entries()) {
    const next = leaves[index + 1];
    if (next === undefined) return;
    lies.unless(compareLeaves(leaf, next) < 0, `${leafName(report, next)} is out of order or twice`);
  }
}

function leafName(report: Report, leaf: EpochLeaf): string {
  if (isOutdated(leaf)) return `missed update of ${nameOf(report, leaf.outdated)}`;
  if (isEquivocation(leaf)) return `equivocation of ${nameOf(report, leaf.equivocator)}`;
  const about = isResult(leaf) ? `on ${nameOf(report, leaf.target)}` : 'as an attestor';
  return `${nameOf(report, leaf.attestor)} ${about}`;
}

const verifySignature = createEd25519Verifier();

/** Each attestor's draw is its own, and gives the output by which it was seated. Returns the proofs by attestor. */
function checkSeats(
  { report, rosters }: Inquiry,
  lies: Lies,
  draw: DrawContext,
  leaves: readonly EpochLeaf[],
): ReadonlyMap<string, Uint8Array> {
  const seats = new Map<string, Uint8Array>();
  for (const leaf of leaves) {
    if (!isSeat(leaf)) continue;
    seats.set(leaf.attestor, leaf.proof);
    const spans = spansAround(rosters, { epoch: leaf.epoch, judgedEpoch: leaf.epoch });
    const member = memberAround(spans, leaf.attestor);
    const beta = member === undefined ? undefined : provenBeta(member, attestAlpha(draw), leaf.proof);
    lies.unless(
      beta !== undefined && bytesEqual(beta, leaf.beta),
      `VRF proof of attestor ${nameOf(report, leaf.attestor)} does not verify for this draw`,
    );
  }
  return seats;
}

function checkResult(
  inquiry: Inquiry,
  lies: Lies,
  seat: { draw: DrawContext; epoch: number; proof: Uint8Array | undefined },
  leaf: ResultLeaf,
) {
  const { report, rosters } = inquiry;
  const { draw, epoch, proof } = seat;
  // An epoch's attestations are judged before it closes.
  const when = { epoch, judgedEpoch: epoch };
  const [attestor, target] = [nameOf(report, leaf.attestor), nameOf(report, leaf.target)];
  lies.unless(leaf.attestor !== leaf.target, `${target} attests itself`);
  const member = memberAround(spansAround(rosters, when), leaf.target);
  const parties = { epoch, attestor: leaf.attestor, target: leaf.target };
  const binding = challengeBinding({ ...parties, command: 'epoch' });
  lies.unless(
    member !== undefined &&
      verifySignature(member.peerKey, answerDigest({ binding, ...leaf }), leaf.answerSignature),
    `answer of ${target} to ${attestor} is not signed by its peer key`,
  );
  if (proof === undefined) {
    lies.add(`attestor ${attestor} shows no draw of its own`);
    return 'false';
  }
  const expected = ATTESTORS_EXPECTED;
  const outputOf = (beta: Uint8Array) => attestOutput(draw, beta, leaf.target);
  return checkDraw(
    inquiry,
    lies,
    {
      role: 'attestor',
      account: leaf.attestor,
      alpha: attestAlpha(draw),
      proof,
      expected,
      outputOf,
      isEligible: mayDraw,
    },
    when,
  );
}

/** No epoch that layer 1 holds is left out before the task was settled, or between two that the report shows. */
function verifyNoneMissing({ report, ledger }: Inquiry): Promise<Finding[]> {
  return examine('epochs', (lies) => {
    const { events } = ledger.history;
    const shown = report.epochs.map(({ epoch }) => epoch);
    for (const [index, epoch] of shown.entries()) {
      const next = shown[index + 1];
      if (next !== undefined)
        lies.unless(next > epoch, `epoch ${next} comes after epoch ${epoch}: out of order or twice`);
    }
    const settled = events.find((it) => it.type === 'task-settled' && it.taskId === report.task.taskId);
    const last = Math.max(0, ...shown);
    for (const event of events) {
      if (event.type !== 'epoch' || shown.includes(event.epoch)) continue;
      const isDue = event.epoch < last || event.block < (settled?.block ?? 0);
      lies.unless(!isDue, `the report leaves out epoch ${event.epoch}, recorded in ${event.txHash}`);
    }
    const attestations = report.epochs.reduce((sum, { leaves }) => sum + leaves.length, 0);
    return `${shown.length} epochs without a gap, ${attestations} attestations`;
  });
}

/** Not a claim of the report, but what the draws were judged by. */
function describeRosters({ rosters }: Inquiry): Promise<Finding[]> {
  return examine('credit', () =>
    rosters.stopped === undefined
      ? `redone from genesis by the rules; its roots are those of all ${rosters.epochsMatched} epochs`
      : `redone from genesis for ${rosters.epochsMatched} epochs; ${rosters.stopped}, so later draws are bounded only`,
  );
}
