import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { ByteWriter, concatBytes, fromHex, fromUtf8, sha256, toHex } from '@nemea/core';
import {
  encodePcrSelection,
  encodePublicArea,
  parsePublicArea,
  pcrDigest,
  TEMPLATES,
} from '@nemea/tpm/structures';
import { p256 } from '@noble/curves/nist.js';
import type { Appraisal } from './appraisal.ts';
import { parseEventLog, replayEventLog } from './eventlog/index.ts';
import { type WrittenEvent, writeAgileLog } from './eventlog/testing.ts';
import { type Evidence, type MeasuredEvent, QUOTED_PCRS, qualifyingData } from './evidence.ts';
import { parseImaList } from './ima/index.ts';
import { LEVEL } from './level.ts';
import { type AppraisalPolicy, parsePolicy } from './policy.ts';
import { replayLog } from './replay.ts';

/** For tests: an attestation key in software, which signs what no TPM would. */
export interface SoftwareAk {
  readonly akPublic: Uint8Array;
  /** TPMT_SIGNATURE, ECDSA P-256 SHA-256. */
  sign(attest: Uint8Array): Uint8Array;
}

export function softwareAk(seed: string): SoftwareAk {
  const secret = sha256(fromUtf8(seed));
  const point = p256.getPublicKey(secret, false);
  const [x, y] = [point.slice(1, 33), point.slice(33)];
  const template = parsePublicArea(TEMPLATES.ak);
  if (template.type !== 'ecc') throw new Error('the AK template is not ECC');
  const key = importKey(secret, x, y);
  return {
    akPublic: encodePublicArea({ ...template, x, y }),
    sign(attest) {
      const rs = new Uint8Array(sign('sha256', attest, { key, dsaEncoding: 'ieee-p1363' }));
      return encodeSignature(rs.slice(0, 32), rs.slice(32));
    },
  };
}

export function encodeSignature(r: Uint8Array, s: Uint8Array, scheme = 0x0018, hashAlg = 0x000b): Uint8Array {
  const writer = new ByteWriter().u16(scheme).u16(hashAlg);
  return writer.u16(r.length).bytes(r).u16(s.length).bytes(s).toBytes();
}

function importKey(secret: Uint8Array, x: Uint8Array, y: Uint8Array): KeyObject {
  const text = (part: Uint8Array): string => Buffer.from(part).toString('base64url');
  const key = { kty: 'EC', crv: 'P-256', d: text(secret), x: text(x), y: text(y) };
  return createPrivateKey({ key, format: 'jwk' });
}

export interface QuoteFields {
  readonly magic: number;
  readonly type: number;
  readonly extraData: Uint8Array;
  readonly clock: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly safe: number;
  readonly selection: Uint8Array;
  readonly pcrDigest: Uint8Array;
  readonly trailing: Uint8Array;
}

/** TPMS_ATTEST of a quote, field by field. */
export function encodeQuote(fields: QuoteFields): Uint8Array {
  const signer = concatBytes(fromHex('000b'), sha256(fromUtf8('qualified signer')));
  return new ByteWriter()
    .u32(fields.magic)
    .u16(fields.type)
    .u16(signer.length)
    .bytes(signer)
    .u16(fields.extraData.length)
    .bytes(fields.extraData)
    .u64(fields.clock)
    .u32(fields.resetCount)
    .u32(fields.restartCount)
    .u8(fields.safe)
    .u64(0x2019102300163636n)
    .bytes(fields.selection)
    .u16(fields.pcrDigest.length)
    .bytes(fields.pcrDigest)
    .bytes(fields.trailing)
    .toBytes();
}

function digestOf(text: string): Uint8Array {
  return sha256(fromUtf8(text));
}

export const RELEASE: MeasuredEvent = {
  pcr: 14,
  kind: 'release',
  digest: digestOf('release 1'),
  name: 'nemea 0.1.0',
};
export const IMAGE: MeasuredEvent = { pcr: 14, kind: 'image', digest: digestOf('image 1'), name: 'python' };
export const RUN: MeasuredEvent = { pcr: 14, kind: 'run', digest: digestOf('run 1'), name: '' };

