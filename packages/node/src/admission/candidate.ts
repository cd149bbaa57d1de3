import { collectEvidence, encodeEvidence, type MeasuredLog, type PcrReader } from '@nemea/attestation';
import { assert, CodedError, errorCode, sha256 } from '@nemea/core';
import { candidateId, type NodeRecord } from '@nemea/membership';
import { type Ledger, recoverVoter } from '@nemea/sdk';
import { eccPoint, parsePublicArea, toSpki } from '@nemea/tpm/structures';
import type { Logger } from 'pino';
import { type Clock, sleep } from '../ports/clock.ts';
import type { Device, DeviceIdentity } from '../ports/device.ts';
import type { Outward } from '../ports/transport.ts';
import {
  type AdmissionRequest,
  type AdmissionResponse,
  admissionRequestCodec,
  admissionResponseCodec,
  applicationCodec,
  encodeEndpoint,
  PROTOCOLS,
} from '../protocol.ts';
import { recordBinding, vrfCertificationData } from './judge.ts';

const REQUEST_TIMEOUT_MS = 15_000;
const POLL_MS = 300;

export type CandidateErrorCode = 'ADMISSION_REFUSED' | 'ADMISSION_TIMED_OUT' | 'ADMISSION_VOTE_INVALID';
export class CandidateError extends CodedError<CandidateErrorCode> {}

/** What a candidate shows of itself, and the TPM that stands behind it. */
export interface Candidate {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly tpm: PcrReader;
  readonly identity: DeviceIdentity;
  readonly measured: MeasuredLog;
  readonly eventLog?: Device['eventLog'];
  readonly ekChain: readonly Uint8Array[];
  readonly record: NodeRecord;
}

/** A member's door: reception address with PeerId. */
export interface Door {
  readonly account: string;
  readonly address: string;
}

/** A device as NodeRegistry would hold it. Unless somebody else is to own it, it belongs to its own account. */
export function recordOf(
  device: Pick<Device, 'account' | 'endpoint' | 'peerKey'> & {
    readonly identity: Pick<DeviceIdentity, 'ekPublic' | 'akPublic' | 'vrfPublic'>;
  },
  { level, owner = device.account }: { readonly level: number; readonly owner?: string | undefined },
): NodeRecord {
  const { account, endpoint, identity, peerKey } = device;
  const ak = point(identity.akPublic);
  const vrf = point(identity.vrfPublic);
  return {
    account,
    owner,
    peerKey,
    ekId: sha256(toSpki(parsePublicArea(identity.ekPublic))),
    akX: ak.x,
    akY: ak.y,
    vrfX: vrf.x,
    vrfY: vrf.y,
    level,
    endpoint: encodeEndpoint(endpoint),
  };
}

function point(publicArea: Uint8Array): { x: Uint8Array; y: Uint8Array } {
  const area = parsePublicArea(publicArea);
  assert(area.type === 'ecc', 'keys of an identity are ECC keys');
  const bytes = eccPoint(area);
  return { x: bytes.slice(1, 33), y: bytes.slice(33) };
}

/** The proof of trust without its fresh half. */
export async function buildApplication(candidate: Candidate): Promise<Uint8Array> {
  const { identity, ledger, record } = candidate;
  const certify = await identity.certifyVrf(vrfCertificationData(ledger.networkId, record.account));
  return applicationCodec.encode({
    record,
    ekChain: [...candidate.ekChain],
    ekPublic: identity.ekPublic,
    akPublic: identity.akPublic,
    vrfPublic: identity.vrfPublic,
    certify: { attest: certify.attest, signature: certify.signature },
    consent: await ledger.signVote({ type: 'Admission', record, epoch: 0 }),
  });
}

/**
 * Genesis: stands before every other genesis account once and collects their signatures until they outweigh two
 * thirds, its own included; then registers itself on layer 1 [ATT-19].
 */
