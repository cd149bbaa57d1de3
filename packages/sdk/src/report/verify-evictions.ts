import {
  type AttestationResult,
  appraise,
  failedClaims,
  parseEvidence,
  toAssuranceLevel,
} from '@nemea/attestation';
import { createEd25519Verifier } from '@nemea/consensus/ed25519';
import { errorCode, fromHex, sha256 } from '@nemea/core';
import {
  ATTESTORS_EXPECTED,
  akPublicArea,
  answerDigest,
  attestAlpha,
  attestOutput,
  challengeBinding,
  EVICTION_REASONS,
  judgingPolicy,
  mayDraw,
  type NodeRecord,
  softwareEver,
} from '@nemea/membership';
import { contractAbis } from '../client/ledger.ts';
import { checkDraw } from './draws.ts';
import { examine, type Finding, type Lies } from './finding.ts';
import { hex0x, type Inquiry, minedTo, nameOf, readKnown } from './inquiry.ts';
import type { Report } from './report.ts';
import { checkCertificate, decodeCall } from './vote-certificate.ts';

type Eviction = Report['evictions'][number];

const STATUS_EVICTED = 2;

/** Each eviction is deserved: anybody who judges the evidence by the policy of layer 1 comes to the same verdict. */
export async function verifyEvictions(inquiry: Inquiry): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const eviction of inquiry.report.evictions) {
    findings.push(...(await verifyRecord(inquiry, eviction)), ...(await verifyAccusation(inquiry, eviction)));
  }
  return [...findings, ...(await verifyAllShown(inquiry))];
}

function verifyRecord(inquiry: Inquiry, eviction: Eviction): Promise<Finding[]> {
  return examine(`eviction of ${nameOf(inquiry.report, eviction.account)}`, async (lies) => {
    const mined = await minedTo(inquiry, lies, 'nodeRegistry', eviction.txHash);
    if (mined === undefined) return '';
    const call = decodeCall(contractAbis.nodeRegistry, mined);
    if (call?.functionName !== 'evict') {
      lies.add(`transaction ${eviction.txHash} evicts nobody`);
      return '';
    }
    const [message, signatures] = call.args;
    const signed = await checkCertificate(inquiry, lies, { type: 'Eviction', message, signatures, mined });
    lies.unlessEqual('account that was evicted', message.account.toLowerCase(), eviction.account);
    lies.unlessEqual('epoch', eviction.epoch, Number(message.epoch));
    lies.unlessEqual('reason', message.reason, EVICTION_REASONS.CONTRADICTING_EVIDENCE);
    lies.unlessEqual(
      'digest of the evidence',
      hex0x(sha256(fromHex(eviction.evidence))),
      message.evidenceDigest,
    );
    lies.unlessEqual('gas', eviction.gasUsed, mined.gasUsed);
    const standing = await describeStanding(inquiry, lies, eviction.account, mined.block);
    return `${signed}; ${standing}`;
  });
}

/** Unless it was admitted again since, the registry holds no deposit and no credit of an evicted node. */
async function describeStanding(
  { ledger }: Inquiry,
  lies: Lies,
  account: string,
  block: number,
): Promise<string> {
  const isBack = ledger.history.standings(account).some((it) => it.block > block && it.isActive);
  const node = await readKnown<{ status: number; credit: number; deposit: bigint }>(
    ledger,
    'nodeRegistry',
    'node',
    [account],
  );
  if (isBack || node === undefined) return 'it was admitted again since';
  lies.unlessEqual('status on layer 1', node.status, STATUS_EVICTED);
  lies.unlessEqual('credit on layer 1', node.credit, 0);
  lies.unlessEqual('deposit on layer 1', node.deposit, 0n);
  return 'deposit and credit are gone';
}

