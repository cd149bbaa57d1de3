import { CodedError } from '@nemea/core';
import type { Command } from 'commander';
import type { ImaOptions } from '../ima/examine.ts';
import { print } from '../output.ts';

/** What scripts may rely on: the list is good, it is not to be trusted, or it cannot be read. */
const EXIT = { good: 0, notTrusted: 1, unreadable: 2 } as const;

type Options = ImaOptions & { readonly json?: boolean };

export function addImaCommand(program: Command): void {
  program
    .command('ima')
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
    .exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.good : EXIT.unreadable))
    .action(async (file: string, options: Options) => {
      process.exitCode = await runIma(file, options);
    });
}

async function runIma(file: string, options: Options): Promise<number> {
  const { examine } = await import('../ima/examine.ts');
  const { printable, toJson, toText } = await import('../ima/show.ts');
  let findings: ReturnType<typeof examine>;
  try {
    findings = examine(file, options);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const { code } = error;
    if (options.json === true) print(options, { ok: false, error: { code, message: error.message } }, '');
    else process.stderr.write(`nemea: ${code}: ${printable(error.message)}\n`);
    return EXIT.unreadable;
  }
  print(options, toJson(findings), toText(findings));
  return findings.ok ? EXIT.good : EXIT.notTrusted;
}

function collect(text: string, before: readonly string[]): string[] {
  return [...before, text];
}
