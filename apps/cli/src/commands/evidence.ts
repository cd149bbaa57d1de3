import type { Command } from 'commander';
import type { PackOptions } from '../attest/pack.ts';
import { print } from '../output.ts';

export function addEvidenceCommands(program: Command): void {
  const evidence = program.command('evidence').description('evidence documents, for nemea attest');
  evidence
    .command('pack')
    .description('put a quote, its PCR values and the logs that explain them into one document')
    .requiredOption('--attest <FILE>', 'TPMS_ATTEST, exactly as signed')
    .requiredOption('--signature <FILE>', 'TPMT_SIGNATURE')
    .requiredOption('--pcrs <FILE>', 'PCR values: JSON {"sha256": {"0": HEX}}')
    .requiredOption('--out <FILE>', 'where to write it')
    .option('--eventlog <FILE>', 'TCG event log (binary_bios_measurements)')
    .option('--ima <FILE>', 'IMA list (binary_runtime_measurements)')
    .option('--cmw <FORM>', 'wrap it as a RATS conceptual message: json or cbor')
    .option('--json', 'print one JSON line')
    .addHelpText(
      'after',
      '\nExample:\n  nemea quote make --tpm device:/dev/tpmrm0 --pcrs sha256:0-7 --nonce 0badcafe --out q\n  nemea evidence pack --attest q/quote.attest --signature q/quote.signature --pcrs q/pcrs.json --out evidence.cbor',
    )
    .action(async (options: PackOptions & { readonly json?: boolean }) => {
      const { packEvidence } = await import('../attest/pack.ts');
      print(options, { ok: true, file: options.out, bytes: packEvidence(options) }, options.out);
    });
}
