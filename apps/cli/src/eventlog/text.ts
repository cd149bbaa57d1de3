import { X509Certificate } from 'node:crypto';
import type {
  Bank,
  BootDescription,
  EventLog,
  Finding,
  PcrMismatch,
  SecureBootState,
  SignatureList,
} from '@nemea/attestation/eventlog';
import { printable, toHex } from '@nemea/core';
import { fold } from '../text.ts';
import { clip, eventLine, lastNodes } from './event-line.ts';

const COLUMNS = 80;
const LABEL_COLUMNS = 14;
const HEX_COLUMNS = 64;
const DIGEST_COLUMNS = 16;

export interface Report {
  readonly log: EventLog;
  readonly pcrs: ReadonlyMap<Bank, ReadonlyMap<number, Uint8Array>>;
  readonly boot: BootDescription;
  readonly findings: readonly Finding[];
  /** Null when there was nothing to compare with. */
  readonly mismatches: readonly PcrMismatch[] | null;
}

/** The whole log for a terminal of 80 columns. */
export function textOf(report: Report): string {
  return [
    eventLines(report),
    pcrLines(report),
    summaryLines(report.boot),
    findingLines(report.findings),
    comparisonLines(report.mismatches),
  ]
    .filter((section) => section.length > 0)
    .map((section) => section.join('\n'))
    .join('\n\n');
}

function eventLines({ log, findings }: Report): string[] {
  const odd = new Set(findings.map(({ event }) => event));
  return [
    `   # ${log.registers === 'pcr' ? 'PCR' : ' MR'}  type          what it says`,
    ...log.events.map((event) => eventLine(event, odd.has(event.number), COLUMNS)),
  ];
}

/** Two lines for digests that one does not hold. */
function pcrLines({ pcrs }: Report): string[] {
  return [...pcrs].flatMap(([bank, values]) => [
    bank,
    ...[...values]
      .sort(([a], [b]) => a - b)
      .flatMap(([pcr, value]) =>
        pieces(toHex(value)).map((hex, index) => `  ${(index === 0 ? String(pcr) : '').padStart(2)}  ${hex}`),
      ),
  ]);
}

function summaryLines(boot: BootDescription): string[] {
  const { secureBoot } = boot;
  return [
    ...field('Secure Boot', [stateOf(secureBoot), ...secureBoot.problems, ...secureBoot.actions]),
    ...field('PK', keysOf(secureBoot.pk)),
    ...field('KEK', keysOf(secureBoot.kek)),
    ...field('db', keysOf(secureBoot.db)),
    ...field('dbx', keysOf(secureBoot.dbx)),
    ...field('keys used', [...new Set(secureBoot.authorities.flatMap(authorityName))]),
    ...field('firmware', boot.crtmVersion === null ? [] : [boot.crtmVersion.text]),
    ...field(
      'boot options',
      boot.bootOptions.map(
        ({ name, option }) => `${name} ${option.description}: ${lastNodes(option.devicePath)}`,
      ),
    ),
    ...field('drivers', boot.drivers.map(imageName)),
    ...field('loaders', boot.bootLoaders.map(imageName)),
    ...field(
      'kernel files',
      boot.files
        .filter(({ role }) => role !== 'other')
        .map(({ name, digests }) => `${digestOf(digests)} ${name}`),
    ),
    ...field('sections', [...new Set(boot.sections.map(({ name }) => name))]),
    ...wrappedField('command line', boot.kernelCommandLines),
  ];
}

function stateOf({ enabled }: SecureBootState): string {
  return enabled === null ? 'unknown' : enabled ? 'on' : 'OFF';
}

function keysOf(lists: readonly SignatureList[] | null): string[] {
  if (lists === null) return [];
  const names = lists
    .filter(({ type }) => type === 'x509')
    .flatMap(({ signatures }) => signatures.map(({ data }) => certificateName(data)));
  const hashes = lists.reduce(
    (sum, { type, signatures }) => sum + (type === 'x509' ? 0 : signatures.length),
    0,
  );
  if (hashes > 0) names.push(`${hashes} hashes`);
  return names.length === 0 ? ['(empty)'] : names;
}

function authorityName({ variable, certificate }: SecureBootState['authorities'][number]): string[] {
  return certificate === null ? [] : [`${certificateName(certificate)} (${variable})`];
}

/** Only for the eye: the log's reader takes certificates as bytes, and nothing here depends on them. */
function certificateName(der: Uint8Array): string {
  try {
    const { subject } = new X509Certificate(der);
    return /^CN=(.*)$/m.exec(subject)?.[1] ?? subject.replaceAll('\n', ', ');
  } catch {
    return `a certificate of ${der.length} bytes that cannot be read`;
  }
}

function imageName({ devicePath, digests }: BootDescription['bootLoaders'][number]): string {
  return `${digestOf(digests)} ${lastNodes(devicePath) || '(no path)'}`;
}

/** SHA-256 when there is one, shortened: whoever wants all of it takes `--json`. */
function digestOf(digests: Readonly<Partial<Record<Bank, Uint8Array>>>): string {
  const bank = 'sha256' in digests ? 'sha256' : (Object.keys(digests)[0] as Bank | undefined);
  return bank === undefined ? '' : `${bank} ${toHex(digests[bank] as Uint8Array).slice(0, DIGEST_COLUMNS)}`;
}

function field(label: string, values: readonly string[]): string[] {
  return labelled(
    label,
    values.map((value) => clip(printable(value), COLUMNS - LABEL_COLUMNS)),
  );
}

function labelled(label: string, lines: readonly string[]): string[] {
  return lines.map((line, index) => (index === 0 ? label : '').padEnd(LABEL_COLUMNS) + line);
}

/** A command line is shown whole: its end decides as much as its start. */
function wrappedField(label: string, lines: BootDescription['kernelCommandLines']): string[] {
  const shown = lines.flatMap(({ text, verified }) =>
    fold(printable(text) + (verified ? '' : ' [not the text of the digest]'), COLUMNS - LABEL_COLUMNS),
  );
  return labelled(label, shown);
}

function findingLines(findings: readonly Finding[]): string[] {
  if (findings.length === 0) return ['no findings'];
  const lines = findings.flatMap(({ quirk, event, message }) => {
    const where = event === null ? '' : String(event);
    return fold(`${quirk}: ${printable(message)}`, COLUMNS - 5).map(
      (line, index) => `${(index === 0 ? where : '').padStart(4)} ${line}`,
    );
  });
  return [`findings: ${findings.length}`, ...lines];
}

function comparisonLines(mismatches: readonly PcrMismatch[] | null): string[] {
  if (mismatches === null) return [];
  if (mismatches.length === 0) return ['The log replays to the given PCR values.'];
  return mismatches.flatMap(({ bank, pcr, want, got }) => [
    `DIFFERENT: PCR ${pcr} of ${bank}`,
    ...pieces(toHex(want)).map((hex, index) => `  ${index === 0 ? 'given ' : '      '} ${hex}`),
    ...pieces(got === null ? 'no value' : toHex(got)).map(
      (hex, index) => `  ${index === 0 ? 'log   ' : '      '} ${hex}`,
    ),
  ]);
}

function pieces(hex: string): string[] {
  return hex.match(new RegExp(`.{1,${HEX_COLUMNS}}`, 'g')) ?? [];
}
