import type { Command } from 'commander';
import { print } from '../output.ts';
import type { ProvisionOptions } from '../tpm/provision.ts';

const ADDRESS = ['--tpm <ADDRESS>', 'unix:PATH, tcp:HOST:PORT or device:PATH'] as const;

const NOTES = `
Example:
  nemea tpm provision --tpm device:/dev/tpmrm0 --out tpm --lockout-auth lockout.key

A second run changes nothing. Files of passwords that do not exist yet are made, with a random password, for their owner
alone. Keep them: without the lockout password nobody resets a lockout. An endorsement password hides the keys that
this project's nodes use.`;

export function addTpmCommands(program: Command): void {
  const tpm = program.command('tpm').description('a TPM 2.0: what it is, and making it ready');
  tpm
    .command('info')
    .description('print what a TPM says of itself; needs no password and changes nothing')
    .requiredOption(...ADDRESS)
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea tpm info --tpm device:/dev/tpmrm0')
    .action(async (options: { readonly tpm: string; readonly json?: boolean }) => {
      const { inspectAt, toJson, toText } = await import('../tpm/info.ts');
      const info = await inspectAt(options.tpm);
      print(options, { ok: true, ...toJson(info) }, toText(info));
    });
  tpm
    .command('provision')
    .description(
      'store root and attestation key, set passwords and limits on guessing, read the EK certificates',
    )
    .requiredOption(...ADDRESS)
    .requiredOption(
      '--out <DIR>',
      'where EK certificates (ek-ID.der), their chain and the attestation key go',
    )
    .option('--owner-auth <FILE>', 'the password of the owner hierarchy')
    .option('--lockout-auth <FILE>', 'the password of the lockout hierarchy')
    .option('--endorsement-auth <FILE>', 'the password of the endorsement hierarchy')
    .option('--disable-clear', 'forbid TPM2_Clear until the platform allows it again')
    .option('--json', 'print one JSON line')
    .addHelpText('after', NOTES)
    .action(async (options: ProvisionOptions & { readonly json?: boolean }) => {
      const { provisionAt } = await import('../tpm/provision.ts');
      const { steps, files } = await provisionAt(options);
      const lines = steps.map(
        ({ step, outcome, detail }) => `${outcome.padEnd(8)}${step.padEnd(22)}${detail}`,
      );
      print(options, { ok: true, steps, files }, [...lines, ...files].join('\n'));
    });
}
