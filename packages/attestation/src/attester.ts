import { bytesEqual } from '@nemea/core';
import { parseAttest, pcrDigest } from '@nemea/tpm/structures';
import { AttestationError } from './errors.ts';
import { type Evidence, QUOTED_PCRS, qualifyingData } from './evidence.ts';
import type { MeasuredLog, PcrReader } from './measured-log.ts';

/** What holds the attestation key: signs the given PCRs of the SHA-256 bank. */
export interface Quoter {
  quote(request: {
    readonly pcrs: readonly number[];
    readonly qualifyingData: Uint8Array;
  }): Promise<{ readonly attest: Uint8Array; readonly signature: Uint8Array }>;
}

/** What a node's evidence is collected from, and for whom. */
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
    const quoted = await quotePcrs({ tpm, identity, pcrs: QUOTED_PCRS, nonce });
    const artefacts = eventLog === undefined ? {} : { eventLog: await eventLog() };
    return { version: 2, ...quoted, log: [...events], binding, ...artefacts };
  });
}

/** What any machine's evidence is collected from: TPM, key, nonce and logs. */
export interface MachineEvidenceRequest {
  readonly tpm: PcrReader;
  readonly identity: Quoter;
  /** What the verifier's policy selects of the SHA-256 bank. */
  readonly pcrs: readonly number[];
  /** The verifier's challenge, at most 64 bytes. */
  readonly nonce: Uint8Array;
  /** Reads the firmware's event log, and the kernel's IMA list: after the quote, for the list goes on growing. */
  readonly eventLog?: (() => Promise<Uint8Array>) | undefined;
  readonly imaList?: (() => Promise<Uint8Array>) | undefined;
}

/**
 * Collects Evidence of any machine with a TPM, outside this network: a quote over the bare nonce and the logs that
 * explain it. Throws `EVIDENCE_UNSTABLE`.
 */
export async function collectMachineEvidence(request: MachineEvidenceRequest): Promise<Evidence> {
  const { eventLog, imaList } = request;
  const quoted = await quotePcrs(request);
  return {
    version: 2,
    ...quoted,
    log: [],
    binding: UNBOUND,
    ...(eventLog === undefined ? {} : { eventLog: await eventLog() }),
    ...(imaList === undefined ? {} : { imaList: await imaList() }),
  };
}

/** Evidence of other machines is bound to nothing but its nonce. */
const UNBOUND = new Uint8Array(32);

async function quotePcrs({
  tpm,
  identity,
  pcrs,
  nonce,
}: Pick<MachineEvidenceRequest, 'tpm' | 'identity' | 'pcrs' | 'nonce'>): Promise<
  Pick<Evidence, 'attest' | 'signature' | 'pcrs'>
> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const values = await tpm.pcrRead(pcrs);
    const { attest, signature } = await identity.quote({ pcrs, qualifyingData: nonce });
    const quote = parseAttest(attest);
    const isSame =
      quote.type === 'quote' && bytesEqual(quote.pcrDigest, pcrDigest(values.map(({ value }) => value)));
    if (isSame) return { attest, signature, pcrs: [...values] };
  }
  throw new AttestationError('EVIDENCE_UNSTABLE', `PCR values changed during ${ATTEMPTS_MAX} quotes`);
}
