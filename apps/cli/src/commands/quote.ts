import type { Command } from 'commander';
import { EXIT, endOnUsage, judge, print } from '../output.ts';
import type { MakeOptions } from '../quote/make.ts';
import type { VerifyOptions } from '../quote/verify.ts';

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
  const quote = program.command('quote').description('quotes of any TPM 2.0: make, show, verify');
  // Inherited by every command below: 1 would say that a quote was refused.
  endOnUsage(quote, EXIT.notJudged);
  quote
    .command('verify')
    .description('is this quote by that key, for this nonce, and of these PCR values?')
    .requiredOption('--attest <FILE>', 'TPMS_ATTEST, bare or in a TPM2B')
    .requiredOption('--signature <FILE>', 'TPMT_SIGNATURE')
    .requiredOption(
      '--key <FILE>',
      'public key or certificate (PEM or DER; only its key counts), TPMT_PUBLIC or TPM2B_PUBLIC',
    )
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
    .action((options: VerifyOptions & Printed) => judge(() => verify(options)));
  quote
    .command('show')
    .description(
      'print what TPMS_ATTEST, TPMT_SIGNATURE, TPMT_PUBLIC and public key files say, without believing it',
    )
    .argument('<FILE...>')
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea quote show msg sig ak.pub')
    .action((files: string[], options: Printed) => judge(() => show(files, options)));
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
    .addHelpText(
      'after',
      '\nExample:\n  nemea quote make --tpm device:/dev/tpmrm0 --pcrs sha256:0-7 --nonce 0badcafe --out q',
    )
    .action(async (options: MakeOptions & Printed) => {
      const { makeQuote } = await import('../quote/make.ts');
      const files = await makeQuote(options);
      print(options, { ok: true, files }, Object.values(files).join('\n'));
    });
}

/** Refused, or nothing to judge [QUO-10]. */
async function verify(options: VerifyOptions & Printed): Promise<boolean> {
  const { verifyFiles } = await import('../quote/verify.ts');
  const { textOf } = await import('../quote/describe.ts');
  const { ok, quote, error } = verifyFiles(options);
  const said = quote === null ? [] : [textOf(quote)];
  const verdict = error === undefined ? 'good' : `REFUSED: ${error.code}: ${error.message}`;
  print(options, error === undefined ? { ok, quote } : { ok, quote, error }, [...said, verdict].join('\n'));
  return ok;
}

async function show(files: readonly string[], options: Printed): Promise<boolean> {
  const { showFile } = await import('../quote/show.ts');
  const { textOf } = await import('../quote/describe.ts');
  const shown = files.map((file) => ({ file, ...showFile(file) }));
  print(options, { ok: true, files: shown }, shown.map(textOf).join('\n\n'));
  return true;
}
