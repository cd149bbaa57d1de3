import { CMW_KIND, EVIDENCE_MEDIA_TYPE, encodeEvidenceFile, wrapCmw } from '@nemea/attestation';
import { CodedError } from '@nemea/core';
import { readFile, writeFile } from '../files.ts';
import { readPcrs } from '../policy/learn.ts';

export class PackError extends CodedError<'CMW_FORM_UNKNOWN'> {}

export interface PackOptions {
  readonly attest: string;
  readonly signature: string;
  readonly pcrs: string;
  readonly out: string;
  readonly eventlog?: string;
  readonly ima?: string;
  readonly cmw?: string;
}

/** Writes an Evidence document and says how long it is. Evidence of other machines is bound to nothing but its nonce. */
export function packEvidence(options: PackOptions): number {
  const { cmw, eventlog, ima } = options;
  if (cmw !== undefined && cmw !== 'json' && cmw !== 'cbor') {
    throw new PackError('CMW_FORM_UNKNOWN', `wrapper: got ${cmw}, want json or cbor`);
  }
  const bare = encodeEvidenceFile({
    version: 2,
    attest: readFile(options.attest),
    signature: readFile(options.signature),
    pcrs: readPcrs(options.pcrs),
    log: [],
    binding: new Uint8Array(32),
    ...(eventlog === undefined ? {} : { eventLog: readFile(eventlog) }),
    ...(ima === undefined ? {} : { imaList: readFile(ima) }),
  });
  const wrapped = { type: EVIDENCE_MEDIA_TYPE, value: bare, indicator: CMW_KIND.evidence };
  const bytes = cmw === undefined ? bare : wrapCmw(wrapped, cmw);
  writeFile(options.out, bytes);
  return bytes.length;
}
