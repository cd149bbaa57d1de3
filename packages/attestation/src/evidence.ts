import {
  boundedInteger,
  boundedList,
  boundedText,
  byteString,
  type DocumentCodec,
  defineDocument,
  fromUtf8,
  hashDomain,
} from '@nemea/core';
import { z } from 'zod';
import { BoundedCache, cacheKey } from './bounded-cache.ts';
import { AttestationError } from './errors.ts';

/** Firmware and boot configuration (PCR 0 to 7), and the software that the node measured itself. */
export const QUOTED_PCRS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 14];

/** The register that the node's own software is measured into. */
export const MEASURED_PCR = 14;

/** The most events in the log of PCR 14. */
export const EVENTS_MAX = 4096;
/** The longest name of a measured event. */
export const EVENT_NAME_BYTES_MAX = 128;
/**
 * What a peer may send: a quote, the measured log, and a firmware event log of several times the usual size. No more than
 * an ordered operation carries, because whoever shows bad evidence is accused with it [ATT-14].
 */
export const EVIDENCE_BYTES_MAX = 240 << 10;
/** What may be read from a file, where an IMA list of a long-running machine has its place. */
export const EVIDENCE_FILE_BYTES_MAX = 36 << 20;
/** The longest TCG event log in evidence. */
export const EVENT_LOG_BYTES_MAX = 1 << 20;
/** The longest IMA list in evidence. */
export const IMA_LIST_BYTES_MAX = 32 << 20;
const ATTEST_BYTES_MAX = 1024;
const SIGNATURE_BYTES_MAX = 1024;
const PCRS_MAX = 24;

const measuredEventSchema = z.strictObject({
  pcr: z.literal(MEASURED_PCR),
  kind: z.enum(['release', 'image', 'run']),
  digest: byteString(32),
  name: boundedText(EVENT_NAME_BYTES_MAX),
});

function pcrBank(digestBytes: number) {
  const pcrValue = z.strictObject({ pcr: boundedInteger(PCRS_MAX - 1), value: byteString(digestBytes) });
  return boundedList(pcrValue, PCRS_MAX, 1).refine(isAscending, 'want ascending PCR numbers');
}

const evidenceSchema = z.strictObject({
  version: z.literal(2),
  attest: byteString(1, ATTEST_BYTES_MAX),
  signature: byteString(1, SIGNATURE_BYTES_MAX),
  /** The SHA-256 bank. */
  pcrs: pcrBank(32),
  /** The SHA-384 bank, when the quote covers it as well. */
  pcrsSha384: z.exactOptional(pcrBank(48)),
  log: boundedList(measuredEventSchema, EVENTS_MAX),
  binding: byteString(32),
  /** The TCG event log as the kernel gives it (binary_bios_measurements). */
  eventLog: z.exactOptional(byteString(1, EVENT_LOG_BYTES_MAX)),
  /** The IMA measurement list as the kernel gives it, ASCII or binary. */
  imaList: z.exactOptional(byteString(1, IMA_LIST_BYTES_MAX)),
});

/** One thing the node measured: a software release, a worker image, or a blinded commitment to a task run. */
export type MeasuredEvent = z.infer<typeof measuredEventSchema>;

/** A register of the SHA-256 bank, or of the one that the field names. */
export interface PcrValue {
  readonly pcr: number;
  readonly value: Uint8Array;
}

/** RFC 9334 Evidence: a quote exactly as signed, the PCR values and the log that explain it. Untrusted until appraised. */
export type Evidence = z.infer<typeof evidenceSchema>;

const codec = evidenceCodec(EVIDENCE_BYTES_MAX);
const fileCodec = evidenceCodec(EVIDENCE_FILE_BYTES_MAX);

function evidenceCodec(bytesMax: number): DocumentCodec<Evidence> {
  return defineDocument<Evidence>({
    name: 'evidence',
    schema: evidenceSchema,
    bytesMax,
    invalid: (message, cause) => new AttestationError('EVIDENCE_INVALID', message, { cause }),
  });
}

/** Throws `EVIDENCE_INVALID`. Parsing says nothing about truth: only `appraise` does [ATT-1]. */
export function parseEvidence(bytes: Uint8Array): Evidence {
  return codec.parse(bytes);
}

/** The document as peers send it. Throws `EVIDENCE_INVALID`, for what is too long too. */
export function encodeEvidence(evidence: Evidence): Uint8Array {
  return codec.encode(evidence);
}

/** As `parseEvidence`, for evidence that somebody chose to read, and with room for its IMA list. */
export function parseEvidenceFile(bytes: Uint8Array): Evidence {
  return fileCodec.parse(bytes);
}

/** The document as files hold it, which may be longer. Throws `EVIDENCE_INVALID`. */
export function encodeEvidenceFile(evidence: Evidence): Uint8Array {
  return fileCodec.encode(evidence);
}

const eventDigests = new BoundedCache<Uint8Array>(EVENTS_MAX);

/** What an event extends PCR 14 with. Remembered: the same releases and images stand in every log, every epoch. */
export function eventDigest(event: Omit<MeasuredEvent, 'pcr'>): Uint8Array {
  return knownEventDigest(event).slice();
}

/** As `eventDigest`, for readers only: the array is the remembered one. */
export function knownEventDigest(event: Omit<MeasuredEvent, 'pcr'>): Uint8Array {
  const id = `${event.kind} ${event.digest.length} ${cacheKey(event.digest)}${event.name}`;
  let digest = eventDigests.get(id);
  if (digest === undefined) {
    digest = hashDomain('nemea/event/1', fromUtf8(event.kind), event.digest, fromUtf8(event.name));
    eventDigests.set(id, digest);
  }
  return digest;
}

/** What a node's quote is bound to [ATT-2]. */
export interface QualifyingDataParts {
  readonly networkId: Uint8Array;
  readonly challenge: Uint8Array;
  readonly binding: Uint8Array;
}

/** The quote's extraData: this network, this verifier's nonce, and whatever the quote must be bound to [ATT-2]. */
export function qualifyingData({ networkId, challenge, binding }: QualifyingDataParts): Uint8Array {
  checkLength('networkId', networkId);
  checkLength('challenge', challenge);
  checkLength('binding', binding);
  return hashDomain('nemea/evidence/1', networkId, challenge, binding);
}

function checkLength(name: string, bytes: Uint8Array): void {
  if (bytes.length !== 32) {
    throw new AttestationError('QUALIFYING_DATA_INVALID', `${name}: got ${bytes.length} bytes, want 32`);
  }
}

function isAscending(pcrs: readonly { readonly pcr: number }[]): boolean {
  return pcrs.every((entry, i) => i === 0 || (pcrs[i - 1]?.pcr ?? entry.pcr) < entry.pcr);
}
