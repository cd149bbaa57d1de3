/** An Attestation Result as a person reads it, at 80 columns, and as a script does. */
import type { AppraisedClaim, AttestationResult, ClaimValue } from '@nemea/attestation';
import { toHex } from '@nemea/core';

export const MARKS = {
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

/** Each claim: verdict and why; then what was claimed, by which bytes, and what it was compared with. */
export function showResult(result: AttestationResult): string {
  const failed = result.claims.filter(({ verdict }) => verdict !== 'affirming');
  const reasons = failed.map(({ name, reason }) => `${name} ${reason}`).join(', ');
  const ending = {
    affirming: 'trusted',
    warning: 'trusted, with warnings: ',
    contraindicated: 'NOT trusted: ',
  };
  return [
    `key ${toHex(result.akName)}`,
    ...result.claims.flatMap(showClaim),
    ...fold(`${ending[result.verdict]}${reasons}`, COLUMNS),
  ].join('\n');
}

function showClaim(claim: AppraisedClaim): string[] {
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

/** Lines of words, a word longer than a line broken. */
export function fold(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((it) => it.match(new RegExp(`.{1,${columns}}`, 'gu')) ?? [''])) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
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
    claims: claims.map((claim) => ({
      ...claim,
      claimed: claim.claimed instanceof Uint8Array ? toHex(claim.claimed) : claim.claimed,
      reference: claim.reference instanceof Uint8Array ? toHex(claim.reference) : claim.reference,
    })),
  };
}
