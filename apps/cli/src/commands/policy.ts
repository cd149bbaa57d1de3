import type { Command } from 'commander';
import { print } from '../output.ts';
import type { LearnOptions } from '../policy/learn.ts';

const LEARN_EXAMPLES = `
Examples:
  nemea policy learn --tpm device:/dev/tpmrm0 --out golden
  nemea policy learn --evidence evidence.cbor --out golden
  nemea policy learn --eventlog binary_bios_measurements --pcrs pcrs.json --out golden

What is learnt is what the machine shows now: let it be one that you trust. Logs that do not replay to its registers teach
nothing. The level is no property of the machine but your word for its key: where you know from a maker's certificate
that keys are in hardware, demand --level hardware here, and say so with --level in nemea attest.`;

export function addPolicyCommands(program: Command): void {
  const policy = program.command('policy').description('what a judge demands: learn it, read it');
  policy
    .command('learn')
    .description('write policy.json and reference-values.json that a golden machine meets')
    .requiredOption('--out <DIR>', 'where to write them')
    .option('--evidence <FILE>', 'an evidence document of the machine, bare or wrapped')
    .option('--tpm <ADDRESS>', "this machine's TPM: unix:PATH, tcp:HOST:PORT or device:PATH")
    .option('--eventlog <FILE>', "TCG event log; of a device by default the kernel's")
    .option('--ima <FILE>', "IMA list; of a device by default the kernel's")
    .option(
      '--pcrs <FILE>',
      'PCR values: JSON {"sha256": {"0": HEX}}; by default what the event log replays to',
    )
    .option('--ak <FILE>', 'its attestation key; by default keys on P-256 are demanded')
    .option('--level <LEVEL>', 'least level to demand: development, vouched, hardware', 'development')
    .option('--json', 'print one JSON line')
    .addHelpText('after', LEARN_EXAMPLES)
    .action(async (options: LearnOptions & { readonly json?: boolean }) => {
      const { learn } = await import('../policy/learn.ts');
      const { files, components } = await learn(options);
      const lines = [...files, `${components} components; keys of level ${options.level} and above will do`];
      print(options, { ok: true, files, components, level: options.level }, lines.join('\n'));
    });
  policy
    .command('explain')
    .description('say in plain sentences what a policy demands, and why')
    .argument('<FILE>', 'policy.json')
    .option('--references <FILE>', 'reference values; by default reference-values.json beside the policy')
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea policy explain golden/policy.json')
    .action(async (file: string, options: { readonly references?: string; readonly json?: boolean }) => {
      const { explain, showSentences } = await import('../policy/explain.ts');
      const sentences = explain(file, options.references);
      print(options, { ok: true, sentences }, showSentences(sentences));
    });
}