export async function registerAtGenesis(
  candidate: Candidate,
  outward: Outward,
  doors: readonly Door[],
  accounts: number,
  timeoutMs: number,
): Promise<void> {
  const { ledger, logger, record } = candidate;
  const application = await buildApplication(candidate);
  const vote = { type: 'Admission', record, epoch: 0 } as const;
  const signatures = new Map([[record.account, await ledger.signVote(vote)]]);
  const deadline = candidate.clock.elapsedMs() + timeoutMs;
  await Promise.all(
    doors.map(async (door) => {
      const judged = await standBefore(candidate, outward, door, application, deadline);
      if (judged.vote === null) {
        throw new CandidateError(
          'ADMISSION_REFUSED',
          `${door.account} refused: ${judged.reasons.join('; ')}`,
        );
      }
      const signer = await recoverVoter(ledger.network, vote, judged.vote);
      if (signer !== door.account) {
        throw new CandidateError(
          'ADMISSION_VOTE_INVALID',
          `vote is signed by ${signer}, want ${door.account}`,
        );
      }
      signatures.set(signer, judged.vote);
    }),
  );
  logger.info({ signatures: signatures.size, accounts }, 'all genesis members affirm this node');
  const certificate = [...signatures].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, signature]) => signature);
  await ledger.submitVote(vote, certificate);
}

/**
 * Joins a running network: applies at every door, answers the judges that the VRF drew, and waits until consensus and
 * layer 1 agree. Each door is visited at a pace of its own: one that does not answer keeps nobody waiting. Throws
 * `ADMISSION_REFUSED` with every reason that a judge gave.
 */
export async function joinNetwork(
  candidate: Candidate,
  outward: Outward,
  doors: readonly Door[],
  timeoutMs: number,
): Promise<void> {
  const { clock, ledger, record } = candidate;
  const application = await buildApplication(candidate);
  const deadline = clock.elapsedMs() + timeoutMs;
  const findings: Findings = { reasons: new Set(), refusedBy: new Set(), isOver: false };
  for (const door of doors) void visit(candidate, outward, door, application, findings);
  try {
    for (;;) {
      await ledger.sync();
      if (isAdmitted(ledger, record.account)) return;
      const isRefused = findings.refusedBy.size * 2 > doors.length;
      if (isRefused || clock.elapsedMs() > deadline) throw refusedOrLate(findings.reasons, timeoutMs);
      await sleep(clock, POLL_MS);
    }
  } finally {
    findings.isOver = true;
  }
}

/** What a candidate has heard at the doors so far. */
interface Findings {
  readonly reasons: Set<string>;
  /** Doors that have turned it away in this epoch, or know that consensus has. */
  readonly refusedBy: Set<string>;
  isOver: boolean;
}

/** Applies at one door in every epoch, and stands trial there when its member is drawn, until all is over. */
async function visit(
  candidate: Candidate,
  outward: Outward,
  door: Door,
  application: Uint8Array,
  findings: Findings,
): Promise<void> {
  const { clock, ledger, logger, record } = candidate;
  let appliedEpoch = -1;
  let hasAnswered = false;
  const note = (reasons: readonly string[]): void => {
    for (const reason of reasons) findings.reasons.add(reason);
  };
  while (!findings.isOver) {
    try {
      const epoch = ledger.history.epochOf(ledger.history.head);
      if (epoch !== appliedEpoch) {
        const applied = await ask(outward, door, { kind: 'apply', application });
        appliedEpoch = epoch;
        hasAnswered = false;
        findings.refusedBy.delete(door.account);
        if (applied.kind === 'judged') {
          note(applied.reasons);
          findings.refusedBy.add(door.account);
        }
      }
      const outcome = await outcomeAt(outward, door, application, record);
      if (outcome === 'refused') findings.refusedBy.add(door.account);
      else if (!hasAnswered) {
        const judged = await oneTrial(candidate, outward, door, application);
        if (judged !== undefined) note(judged.reasons);
        hasAnswered = judged !== undefined;
      }
    } catch (error) {
      if (!findings.isOver)
        logger.warn({ door: door.account, code: errorCode(error) }, 'a door did not answer');
    }
    await sleep(clock, POLL_MS);
  }
}

