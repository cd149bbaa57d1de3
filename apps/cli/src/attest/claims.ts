/** Claims and Attestation Results as a person reads them, at 80 columns, and as a script does. */
import type { AppraisedClaim, AttestationResult, ClaimValue } from '@nemea/attestation';
import { toHex } from '@nemea/core';
import { fold } from '../text.ts';
import type { NodeJudgement } from './node.ts';

/** What was claimed, by which bytes, compared with what, and how it was judged: by the judge, or here by layer 1. */
export type Claim = Omit<AppraisedClaim, 'name' | 'reason'> & {
  readonly name: string;
  readonly reason: string;
};

const MARKS = {
  affirming: '  ok ',
  warning: 'warn ',
  contraindicated: ' NO  ',
  none: '  -  ',
} as const;

const SKIPPED = 'skip ';
const COLUMNS = 80;
const WHY_COLUMN = 22;
/** Leaves room for a SHA-256 digest in one line. */
const SOURCE_COLUMN = 8;

/** The key, each claim, and the verdict. */
export function showResult(result: AttestationResult): string {
  return [
    showKey(result),
    ...result.claims.flatMap(showClaim),
    ...showEnding(result.verdict, result.claims),
  ].join('\n');
}

export function showKey({ akName }: AttestationResult): string {
  return `key ${toHex(akName)}`;
}

/** Verdict and why; then what was claimed, by which bytes, and what it was compared with. */
export function showClaim(claim: Claim): string[] {
  const { name, verdict, reason, detail, source, claimed, reference } = claim;
  const mark = reason === 'NOT_DEMANDED' ? SKIPPED : MARKS[verdict];
  const code = reason === 'OK' || reason === 'NOT_DEMANDED' ? '' : ` [${reason}]`;
  const said = claimed === null || claimed === '' ? '' : `: ${showValue(claimed)}`;
  const against = reference === null || reference === '' ? '' : `; compared with ${showValue(reference)}`;
  const head = `${mark} ${name} `.padEnd(WHY_COLUMN);
  const why = fold(`${detail}${code}`, COLUMNS - WHY_COLUMN);
  const from =
    reason === 'NOT_DEMANDED' ? [] : fold(`from ${source}${said}${against}`, COLUMNS - SOURCE_COLUMN);
  return [
    ...why.map((line, i) => (i === 0 ? head : ' '.repeat(WHY_COLUMN)) + line),
    ...from.map((line) => ' '.repeat(SOURCE_COLUMN) + line),
  ];
}

/** The last line, which names every claim that keeps it from plain trust. */
export function showEnding(verdict: AttestationResult['verdict'], claims: readonly Claim[]): string[] {
  const failed = claims.filter((claim) => claim.verdict !== 'affirming');
  const reasons = failed.map(({ name, reason }) => `${name} ${reason}`).join(', ');
  const ending = {
    affirming: 'trusted',
    warning: 'trusted, with warnings: ',
    contraindicated: 'NOT trusted: ',
  };
  return fold(`${ending[verdict]}${reasons}`, COLUMNS);
}

/** The node, what layer 1 says of it, and what a member's judge found. */
export function showNode({ account, verdict, layer1, member }: NodeJudgement, nowMs: number): string {
  const { chainId, nodeRegistry, block, claims } = layer1;
  const { result } = member;
  const ageS = Math.round((nowMs - result.appraisedAtMs) / 1000);
  return [
    `node ${account}`,
    ...fold(`layer 1: chain ${chainId}, block ${block}, nodeRegistry ${nodeRegistry}`, COLUMNS),
    ...claims.flatMap(showClaim),
    `member ${member.account} judged it ${ageS} s ago`,
    showKey(result),
    ...result.claims.flatMap(showClaim),
    ...showEnding(verdict, [...claims, ...result.claims]),
  ].join('\n');
}

export function toPlainNode({ account, verdict, layer1, member }: NodeJudgement): Record<string, unknown> {
  const { claims, ...where } = layer1;
  const { result } = member;
  return {
    account,
    layer1: where,
    member: member.account,
    ...toPlain(result),
    verdict,
    claims: [...claims, ...result.claims].map(toPlainClaim),
  };
}

function showValue(value: ClaimValue): string {
  return value instanceof Uint8Array ? toHex(value) : String(value);
}

/** Bytes as hex, 64-bit counters as text. */
export function toPlain(result: AttestationResult): Record<string, unknown> {
  const { akName, quoteDigest, clock, release, claims, ...rest } = result;
  return {
    ...rest,
    akName: toHex(akName),
    quoteDigest: toHex(quoteDigest),
    release: release === null ? null : toHex(release),
    clock:
      clock === null
        ? null
        : { ...clock, clock: String(clock.clock), firmwareVersion: String(clock.firmwareVersion) },
    claims: claims.map(toPlainClaim),
  };
}

export function toPlainClaim(claim: Claim): Record<string, unknown> {
  const plain = (value: ClaimValue) => (value instanceof Uint8Array ? toHex(value) : value);
  return { ...claim, claimed: plain(claim.claimed), reference: plain(claim.reference) };
}
