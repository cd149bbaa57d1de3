import { errorCode } from '@nemea/core';
import type { Command } from 'commander';
import { note, print } from '../output.ts';
import type { MakeOptions } from '../quote/make.ts';
import type { VerifyOptions } from '../quote/verify.ts';

/** What scripts may rely on [QUO-10]. */
const EXIT = { good: 0, refused: 1, unreadable: 2 } as const;

interface Printed {
  readonly json?: boolean;
}

const EXAMPLE = `
Example, with files of tpm2-tools:
  tpm2_quote -c ak.ctx -l sha256:0-7 -q 0badcafe -m msg -s sig -o pcrs
  nemea quote verify --attest msg --signature sig --key ak.pem --nonce 0badcafe --pcrs pcrs

Exits with 0 when the quote is good; 1 when it is refused, however broken it is; 2 when a file is missing, no key, no PCR
file, or neither a quote nor a signature at all.`;

export function addQuoteCommands(program: Command): void {
  const quote = program
    .command('quote')
    .description('quotes of any TPM 2.0: make, show, verify')
    // Inherited by every command below: 1 would say that a quote was refused.
    .exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.good : EXIT.unreadable));
  quote
    .command('verify')
    .description('is this quote by that key, for this nonce, and of these PCR values?')
    .requiredOption('--attest <FILE>', 'TPMS_ATTEST, bare or in a TPM2B')
    .requiredOption('--signature <FILE>', 'TPMT_SIGNATURE')
    .requiredOption('--key <FILE>', 'public key: PEM, DER, TPMT_PUBLIC or TPM2B_PUBLIC')
    .requiredOption('--nonce <HEX>', "what the quote's extraData must be")
    .option(
      '--pcrs <FILE>',
      'the PCR values: JSON {"sha256": {"0": HEX}}, or as tpm2_quote --pcr writes them',
    )
    .option('--select <PCRS>', 'the PCRs that must be quoted, no more and no less, such as sha256:0-7,14')
    .option(
      '--plain <KIND>',
      'the signature is bare, and by this: ecdsa-sha256, rsassa-sha256, rsapss-sha384 ...',
    )
    .option('--accept-sha1', 'let a signature by SHA-1 count')
    .option('--safe-clock', 'refuse a clock that may repeat after a power loss')
    .option('--json', 'print one JSON line')
    .addHelpText('after', EXAMPLE)
    .action((options: VerifyOptions & Printed) => judged(options, () => verify(options)));
  quote
    .command('show')
    .description(
      'print what TPMS_ATTEST, TPMT_SIGNATURE, TPMT_PUBLIC and public key files say, without believing it',
    )
    .argument('<FILE...>')
    .option('--json', 'print one JSON line')
    .action((files: string[], options: Printed) => judged(options, () => show(files, options)));
  quote
    .command('make')
    .description('have a TPM quote its PCRs')
    .requiredOption('--tpm <ADDRESS>', 'unix:PATH, tcp:HOST:PORT or device:PATH')
    .requiredOption('--pcrs <PCRS>', 'such as sha256:0-7,14 or sha1:0+sha384:0-7')
    .requiredOption('--nonce <HEX>', "the quote's extraData")
    .requiredOption('--out <DIR>', 'where quote.attest, quote.signature, ak.pem, ak.pub and pcrs.json go')
    .option(
      '--ak <KEY>',
      'ecc, rsa (RSASSA) or rsapss: a key of the endorsement hierarchy; or the handle of a persistent one',
      'ecc',
    )
    .option('--json', 'print one JSON line')
    .action(async (options: MakeOptions & Printed) => {
      const { makeQuote } = await import('../quote/make.ts');
      const files = await makeQuote(options);
      print(options, { ok: true, files }, Object.values(files).join('\n'));
    });
}

async function verify(options: VerifyOptions & Printed): Promise<number> {
  const { verifyFiles } = await import('../quote/verify.ts');
  const { textOf } = await import('../quote/describe.ts');
  const { ok, quote, error } = verifyFiles(options);
  const said = quote === null ? [] : [textOf(quote)];
  const verdict = error === undefined ? 'good' : `REFUSED: ${error.code}: ${error.message}`;
  print(options, error === undefined ? { ok, quote } : { ok, quote, error }, [...said, verdict].join('\n'));
  return ok ? EXIT.good : EXIT.refused;
}

async function show(files: readonly string[], options: Printed): Promise<number> {
  const { showFile } = await import('../quote/show.ts');
  const { textOf } = await import('../quote/describe.ts');
  const shown = files.map((file) => ({ file, ...showFile(file) }));
  print(options, { ok: true, files: shown }, shown.map(textOf).join('\n\n'));
  return EXIT.good;
}

/** Runs a command whose exit code is its answer. */
async function judged(options: Printed, run: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await run();
  } catch (error) {
    // Whatever it was, it is no fault of the quote.
    const code = errorCode(error);
    const message = error instanceof Error ? error.message : String(error);
    if (options.json === true) print(options, { ok: false, error: { code, message } }, '');
    else note(`nemea: ${code}: ${message}`);
    process.exitCode = EXIT.unreadable;
  }
}
