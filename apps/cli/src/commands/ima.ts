import type { Command } from 'commander';
import type { ImaOptions } from '../ima/examine.ts';
import { EXIT, endOnUsage, judge, print } from '../output.ts';

type Options = ImaOptions & { readonly json?: boolean };

export function addImaCommand(program: Command): void {
  endOnUsage(program.command('ima'), EXIT.notJudged)
    .description("check a Linux IMA measurement list: the kernel's record of every file that a machine ran")
    .argument('<FILE>', 'ascii_runtime_measurements or binary_runtime_measurements; - for standard input')
    .option('--pcr10 <BANK:HEX>', 'quoted value of PCR 10; may be given for several banks', collect, [])
    .option('--bank <BANK>', 'also show PCR 10 of this bank', collect, [])
    .option('--policy <FILE>', 'JSON: a policy, a Keylime runtime policy, or {"/path": ["alg:hex"]}')
    .option(
      '--keys <FILE...>',
      'public keys or certificates (PEM or DER) that file signatures must be made by',
      [],
    )
    .option('--byte-order <ORDER>', "little or big, the machine's; by default told from the list")
    .option('--json', 'print one JSON line')
    .addHelpText(
      'after',
      '\nExample:\n  nemea ima /sys/kernel/security/ima/ascii_runtime_measurements \\\n' +
        '    --pcr10 sha256:$(cat /sys/class/tpm/tpm0/pcr-sha256/10)\n\n' +
        'Exits with 0 when the list is good, 1 when it is not to be trusted, 2 when it cannot be read.',
    )
    .action((file: string, options: Options) => judge(() => runIma(file, options)));
}

async function runIma(file: string, options: Options): Promise<boolean> {
  const { examine } = await import('../ima/examine.ts');
  const { toJson, toText } = await import('../ima/show.ts');
  const findings = examine(file, options);
  print(options, toJson(findings), toText(findings));
  return findings.ok;
}

function collect(text: string, before: readonly string[]): string[] {
  return [...before, text];
}
