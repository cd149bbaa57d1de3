import {
  AttestationError,
  appraise,
  checkVrfCertification,
  failedClaims,
  LEVEL,
  parseEvidence,
  toAssuranceLevel,
  type Verdict,
} from '@nemea/attestation';
import {
  beginEnrolment,
  checkActivation,
  type Enrolment,
  verifyEkCertificate,
} from '@nemea/attestation/enrolment';
import { bytesEqual, CodedError, hashDomain, sha256, toHex } from '@nemea/core';
import { judgingPolicy, type NodeRecord } from '@nemea/membership';
import { type Ledger, LedgerError, recoverVoter, voteMessage } from '@nemea/sdk';
import { eccPoint, parsePublicArea } from '@nemea/tpm/structures';
import { toPeerAddress } from '../peers/peer-address.ts';
import { peerIdOf } from '../peers/peer-id.ts';
import type { Random } from '../ports/random.ts';
import { type Application, applicationCodec, parseEndpoint } from '../protocol.ts';

/** Devnet chains: their TPM makers are whoever started them, so no certificate of theirs can mean hardware. */
const DEVELOPMENT_CHAINS: ReadonlySet<number> = new Set([31_337]);

/** NodeStatus.Active, as layer 1 numbers it. */
const STATUS_ACTIVE = '1';

export class JudgeError extends CodedError<'APPLICATION_INVALID'> {}

/** What a candidate's fresh quote is bound to: its whole record, peer and account keys included [ATT-18]. */
export function recordBinding(record: NodeRecord): Uint8Array {
  return hashDomain(
    'nemea/record/1',
    new TextEncoder().encode(record.account),
    new TextEncoder().encode(record.owner),
    record.peerKey,
    record.ekId,
    record.akX,
    record.akY,
    record.vrfX,
    record.vrfY,
    Uint8Array.of(record.level),
    new TextEncoder().encode(record.endpoint),
  );
}

/** What the AK signs when it certifies the VRF key: this account, on this network. */
export function vrfCertificationData(networkId: Uint8Array, account: string): Uint8Array {
  return hashDomain('nemea/vrf-key/1', networkId, new TextEncoder().encode(account));
}

/** A candidate whose papers are in order, waiting for its TPM to prove that it is there. */
export interface Trial {
  readonly application: Application;
  readonly enrolment: Enrolment;
  readonly nonce: Uint8Array;
}

/**
 * First half of judging: the endorsement chain up to a root that layer 1 approves, the keys' profiles, the VRF key's
 * certification, and that layer 1 would register the record. Throws a coded error that names the first thing that is
 * wrong [ATT-16].
 */
export async function beginTrial(
  ledger: Ledger,
  applicationBytes: Uint8Array,
  { nowMs, random }: { nowMs: number; random: Random },
): Promise<Trial> {
  const application = applicationCodec.parse(applicationBytes);
  const { record } = application;
  const ekCertificate = verifyEkCertificate({
    chain: application.ekChain,
    roots: trustedRoots(ledger, application.ekChain),
    nowMs,
  });
  requireEqual('ekId', record.ekId, ekCertificate.ekId);
  if (record.level !== ekCertificate.level) {
    throw new JudgeError('APPLICATION_INVALID', `level: got ${record.level}, want ${ekCertificate.level}`);
  }
  requirePoint('ak', application.akPublic, record.akX, record.akY);
  requirePoint('vrf', application.vrfPublic, record.vrfX, record.vrfY);
  checkVrfCertification({
    attest: application.certify.attest,
    signature: application.certify.signature,
    akPublic: application.akPublic,
    vrfPublic: application.vrfPublic,
    qualifyingData: vrfCertificationData(ledger.networkId, record.account),
  });
  await requireAdmissible(ledger, record);
  const enrolment = beginEnrolment({
    ekPublic: application.ekPublic,
    endorsement: ekCertificate,
    akPublic: application.akPublic,
    secret: random(32),
    random,
  });
  return { application, enrolment, nonce: random(32) };
}