export const EXPECTED = {
  networkId: digestOf('network'),
  challenge: digestOf('challenge'),
  binding: digestOf('binding'),
};

/** What a network of nodes with software TPMs demands of each other. */
export const NODE_POLICY: AppraisalPolicy = parsePolicy({
  version: 1,
  levelMin: LEVEL.development,
  clock: { unsafe: 'warn' },
  pcrs: { sha256: QUOTED_PCRS },
  firmware: { unmeasured: 'allow', keys: 'any', authorities: 'any', loaders: 'any', findings: 'any' },
  ima: { list: 'not-demanded' },
});

/** What differs from an honest appraisal. `quote` is signed as given; the other parts are changed after signing. */
export interface Deviation {
  readonly log?: readonly MeasuredEvent[];
  readonly firmware?: Uint8Array;
  /** What firmware and boot loader measured, all of it in the event log. */
  readonly boot?: readonly WrittenEvent[];
  readonly quote?: Partial<QuoteFields>;
  readonly evidence?: (honest: Evidence) => Partial<Evidence>;
  readonly appraisal?: Partial<Appraisal>;
}

/** An appraisal of Evidence by a software attester, honest but for the deviation. */
export function appraisalOf(deviation: Deviation = {}): Appraisal {
  const ak = softwareAk('ak');
  const log = deviation.log ?? [RELEASE, IMAGE, RUN];
  const zero = new Uint8Array(32);
  const eventLog = deviation.boot && writeAgileLog(['sha256'], deviation.boot);
  const booted = eventLog && replayEventLog(parseEventLog(eventLog)).get('sha256');
  const pcrs = QUOTED_PCRS.map((pcr) => {
    const value = booted?.get(pcr) ?? zero;
    if (pcr === 14) return { pcr, value: replayLog(log, value) };
    return { pcr, value: pcr === 0 ? (deviation.firmware ?? value) : value };
  });
  const attest = encodeQuote({
    magic: 0xff544347,
    type: 0x8018,
    extraData: qualifyingData(EXPECTED),
    clock: 1000n,
    resetCount: 5,
    restartCount: 1,
    safe: 1,
    selection: encodePcrSelection(QUOTED_PCRS),
    pcrDigest: pcrDigest(pcrs.map(({ value }) => value)),
    trailing: new Uint8Array(0),
    ...deviation.quote,
  });
  const honest: Evidence = {
    version: 2,
    attest,
    signature: ak.sign(attest),
    pcrs,
    log,
    binding: EXPECTED.binding,
    ...(eventLog === undefined ? {} : { eventLog }),
  };
  return {
    evidence: { ...honest, ...deviation.evidence?.(honest) },
    endorsements: { akPublic: ak.akPublic, level: LEVEL.development },
    referenceValues: {
      releases: new Set([toHex(RELEASE.digest)]),
      images: new Set([toHex(IMAGE.digest)]),
    },
    policy: NODE_POLICY,
    expected: { ...EXPECTED },
    nowMs: 10_000,
    ...deviation.appraisal,
  };
}

const EV_NO_ACTION = 3;

/** Extends the SHA-256 bank of a TPM that has measured nothing yet by all that the logs of a recorded boot say was measured. */
export async function measureBoot(
  tpm: { pcrExtend(pcr: number, digest: Uint8Array): Promise<void> },
  { eventLog, imaList }: { readonly eventLog: Uint8Array; readonly imaList: Uint8Array },
): Promise<void> {
  for (const { type, pcr, digests } of parseEventLog(eventLog).events) {
    if (type !== EV_NO_ACTION && digests.sha256 !== undefined) await tpm.pcrExtend(pcr, digests.sha256);
  }
  for (const { pcr, violation, templateData } of parseImaList(imaList).entries) {
    await tpm.pcrExtend(pcr, violation ? new Uint8Array(32).fill(0xff) : sha256(templateData));
  }
}
