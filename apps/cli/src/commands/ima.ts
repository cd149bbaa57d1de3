import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import {
  appraiseIma,
  checkImaSignatures,
  findBadEntries,
  IMA_BANKS,
  IMA_BYTES_MAX,
  IMA_PCR,
  type ImaAppraisal,
  type ImaBadEntry,
  type ImaBank,
  type ImaKeyRing,
  type ImaList,
  type ImaPolicy,
  type ImaVerification,
  type PcrBanks,
  parseImaKeys,
  parseImaList,
  parseImaPolicy,
  quotedPcr10,
  replayIma,
  verifyIma,
} from '@nemea/attestation/ima';
import { CodedError, errorCode, fromHex, toHex } from '@nemea/core';
import { type Command, InvalidArgumentError } from 'commander';
import { print } from '../output.ts';

/** What scripts may rely on: the list is good, it is not to be trusted, or it cannot be read. */
const EXIT = { good: 0, notTrusted: 1, unreadable: 2 } as const;
const COLUMNS = 80;
const ROWS_MAX = 50;

interface Options {
  pcr10: Partial<Record<ImaBank, Uint8Array>>;
  bank: ImaBank[];
  policy?: string;
  keys: string[];
  byteOrder?: 'little' | 'big';
  json?: boolean;
}

export class ImaCommandError extends CodedError<'FILE_UNREADABLE' | 'IMA_EMPTY'> {}

export function addImaCommand(program: Command): void {
  program
    .command('ima')
    .description("check a Linux IMA measurement list: the kernel's record of every file that a machine ran")
    .argument('<FILE>', 'ascii_runtime_measurements or binary_runtime_measurements')
    .option('--pcr10 <BANK:HEX>', 'quoted value of PCR 10; may be given for several banks', pcr10Option, {})
    .option('--bank <BANK>', 'also show PCR 10 of this bank', bankOption, [])
    .option('--policy <FILE>', 'JSON: a policy, a Keylime runtime policy, or {"/path": ["alg:hex"]}')
    .option(
      '--keys <FILE...>',
      'public keys or certificates (PEM or DER) that file signatures must be made by',
      [],
    )
    .option('--byte-order <ORDER>', "little or big, the machine's; told from a binary list", orderOption)
    .option('--json', 'print one JSON line')
    .addHelpText(
      'after',
      '\nExample:\n  nemea ima /sys/kernel/security/ima/ascii_runtime_measurements \\\n' +
        '    --pcr10 sha256:$(cat /sys/class/tpm/tpm0/pcr-sha256/10)\n\n' +
        'Exits with 0 when the list is good, 1 when it is not to be trusted, 2 when it cannot be read.',
    )
    .exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.good : EXIT.unreadable))
    .action((file: string, options: Options) => {
      process.exitCode = runIma(file, options);
    });
}

/** All that is found out about a list. */
interface Findings {
  readonly ok: boolean;
  readonly list: ImaList;
  readonly pcr10: PcrBanks;
  readonly badEntries: readonly ImaBadEntry[];
  readonly verification: ImaVerification | null;
  readonly appraisal: ImaAppraisal | null;
}

function runIma(file: string, options: Options): number {
  let findings: Findings;
  try {
    findings = examine(file, options);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const code = errorCode(error);
    if (options.json === true) print(options, { ok: false, error: { code, message: error.message } }, '');
    else process.stderr.write(`nemea: ${code}: ${printable(error.message)}\n`);
    return EXIT.unreadable;
  }
  print(options, toJson(findings), toText(findings));
  return findings.ok ? EXIT.good : EXIT.notTrusted;
}

function examine(file: string, options: Options): Findings {
  const list = parseImaList(
    readBytes(file),
    options.byteOrder === undefined ? {} : { byteOrder: options.byteOrder },
  );
  // The kernel writes boot_aggregate before anything else: no entry at all is a copy that went wrong.
  if (list.entries.length === 0) throw new ImaCommandError('IMA_EMPTY', `${file} has no entries`);
  const policy = options.policy === undefined ? null : readPolicy(options.policy);
  const keys = options.keys.flatMap((name) => parseImaKeys(readBytes(name)));
  const quoted = quotedPcr10(options.pcr10);
  const verification = quoted.size === 0 ? null : verifyIma(list, quoted);
  const badEntries = verification?.state != null ? verification.badEntries : findBadEntries(list);
  const appraisal = judge(list, policy, keys, verification);
  return {
    ok: badEntries.length === 0 && verification?.ok !== false && appraisal?.ok !== false,
    list,
    pcr10: replayIma(list, [...new Set<ImaBank>(['sha1', 'sha256', ...quoted.keys(), ...options.bank])]),
    badEntries,
    verification,
    appraisal,
  };
}

/** Keys without a policy check the signatures that there are. */
function judge(
  list: ImaList,
  policy: ImaPolicy | null,
  keys: ImaKeyRing,
  verification: ImaVerification | null,
): ImaAppraisal | null {
  if (policy !== null) return appraiseIma(list, { policy, keys, verification: verification ?? undefined });
  return keys.length === 0 ? null : checkImaSignatures(list, keys);
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

function toJson(findings: Findings): Record<string, unknown> {
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

function toText(findings: Findings): string {
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

/** A machine chooses its file names: none may write into the reader's terminal. */
function printable(text: string): string {
  return text.replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
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

function readPolicy(file: string): ImaPolicy {
  const text = new TextDecoder().decode(readBytes(file));
  try {
    return parseImaPolicy(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) throw new ImaCommandError('FILE_UNREADABLE', `${file} is not JSON`);
    throw error;
  }
}

/** Files of securityfs say that they are empty; others are not read when they are too large to be a list. */
function readBytes(file: string): Uint8Array {
  try {
    const handle = openSync(file, 'r');
    try {
      if (fstatSync(handle).size > IMA_BYTES_MAX) {
        throw new ImaCommandError('FILE_UNREADABLE', `${file} has more than ${IMA_BYTES_MAX} bytes`);
      }
      return new Uint8Array(readFileSync(handle));
    } finally {
      closeSync(handle);
    }
  } catch (cause) {
    if (cause instanceof CodedError) throw cause;
    throw new ImaCommandError('FILE_UNREADABLE', `cannot read ${file}`, { cause });
  }
}

function pcr10Option(text: string, before: Options['pcr10']): Options['pcr10'] {
  const [bank, hex = ''] = text.split(':');
  const name = IMA_BANKS.find((candidate) => candidate === bank);
  if (name === undefined || !/^(?:[0-9a-f]{2}){20,64}$/i.test(hex)) {
    throw new InvalidArgumentError(`want BANK:HEX with a bank of ${IMA_BANKS.join(', ')}`);
  }
  return { ...before, [name]: fromHex(hex) };
}

function bankOption(text: string, before: ImaBank[]): ImaBank[] {
  const name = IMA_BANKS.find((candidate) => candidate === text);
  if (name === undefined) throw new InvalidArgumentError(`want one of ${IMA_BANKS.join(', ')}`);
  return [...before, name];
}

function orderOption(text: string): 'little' | 'big' {
  if (text !== 'little' && text !== 'big') throw new InvalidArgumentError('want little or big');
  return text;
}
