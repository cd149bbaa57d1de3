import { createEd25519Verifier } from '@nemea/consensus/ed25519';
import { bytesEqual, fromHex, merkleRoot } from '@nemea/core';
import {
  ATTESTORS_EXPECTED,
  answerDigest,
  attestAlpha,
  challengeBinding,
  type EpochLeaf,
} from '@nemea/membership';
import { contractAbis } from '../client/ledger.ts';
import { checkDraw, memberAround, spansAround } from './draws.ts';
import { parseEpochLeaf } from './epoch-leaf.ts';
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
    let possible = 0;
    for (const leaf of leaves)
      if (checkLeaf(inquiry, lies, epoch.epoch, seed, leaf) === 'possible') possible += 1;
    const affirming = leaves.filter(({ verdict }) => verdict !== 'contraindicated').length;
    const undecided = possible === 0 ? '' : ` (${possible} as far as credit is known)`;
    return `${leaves.length} drawn by VRF${undecided}, answered under the target's key; ${affirming} affirm`;
  });
}

/** Leaves rise by target, then attestor: nobody is counted twice. */
function checkOrder(report: Report, lies: Lies, leaves: readonly EpochLeaf[]): void {
  for (const [index, leaf] of leaves.entries()) {
    const next = leaves[index + 1];
    if (next === undefined) return;
    const isRising =
      leaf.target < next.target || (leaf.target === next.target && leaf.attestor < next.attestor);
    lies.unless(
      isRising,
      `${nameOf(report, next.attestor)} on ${nameOf(report, next.target)} is out of order or twice`,
    );
  }
}

const verifySignature = createEd25519Verifier();

function checkLeaf(inquiry: Inquiry, lies: Lies, epoch: number, epochSeed: Uint8Array, leaf: EpochLeaf) {
  const { report, ledger, rosters } = inquiry;
  // An epoch's attestations are judged before it closes.
  const when = { epoch, judgedEpoch: epoch };
  const what = `${nameOf(report, leaf.attestor)} on ${nameOf(report, leaf.target)}`;
  lies.unlessEqual(`epoch of ${what}`, leaf.epoch, epoch);
  lies.unless(leaf.attestor !== leaf.target, `${nameOf(report, leaf.target)} attests itself`);
  const target = memberAround(spansAround(rosters, when), leaf.target);
  const binding = challengeBinding({
    epoch,
    attestor: leaf.attestor,
    target: leaf.target,
    command: 'epoch',
  });
  lies.unless(
    target !== undefined &&
      verifySignature(target.peerKey, answerDigest({ binding, ...leaf }), leaf.answerSignature),
    `answer of ${nameOf(report, leaf.target)} to ${nameOf(report, leaf.attestor)} is not signed by its peer key`,
  );
  return checkDraw(
    inquiry,
    lies,
    {
      role: 'attestor',
      account: leaf.attestor,
      alpha: attestAlpha({ networkId: ledger.networkId, epochSeed }, leaf.target),
      proof: leaf.proof,
      expected: ATTESTORS_EXPECTED,
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
