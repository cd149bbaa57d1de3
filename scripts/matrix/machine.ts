import {
  type Appraisal,
  appraise,
  failedClaims,
  LEVEL,
  type PcrValue,
  parseReferenceValues,
} from '@nemea/attestation';
import { parseEventLog, replayEventLog } from '@nemea/attestation/eventlog';
import { bootEvents, type WrittenEvent, writeAgileLog } from '@nemea/attestation/eventlog/testing';
import { learnPolicy } from '@nemea/attestation/learn';
import { encodeQuote, type QuoteFields, softwareAk } from '@nemea/attestation/testing';
import { fromHex, fromUtf8, sha256 } from '@nemea/core';
import { encodePcrSelection, pcrDigest } from '@nemea/tpm/structures';
import { readVector, readVectorJson } from './bytes.ts';

export interface RecordedBoot {
  readonly attest: string;
  readonly signature: string;
  readonly akPublic: string;
  readonly nonce: string;
  readonly pcrs: Readonly<Record<'sha1' | 'sha256' | 'sha384' | 'sha512', readonly string[]>>;
}

/** `OK`, or the reasons of all claims that keep the judge from affirming. */
export function codeOfAppraisal(input: Appraisal): string {
  const result = appraise(input);
  if (result.verdict === 'affirming') return 'OK';
  return failedClaims(result)
    .map(({ reason }) => reason)
    .join('+');
}

/** A machine that was booted to be recorded: its TPM's quote of PCR 0 to 15, and both logs, by the policy learnt from it. */
export function recordedMachine(name: 'ovmf-kernel' | 'ovmf-secure-boot'): Appraisal {
  const recorded = readVectorJson<RecordedBoot>(`eventlog/${name}.json`);
  const pcrs = recorded.pcrs.sha256.slice(0, 16).map((hex, pcr) => ({ pcr, value: fromHex(hex) }));
  const logs = {
    eventLog: readVector(`eventlog/${name}.bin`),
    imaList: readVector(`eventlog/${name}.ima.bin`),
  };
  const { policy, referenceValues } = learnPolicy({ level: LEVEL.development, pcrs, ...logs });
  return {
    evidence: {
      version: 2,
      attest: fromHex(recorded.attest),
      signature: fromHex(recorded.signature),
      pcrs,
      log: [],
      binding: new Uint8Array(32),
      ...logs,
    },
    endorsements: { akPublic: fromHex(recorded.akPublic), level: LEVEL.development },
    policy,
    referenceValues: parseReferenceValues(referenceValues),
    expected: { nonce: fromHex(recorded.nonce) },
    nowMs: 0,
  };
}

const NONCE = sha256(fromUtf8('nonce'));
const DYNAMIC = [17, 18, 19, 20, 21, 22];
const ak = softwareAk('machine');

/** What a machine of this test does otherwise than the honest one, and signs. */
export interface Misbehaviour {
  readonly events?: readonly WrittenEvent[];
  readonly log?: Uint8Array;
  /** Registers of a dynamic launch; the log says nothing about them. */
  readonly dynamic?: (pcr: number) => Uint8Array;
  readonly quote?: Partial<QuoteFields>;
}

export const BOOT = bootEvents(40);

/** A machine with Secure Boot, shim, GRUB and a dynamic launch, whose registers truly hold what its events extend. */
export function bootedMachine({
  events = BOOT,
  log,
  dynamic = launched,
  quote,
}: Misbehaviour = {}): Appraisal {
  const eventLog = log ?? writeAgileLog(['sha256'], events);
  const pcrs = registersOf(writeAgileLog(['sha256'], events), dynamic);
  const attest = encodeQuote({
    magic: 0xff544347,
    type: 0x8018,
    extraData: NONCE,
    clock: 1000n,
    resetCount: 5,
    restartCount: 1,
    safe: 1,
    selection: encodePcrSelection(pcrs.map(({ pcr }) => pcr)),
    pcrDigest: pcrDigest(pcrs.map(({ value }) => value)),
    trailing: new Uint8Array(0),
    ...quote,
  });
  return {
    evidence: { version: 2, attest, signature: ak.sign(attest), pcrs, log: [], binding: NONCE, eventLog },
    endorsements: { akPublic: ak.akPublic, level: LEVEL.development },
    ...demands(),
    expected: { nonce: NONCE },
    clockBefore: { clock: 1000n, resetCount: 5, restartCount: 1 },
    nowMs: 0,
  };
}

function launched(pcr: number): Uint8Array {
  return new Uint8Array(32).fill(pcr);
}

function registersOf(log: Uint8Array, dynamic: (pcr: number) => Uint8Array): PcrValue[] {
  const replayed = replayEventLog(parseEventLog(log)).get('sha256');
  const booted = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((pcr) => ({
    pcr,
    value: replayed?.get(pcr) ?? new Uint8Array(32),
  }));
  return [...booted, ...DYNAMIC.map((pcr) => ({ pcr, value: dynamic(pcr) }))];
}

/** The policy and reference values that the honest machine teaches, with the dynamic registers demanded as well. */
function demands(): Pick<Appraisal, 'policy' | 'referenceValues'> {
  const eventLog = writeAgileLog(['sha256'], BOOT);
  const pcrs = registersOf(eventLog, launched);
  const { policy, referenceValues } = learnPolicy({ level: LEVEL.development, pcrs, eventLog });
  const selected = { ...policy.pcrs, sha256: pcrs.map(({ pcr }) => pcr), exact: [] };
  return {
    policy: { ...policy, pcrs: selected },
    referenceValues: parseReferenceValues(referenceValues),
  };
}
