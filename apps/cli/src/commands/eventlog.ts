import { toHex } from '@nemea/core';
import type { Command } from 'commander';
import type { Report } from '../eventlog/text.ts';
import { EXIT, endOnUsage, judge, print } from '../output.ts';

interface Options {
  readonly pcrs?: string;
  readonly cc?: boolean;
  readonly json?: boolean;
}

const EXAMPLE = `
Example:
  nemea eventlog /sys/kernel/security/tpm0/binary_bios_measurements
  tpm2_pcrread sha256:0-7 > pcrs; nemea eventlog LOG --pcrs pcrs

Exits with 0 when the whole log can be read, however odd it is (oddities are findings); 1 when it does not replay to the
PCR values of --pcrs; 2 when it is broken or truncated, or a file cannot be read. Without --pcrs of an authenticated
quote, whatever is shown is only what the file says.`;

export function addEventLogCommand(program: Command): void {
  endOnUsage(program.command('eventlog'), EXIT.notJudged)
    .description("show a TCG event log: what the firmware and the boot loader measured into the TPM's PCRs")
    .argument('<FILE>', 'binary_bios_measurements, WBCL, CCEL; - for standard input')
    .option(
      '--pcrs <FILE>',
      'PCR values to compare with: JSON {"sha256": {"0": HEX}}, or the output of tpm2_pcrread',
    )
    .option('--cc', 'a CCEL table of a confidential VM, with measurement registers (by default guessed)')
    .option('--json', 'print one JSON line')
    .addHelpText('after', EXAMPLE)
    .action((file: string, options: Options) => judge(() => run(file, options)));
}

async function run(file: string, options: Options): Promise<boolean> {
  const report = await reportOf(file, options);
  const { textOf } = await import('../eventlog/text.ts');
  print(options, jsonOf(report), textOf(report));
  return (report.mismatches ?? []).length === 0;
}

async function reportOf(file: string, options: Options): Promise<Report> {
  const eventlog = await import('@nemea/attestation/eventlog');
  const { readLogFile, readPcrsFile } = await import('../eventlog/files.ts');
  const quoted = options.pcrs === undefined ? null : readPcrsFile(options.pcrs);
  const bytes = readLogFile(file, eventlog.EVENTLOG_LIMITS.bytes);
  const plain = eventlog.parseEventLog(bytes, { registers: options.cc === true ? 'cc' : 'pcr' });
  const log = eventlog.looksConfidential(plain) ? eventlog.parseEventLog(bytes, { registers: 'cc' }) : plain;
  const verification = quoted === null ? null : eventlog.verifyEventLog(log, quoted);
  const boot = eventlog.describeBoot(eventlog.unverifiedEvents(log));
  const explained = verification?.ok === true ? verification.boot.findings : [];
  const findings = [...eventlog.inspectEventLog(log), ...explained];
  const mismatches = verification === null ? null : verification.ok ? [] : verification.mismatches;
  return { log, pcrs: eventlog.replayEventLog(log), boot, findings, mismatches };
}

function jsonOf({ log, pcrs, boot, findings, mismatches }: Report): object {
  const banks = [...pcrs].map(([bank, values]) => [
    bank,
    Object.fromEntries([...values].map(([pcr, value]) => [pcr, toHex(value)])),
  ]);
  const facts = {
    format: log.format,
    registers: log.registers,
    events: log.events.length,
    pcrs: Object.fromEntries(banks),
    secureBoot: boot.secureBoot.enabled,
    kernelCommandLines: boot.kernelCommandLines.map(({ text }) => text),
    findings,
  };
  if (mismatches === null || mismatches.length === 0) return { ok: true, ...facts };
  const different = mismatches.map(({ bank, pcr, want, got }) => {
    return { bank, pcr, want: toHex(want), got: got === null ? null : toHex(got) };
  });
  const message = `the log does not replay to ${different.map(({ bank, pcr }) => `PCR ${pcr} of ${bank}`).join(', ')}`;
  return { ok: false, ...facts, mismatches: different, error: { code: 'EVENTLOG_PCR_MISMATCH', message } };
}