function refusedOrLate(reasons: ReadonlySet<string>, timeoutMs: number): CandidateError {
  if (reasons.size === 0) {
    return new CandidateError('ADMISSION_TIMED_OUT', `not admitted within ${timeoutMs} ms`);
  }
  return new CandidateError('ADMISSION_REFUSED', `refused: ${[...reasons].join('; ')}`, {
    data: { reasons: [...reasons] },
  });
}

async function outcomeAt(
  outward: Outward,
  door: Door,
  application: Uint8Array,
  record: NodeRecord,
): Promise<'unknown' | 'open' | 'admitted' | 'refused'> {
  const response = await ask(outward, door, { kind: 'status', candidate: candidateOf(application, record) });
  return response.kind === 'status' ? response.outcome : 'unknown';
}

/** Asks one judge until it has judged; before genesis is under way a door may not be open yet. */
async function standBefore(
  candidate: Candidate,
  outward: Outward,
  door: Door,
  application: Uint8Array,
  deadline: number,
): Promise<Extract<AdmissionResponse, { kind: 'judged' }>> {
  for (;;) {
    try {
      const applied = await ask(outward, door, { kind: 'apply', application });
      if (applied.kind === 'judged') return applied;
      const judged = await oneTrial(candidate, outward, door, application);
      if (judged !== undefined) return judged;
    } catch (error) {
      if (candidate.clock.elapsedMs() > deadline) throw error;
      candidate.logger.debug({ door: door.account, code: errorCode(error) }, 'door is not open yet');
    }
    if (candidate.clock.elapsedMs() > deadline) {
      throw new CandidateError('ADMISSION_TIMED_OUT', `${door.account} did not judge in time`);
    }
    await sleep(candidate.clock, POLL_MS);
  }
}

/** One trial: challenge, activation, quote, verdict. Undefined while this door does not judge us. */
async function oneTrial(
  candidate: Candidate,
  outward: Outward,
  door: Door,
  application: Uint8Array,
): Promise<Extract<AdmissionResponse, { kind: 'judged' }> | undefined> {
  const id = candidateOf(application, candidate.record);
  const challenge = await ask(outward, door, { kind: 'challenge', candidate: id });
  if (challenge.kind === 'judged') return challenge;
  if (challenge.kind !== 'challenge') return undefined;
  const secret = await candidate.identity.activateCredential({
    credentialBlob: challenge.credentialBlob,
    encryptedSecret: challenge.encryptedSecret,
  });
  const evidence = await collectEvidence({
    tpm: candidate.tpm,
    identity: candidate.identity,
    log: candidate.measured,
    networkId: candidate.ledger.networkId,
    challenge: challenge.nonce,
    binding: recordBinding(candidate.record),
    eventLog: candidate.eventLog,
  });
  const judged = await ask(outward, door, {
    kind: 'answer',
    candidate: id,
    secret,
    evidence: encodeEvidence(evidence),
  });
  return judged.kind === 'judged' ? judged : undefined;
}

async function ask(outward: Outward, door: Door, request: AdmissionRequest): Promise<AdmissionResponse> {
  const response = await outward.request(
    door.address,
    PROTOCOLS.admission,
    admissionRequestCodec.encode(request),
    {
      timeoutMs: REQUEST_TIMEOUT_MS,
    },
  );
  return admissionResponseCodec.parse(response);
}

function candidateOf(application: Uint8Array, record: NodeRecord): Uint8Array {
  return candidateId(record, sha256(application));
}

function isAdmitted(ledger: Ledger, account: string): boolean {
  return ledger.history.weights().has(account);
}