function verifyAccusation(inquiry: Inquiry, eviction: Eviction): Promise<Finding[]> {
  const { report, ledger } = inquiry;
  return examine(`evidence against ${nameOf(report, eviction.account)}`, (lies) => {
    const epochSeed = ledger.history.epochSeed(eviction.epoch);
    const evicted = ledger.history.events.find(({ txHash }) => txHash === eviction.txHash);
    const block = evicted?.block ?? ledger.history.head;
    const target = ledger.history.recordAt(eviction.account, block);
    if (epochSeed === undefined || target === undefined) {
      lies.add(epochSeed === undefined ? `epoch ${eviction.epoch} never began` : 'it was no member');
      return '';
    }
    const draw = { networkId: ledger.networkId, epochSeed };
    const drawn = checkDraw(
      inquiry,
      lies,
      {
        role: 'accuser',
        account: eviction.accuser,
        alpha: attestAlpha(draw),
        outputOf: (beta) => attestOutput(draw, beta, eviction.account),
        proof: fromHex(eviction.proof),
        expected: ATTESTORS_EXPECTED,
        isEligible: mayDraw,
      },
      { epoch: eviction.epoch, judgedEpoch: ledger.history.epochOf(block) },
    );
    const why = judgeEvidence(inquiry, lies, eviction, target, block);
    const how = drawn === 'possible' ? 'could be drawn, as far as credit is known' : 'was drawn';
    return `${nameOf(report, eviction.accuser)} ${how}; ${why}`;
  });
}

const verifySignature = createEd25519Verifier();

/** Judges the evidence again, as every member did. Returns what condemns it, in words. */
function judgeEvidence(
  { ledger }: Inquiry,
  lies: Lies,
  eviction: Eviction,
  target: NodeRecord,
  block: number,
): string {
  const evidence = fromHex(eviction.evidence);
  const nonce = fromHex(eviction.nonce);
  const binding = challengeBinding({
    epoch: eviction.epoch,
    attestor: eviction.accuser,
    target: eviction.account,
    command: 'epoch',
  });
  const answer = answerDigest({ binding, nonce, evidenceDigest: sha256(evidence) });
  lies.unless(
    verifySignature(target.peerKey, answer, fromHex(eviction.answerSignature)),
    'the evidence is not signed by the peer key of the accused',
  );
  let result: AttestationResult;
  try {
    result = appraise({
      evidence: parseEvidence(evidence),
      endorsements: {
        akPublic: akPublicArea(target.akX, target.akY),
        level: toAssuranceLevel(target.level),
      },
      referenceValues: softwareEver(ledger.history, block),
      policy: judgingPolicy,
      expected: { networkId: ledger.networkId, challenge: nonce, binding },
      nowMs: 0,
    });
  } catch (error) {
    // Garbage under the node's own signature condemns it as well.
    if (errorCode(error) === 'EVIDENCE_INVALID') return 'the accused signed what is no evidence';
    throw error;
  }
  lies.unless(
    result.verdict === 'contraindicated',
    `the evidence is ${result.verdict}: an honest node was evicted`,
  );
  const claims = failedClaims(result).map(({ name, reason }) => `${name} ${reason}`);
  return `its own TPM tells on it: ${claims.join(', ')}`;
}

function verifyAllShown({ report, ledger }: Inquiry): Promise<Finding[]> {
  return examine('evictions', (lies) => {
    const shown = report.evictions.map(({ txHash }) => txHash);
    lies.unlessEqual('different evictions', new Set(shown).size, shown.length);
    const evicted = ledger.history.events.filter((event) => event.type === 'node-evicted');
    for (const node of report.nodes.filter(({ status }) => status === 'evicted')) {
      const isOnLedger = evicted.some(({ account }) => account === node.account);
      const isShown = report.evictions.some(({ account }) => account === node.account);
      lies.unless(!isOnLedger || isShown, `the report does not say why ${node.name} was evicted`);
    }
    for (const { account } of report.evictions) {
      const node = report.nodes.find((it) => it.account === account);
      lies.unless(node?.status === 'evicted', `${nameOf(report, account)} is not among the evicted nodes`);
    }
    return `${shown.length} on layer 1, each with its evidence`;
  });
}
