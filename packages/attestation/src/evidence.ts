import {
  boundedInteger,
  boundedList,
  boundedText,
  byteString,
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

export const EVENTS_MAX = 4096;
export const EVENT_NAME_BYTES_MAX = 128;
export const EVIDENCE_BYTES_MAX = 1 << 20;
const ATTEST_BYTES_MAX = 1024;
const SIGNATURE_BYTES_MAX = 1024;
const PCRS_MAX = 24;

const measuredEventSchema = z.strictObject({
  pcr: z.literal(MEASURED_PCR),
  kind: z.enum(['release', 'image', 'run']),
  digest: byteString(32),
  name: boundedText(EVENT_NAME_BYTES_MAX),
});

const pcrValueSchema = z.strictObject({ pcr: boundedInteger(PCRS_MAX - 1), value: byteString(32) });

const evidenceSchema = z.strictObject({
  version: z.literal(1),
  attest: byteString(1, ATTEST_BYTES_MAX),
  signature: byteString(1, SIGNATURE_BYTES_MAX),
  pcrs: boundedList(pcrValueSchema, PCRS_MAX, 1).refine(isAscending, 'want ascending PCR numbers'),
  log: boundedList(measuredEventSchema, EVENTS_MAX),
  binding: byteString(32),
});

/** One thing the node measured: a software release, a worker image, or a blinded commitment to a task run. */
export type MeasuredEvent = z.infer<typeof measuredEventSchema>;

export type PcrValue = z.infer<typeof pcrValueSchema>;

/** RFC 9334 Evidence: a quote exactly as signed, the PCR values and the log that explain it. Untrusted until appraised. */
export type Evidence = z.infer<typeof evidenceSchema>;

const codec = defineDocument<Evidence>({
  name: 'evidence',
  schema: evidenceSchema,
  bytesMax: EVIDENCE_BYTES_MAX,
  invalid: (message, cause) => new AttestationError('EVIDENCE_INVALID', message, { cause }),
});

/** Throws `EVIDENCE_INVALID`. Parsing says nothing about truth: only `appraise` does [ATT-1]. */
export function parseEvidence(bytes: Uint8Array): Evidence {
  return codec.parse(bytes);
}

export function encodeEvidence(evidence: Evidence): Uint8Array {
  return codec.encode(evidence);
}

const eventDigests = new BoundedCache<Uint8Array>(EVENTS_MAX);

/** What an event extends PCR 14 with. Remembered: the same releases and images stand in every log, every epoch. */
export function eventDigest(event: Omit<MeasuredEvent, 'pcr'>): Uint8Array {
  const id = `${event.kind} ${event.digest.length} ${cacheKey(event.digest)}${event.name}`;
  const known = eventDigests.get(id);
  if (known !== undefined) return known.slice();
  const digest = hashDomain('nemea/event/1', fromUtf8(event.kind), event.digest, fromUtf8(event.name));
  eventDigests.set(id, digest.slice());
  return digest;
}

export interface QualifyingDataParts {
  readonly networkId: Uint8Array;
  readonly challenge: Uint8Array;
  readonly binding: Uint8Array;
}

/** The quote's extraData: this network, this verifier's nonce, and whatever the quote must be bound to [ATT-2]. */
export function qualifyingData({ networkId, challenge, binding }: QualifyingDataParts): Uint8Array {
  for (const [name, bytes] of Object.entries({ networkId, challenge, binding })) {
    if (bytes.length !== 32) {
      throw new AttestationError('QUALIFYING_DATA_INVALID', `${name}: got ${bytes.length} bytes, want 32`);
    }
  }
  return hashDomain('nemea/evidence/1', networkId, challenge, binding);
}

function isAscending(pcrs: readonly { readonly pcr: number }[]): boolean {
  return pcrs.every((entry, i) => i === 0 || (pcrs[i - 1]?.pcr ?? entry.pcr) < entry.pcr);
}
