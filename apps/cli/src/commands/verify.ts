import type { Finding, Ledger, Report } from '@nemea/sdk';
import type { Command } from 'commander';
import { readText } from '../files.ts';
import { EXIT, endOnUsage, judge, print } from '../output.ts';

const COLUMNS = 100;
/** Wider than any check's name in a network of some dozen nodes. */
const CHECK_COLUMNS = 26;

interface Options {
  rpc: string;
  network?: string;
  json?: boolean;
}

export function addVerifyCommand(program: Command): void {
  endOnUsage(program.command('verify'), EXIT.notJudged)
    .description(
      'hold a report against layer 1: every signature, draw, quote and certificate, without trust in any node',
    )
    .argument('<REPORT>', 'report.json of a demo')
    .requiredOption('--rpc <URL>', 'layer 1 that you trust')
    .option('--network <FILE>', 'network.json that you trust: the report must be of that network')
    .option('--json', 'print one JSON line')
    .addHelpText(
      'after',
      '\nExample:\n  nemea verify report.json --rpc http://127.0.0.1:8545\n\n' +
        'Exits with 0 when the report is true, 1 when it lies, 2 when that cannot be judged.',
    )
    .action((file: string, options: Options) => judge(() => runVerify(file, options)));
}

async function runVerify(file: string, options: Options): Promise<boolean> {
  const findings = await findingsOf(file, options);
  const ok = findings.every((finding) => finding.ok);
  print(options, { ok, findings }, textOf(findings));
  return ok;
}

async function findingsOf(file: string, options: Options): Promise<readonly Finding[]> {
  const { parseReport, verifyReport } = await import('@nemea/sdk');
  const report = parseReport(readText(file, { code: 'REPORT_UNREADABLE' }));
  if (options.network !== undefined) {
    const foreign = await differencesFrom(report, readText(options.network, { code: 'NETWORK_UNREADABLE' }));
    if (foreign.length > 0) return foreign;
  }
  const ledger = await openLedgerOf(report, options.rpc);
  return 'network' in ledger ? verifyReport(report, ledger) : [ledger];
}

/** Opens layer 1 by the report's own words; a registry that is not there is its first lie. */
async function openLedgerOf(report: Report, rpcUrl: string): Promise<Ledger | Finding> {
  const { LedgerError, openLedger, parseNetwork } = await import('@nemea/sdk');
  const network = parseNetwork(JSON.stringify({ ...report.network, rpcUrl }));
  try {
    return await openLedger(network);
  } catch (error) {
    if (!(error instanceof LedgerError) || error.code === 'LEDGER_UNREACHABLE') throw error;
    const detail = `no NodeRegistry answers at ${network.contracts.nodeRegistry}`;
    return { check: 'network', ok: false, detail };
  }
}

/** The report must be of the network that the reader trusts, whatever contracts a liar may have deployed. */
async function differencesFrom(report: Report, json: string): Promise<Finding[]> {
  const { parseNetwork } = await import('@nemea/sdk');
  const { rpcUrl: _rpcUrl, contracts, ...trusted } = parseNetwork(json);
  const { contracts: reported, ...stated } = report.network;
  const differences: Finding[] = [];
  const compare = (name: string, got: unknown, want: unknown) => {
    if (String(got).toLowerCase() === String(want).toLowerCase()) return;
    differences.push({ check: 'network', ok: false, detail: `${name}: got ${got}, want ${want}` });
  };
  for (const [name, want] of Object.entries(trusted))
    compare(name, stated[name as keyof typeof stated], want);
  for (const [name, want] of Object.entries(contracts)) compare(`contract ${name}`, reported[name], want);
  return differences;
}

function textOf(findings: readonly Finding[]): string {
  const lines = findings.flatMap(({ check, ok, detail }) => {
    const wrapped = wrap(detail, COLUMNS - CHECK_COLUMNS - 6);
    return wrapped.map((line, index) => {
      const head = index === 0 ? `${ok ? 'ok ' : 'LIE'} ${check.padEnd(CHECK_COLUMNS)}` : '';
      return `${head.padEnd(CHECK_COLUMNS + 4)} ${line}`;
    });
  });
  const lies = findings.filter(({ ok }) => !ok).length;
  const verdict =
    lies === 0
      ? `TRUE: ${findings.length} checks hold`
      : `FALSE: ${lies} of ${findings.length} checks find a lie`;
  return [...lines, '', verdict].join('\n');
}

/** Breaks at spaces; a word longer than a line stands alone, so that it can be copied whole. */
function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
