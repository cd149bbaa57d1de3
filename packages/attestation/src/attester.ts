import { bytesEqual } from '@nemea/core';
import { parseAttest, pcrDigest } from '@nemea/tpm/structures';
import { AttestationError } from './errors.ts';
import { type Evidence, QUOTED_PCRS, qualifyingData } from './evidence.ts';
import type { MeasuredLog, PcrReader } from './measured-log.ts';

/** What holds the node's attestation key: signs the given PCRs of the SHA-256 bank. */
export interface Quoter {
  quote(request: {
    readonly pcrs: readonly number[];
    readonly qualifyingData: Uint8Array;
  }): Promise<{ readonly attest: Uint8Array; readonly signature: Uint8Array }>;
}

export interface EvidenceRequest {
  readonly tpm: PcrReader;
  readonly identity: Quoter;
  readonly log: MeasuredLog;
  readonly networkId: Uint8Array;
  readonly challenge: Uint8Array;
  readonly binding: Uint8Array;
  /** Reads the firmware's event log, of a machine that measures its boot. */
  readonly eventLog?: (() => Promise<Uint8Array>) | undefined;
}

const ATTEMPTS_MAX = 8;

/**
 * Collects Evidence for a challenge. PCR values and quote are two commands; when another process extends a register
 * between them, they are taken again. Throws `EVIDENCE_UNSTABLE` when the registers do not come to rest.
 */
export async function collectEvidence(request: EvidenceRequest): Promise<Evidence> {
  const { tpm, identity, log, binding, eventLog } = request;
  const nonce = qualifyingData(request);
  return log.exclusive(async (events) => {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const pcrs = await tpm.pcrRead(QUOTED_PCRS);
      const { attest, signature } = await identity.quote({ pcrs: QUOTED_PCRS, qualifyingData: nonce });
      const quote = parseAttest(attest);
      if (quote.type !== 'quote' || !bytesEqual(quote.pcrDigest, pcrDigest(pcrs.map(({ value }) => value))))
        continue;
      const artefacts = eventLog === undefined ? {} : { eventLog: await eventLog() };
      return { version: 2, attest, signature, pcrs, log: [...events], binding, ...artefacts };
    }
    throw new AttestationError('EVIDENCE_UNSTABLE', `PCR values changed during ${ATTEMPTS_MAX} quotes`);
  });
}
