import { IMA_PCR, type ImaList, type ImaVerification, type PcrBanks } from '@nemea/attestation/ima';
import { printable, toHex } from '@nemea/core';
import type { Findings } from './examine.ts';

const COLUMNS = 80;
const ROWS_MAX = 50;

export function toJson(findings: Findings): Record<string, unknown> {
  const { ok, list, pcr10, badEntries, verification, appraisal } = findings;
  const error = failureOf(findings);
  return {
    ok,
    ...(error === null ? {} : { error }),
    entries: list.entries.length,
    violations: countViolations(list),
    pcr10: pcr10Of(pcr10),
    badEntries,
    templateHash: list.templateHashAlgorithm,
    ...(verification === null
      ? {}
      : {
          quote: {
            ok: verification.ok,
            reason: verification.reason,
            matched: verification.matched,
            extensions: verification.extensions,
          },
        }),
    ...(appraisal === null
      ? {}
      : { verdicts: { ok: appraisal.ok, counts: appraisal.counts, refused: appraisal.refused } }),
  };
}

export function toText(findings: Findings): string {
  const { ok, list, pcr10, badEntries, verification, appraisal } = findings;
  const counts = `${list.entries.length} entries, ${countViolations(list)} violations`;
  const lines = [`${counts}, ${list.form}, template hashes of ${list.templateHashAlgorithm}`, ''];
  for (const [template, count] of countTemplates(list)) lines.push(`  ${template.padEnd(24)} ${count}`);
  lines.push('', `PCR ${IMA_PCR} after all entries:`);
  for (const [bank, hex] of Object.entries(pcr10Of(pcr10))) {
    const label = `  ${bank.padEnd(8)} `;
    lines.push(
      ...chunks(hex, COLUMNS - label.length).map(
        (part, i) => (i === 0 ? label : ' '.repeat(label.length)) + part,
      ),
    );
  }
  if (verification !== null) lines.push('', quoteLine(verification, list));
  lines.push(...rows('bad entries', badEntries));
  if (appraisal !== null) {
    lines.push('', 'verdicts:');
    for (const [reason, count] of Object.entries(appraisal.counts))
      lines.push(`  ${reason.padEnd(24)} ${count}`);
    lines.push(...rows('refused', appraisal.refused));
  }
  lines.push('', ok ? verdict(verification) : `NOT TRUSTED: ${failureOf(findings)?.message}`);
  return lines.join('\n');
}

function verdict(verification: ImaVerification | null): string {
  return verification === null
    ? "CONSISTENT: without --pcr10 nothing says that it is a real machine's"
    : 'GOOD';
}

function quoteLine({ reason, matched, extensions }: ImaVerification, list: ImaList): string {
  if (matched === 0) return `quoted PCR ${IMA_PCR}: ${reason}`;
  const padded = Object.entries(extensions).filter(([, extension]) => extension !== 'template');
  const note = padded.map(([bank, extension]) => `; ${bank} ${extension}`).join('');
  return `quoted PCR ${IMA_PCR} vouches for ${matched} of ${list.entries.length} entries${note}`;
}

function rows(
  title: string,
  entries: readonly { readonly number: number; readonly reason: string; readonly path: string }[],
): string[] {
  if (entries.length === 0) return [];
  const shown = entries.slice(0, ROWS_MAX).map(({ number, reason, path }) => {
    const head = `  ${String(number).padStart(7)} ${reason.padEnd(22)} `;
    return head + shorten(printable(path), COLUMNS - head.length);
  });
  const more = entries.length - shown.length;
  return [
    '',
    `${title}: ${entries.length}`,
    ...shown,
    ...(more > 0 ? [`  ... and ${more} more: see --json`] : []),
  ];
}

/** The end of a path says more than its start. */
function shorten(text: string, columns: number): string {
  return text.length <= columns ? text : `...${text.slice(3 - columns)}`;
}

function chunks(text: string, columns: number): string[] {
  return text.match(new RegExp(`.{1,${columns}}`, 'g')) ?? [];
}

function countViolations({ entries }: ImaList): number {
  return entries.filter(({ violation }) => violation).length;
}

function countTemplates({ entries }: ImaList): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { template } of entries) counts.set(template, (counts.get(template) ?? 0) + 1);
  return counts;
}

function pcr10Of(pcrs: PcrBanks): Record<string, string> {
  return Object.fromEntries(
    [...pcrs].map(([bank, registers]) => [bank, toHex(registers.get(IMA_PCR) ?? new Uint8Array())]),
  );
}

function failureOf({ ok, badEntries, verification }: Findings): { code: string; message: string } | null {
  if (ok) return null;
  if (verification?.state === null) {
    const message = `no number of entries explains the quoted value of PCR ${IMA_PCR}`;
    return { code: verification.reason, message };
  }
  if (badEntries.length > 0) return { code: 'BAD_ENTRIES', message: `${badEntries.length} bad entries` };
  return { code: 'POLICY_REFUSED', message: 'entries that policy or keys refuse' };
}