/** Second half: the activated credential and the fresh quote. Returns every reason, whatever the verdict. */
export function concludeTrial(
  ledger: Ledger,
  trial: Trial,
  answer: { secret: Uint8Array; evidence: Uint8Array },
  nowMs: number,
): { verdict: Verdict; reasons: string[]; resultDigest: Uint8Array } {
  const { record } = trial.application;
  const reasons: string[] = [];
  if (!checkActivation(trial.enrolment, answer.secret)) {
    reasons.push('CREDENTIAL_WRONG: the attestation key is not in the TPM of the endorsement key');
  }
  let verdict: Verdict = 'contraindicated';
  try {
    const result = appraise({
      evidence: parseEvidence(answer.evidence),
      endorsements: { akPublic: trial.application.akPublic, level: toAssuranceLevel(record.level) },
      referenceValues: {
        releases: ledger.history.approvedReleases(ledger.history.head),
        images: ledger.history.approvedImages(ledger.history.head),
      },
      policy: judgingPolicy,
      expected: { networkId: ledger.networkId, challenge: trial.nonce, binding: recordBinding(record) },
      nowMs,
    });
    for (const claim of failedClaims(result)) reasons.push(`${claim.reason}: ${claim.detail}`);
    verdict = reasons.length === 0 || result.verdict === 'warning' ? result.verdict : 'contraindicated';
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    reasons.push(`${error.code}: ${error.message}`);
  }
  if (reasons.some((reason) => reason.startsWith('CREDENTIAL_WRONG'))) verdict = 'contraindicated';
  return {
    verdict,
    reasons,
    resultDigest: sha256(new TextEncoder().encode(`${verdict}\n${reasons.join('\n')}`)),
  };
}

/** Roots come with the chain, as digests they stand on layer 1: whoever approved the digest approved the root. */
function trustedRoots(ledger: Ledger, chain: readonly Uint8Array[]) {
  const approved = ledger.history.approved('ek-root', ledger.history.head);
  const levelMax = DEVELOPMENT_CHAINS.has(ledger.network.chainId) ? LEVEL.development : LEVEL.hardware;
  return chain
    .filter((certificate) => approved.has(toHex(sha256(certificate))))
    .map((certificate) => ({ certificate, levelMax }));
}

function requirePoint(name: string, publicArea: Uint8Array, x: Uint8Array, y: Uint8Array): void {
  const area = parsePublicArea(publicArea);
  if (area.type !== 'ecc')
    throw new JudgeError('APPLICATION_INVALID', `${name}: got ${area.type}, want an ecc key`);
  const point = eccPoint(area);
  requireEqual(`${name}X`, x, point.slice(1, 33));
  requireEqual(`${name}Y`, y, point.slice(33));
}

function requireEqual(field: string, got: Uint8Array, want: Uint8Array): void {
  if (!bytesEqual(got, want)) {
    throw new JudgeError('APPLICATION_INVALID', `${field}: got ${toHex(got)}, want ${toHex(want)}`);
  }
}

/**
 * Nobody is judged, and no member's time is spent, before the cheap checks: who asks holds the record's peer key, the
 * account agreed to this very record, layer 1 would register it, and its addresses are such that members can dial them
 * [ATT-15].
 */
export async function requireStanding(
  ledger: Ledger,
  peer: string,
  { record, consent }: Application,
): Promise<void> {
  if (peerIdOf(record.peerKey) !== peer) {
    throw new JudgeError('APPLICATION_INVALID', `peer key: application of another peer than ${peer}`);
  }
  const signer = await recoverVoter(ledger.network, { type: 'Admission', record, epoch: 0 }, consent);
  if (signer !== record.account) {
    throw new JudgeError('APPLICATION_INVALID', `consent: signed by ${signer}, want ${record.account}`);
  }
  const endpoint = parseEndpoint(record.endpoint);
  for (const address of [endpoint.overlay, endpoint.reception]) toPeerAddress(peer, address);
  try {
    await requireAdmissible(ledger, record);
  } catch (error) {
    // Whoever has just become a member asks on until it sees that itself; other members are known by the roster.
    if (!(error instanceof JudgeError && isActiveAlready(error))) throw error;
  }
}

/** Layer 1 would register the record now: one that only consensus admits would be a member without a stake [MEMB-15]. */
async function requireAdmissible(ledger: Ledger, record: NodeRecord): Promise<void> {
  const epoch = ledger.history.epochOf(ledger.history.head);
  const admission = voteMessage({ type: 'Admission', record, epoch });
  try {
    await ledger.read('nodeRegistry', 'requireAdmissible', [admission]);
  } catch (error) {
    if (!(error instanceof LedgerError) || error.code !== 'LEDGER_REVERTED') throw error;
    const { error: name, args } = refusalOf(error);
    throw new JudgeError('APPLICATION_INVALID', `layer 1 refuses: ${name}(${args.join(', ')})`, {
      data: error.data,
      cause: error,
    });
  }
}

function isActiveAlready(refused: JudgeError): boolean {
  const { error, args } = refusalOf(refused);
  return error === 'AlreadyAdmitted' && args[1] === STATUS_ACTIVE;
}

function refusalOf({ data }: CodedError): { error: string; args: readonly string[] } {
  const { error, args = [] } = data as { error: string; args?: readonly string[] };
  return { error, args };
}
