import type { Command } from 'commander';
import type { EarOptions } from '../ear/ear.ts';
import { EXIT, endOnUsage, judge, print } from '../output.ts';

const NOTES = `
Example:
  nemea attest evidence.cbor --policy golden/policy.json --ak ak.pub --nonce 0badcafe --ear result.ear --sign key.pem
  nemea ear verify result.ear --key key.pub.pem --nonce 0badcafe

Without --nonce a good result may be an old one: look when it was issued.

Exits with 0 when it is signed by that key and says that the machine is trusted, warnings included; 1 when it is refused,
however broken it is, or says that the machine is not trusted; 2 when a file cannot be read, or is no signed result or key.`;

export function addEarCommands(program: Command): void {
  const ear = program
    .command('ear')
    .description('signed attestation results (EAR in COSE) of nemea attest FILE --ear, for others');
  endOnUsage(ear, EXIT.notJudged);
  ear
    .command('verify')
    .description('is this result signed by that verifier, and does it say that the machine is trusted?')
    .argument('<FILE>', 'EAR as COSE_Sign1; - for standard input')
    .requiredOption('--key <FILE>', "the verifier's public key or certificate: PEM or DER, P-256 or P-384")
    .option('--nonce <HEX>', 'the challenge that it must answer')
    .option('--json', 'print one JSON line')
    .addHelpText('after', NOTES)
    .action((file: string, options: EarOptions & { readonly json?: boolean }) =>
      judge(async () => {
        const { checkEarFile, isTrusted, toJson, toText } = await import('../ear/ear.ts');
        const checked = checkEarFile(file, options);
        print(options, toJson(checked), toText(checked));
        return isTrusted(checked);
      }),
    );
}
