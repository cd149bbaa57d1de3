import { existsSync } from 'node:fs';
import { errorCode } from '@nemea/core';
import type { Command } from 'commander';
import type { FileOptions } from '../attest/file.ts';
import type { NodeOptions } from '../attest/node.ts';
import { note, print } from '../output.ts';

/** What scripts may rely on. */
const EXIT = { trusted: 0, notTrusted: 1, notJudged: 2 } as const;

interface Options extends NodeOptions, FileOptions {
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  nemea attest node-3 --dir .nemea/demo
  nemea attest evidence.cbor --policy golden/policy.json --ak ak.pub --nonce 0badcafe

Exits with 0 when it is trusted, warnings included; 1 when it is not; 2 when it could not be judged.`;

export function addAttestCommand(program: Command): void {
  program
    .command('attest <NODE|FILE>')
    .description('why should I trust this node, or the machine of this evidence? Every claim with its reason')
    .option('--dir <DIR>', 'NODE: folder of a devnet, whose nodes may be named', '.nemea/devnet')
    .option('--network <FILE>', "NODE: network.json; by default the devnet's")
    .option(
      '--via <DIR>',
      'NODE: data folder of a running member whose own judgement is shown; by default another node of the devnet',
    )
    .option('--policy <FILE>', 'FILE: what to demand; see nemea policy')
    .option(
      '--references <FILE>',
      'FILE: reference values; by default reference-values.json beside the policy',
    )
    .option('--ak <FILE>', 'FILE: the attestation key as TPMT_PUBLIC or TPM2B_PUBLIC')
    .option(
      '--level <LEVEL>',
      'FILE: what the key is vouched for: development, vouched, hardware',
      'development',
    )
    .option('--nonce <HEX>', 'FILE: what the quote was asked to contain')
    .option('--epoch <HEX...>', 'FILE: epoch handles in place of a nonce, the newest first')
    .option('--any-time', 'FILE: judge evidence of unknown age, if the policy accepts it')
    .option('--clocks <FILE>', 'FILE: registry of the highest clocks seen; made and kept up to date')
    .option('--ima-keys <FILE>', 'FILE: keys whose signatures on files count, PEM or DER')
    .option('--json', 'print one JSON line')
    .addHelpText('after', EXAMPLES)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.trusted : EXIT.notJudged))
    .action(async (target: string, options: Options) => {
      try {
        const trusted = existsSync(target)
          ? await attestFile(target, options)
          : await attestNode(target, options);
        process.exit(trusted ? EXIT.trusted : EXIT.notTrusted);
      } catch (error) {
        // Whatever it was, nothing was judged.
        const code = errorCode(error);
        const message = error instanceof Error ? error.message : String(error);
        if (options.json === true) print(options, { ok: false, error: { code, message } }, '');
        else note(`nemea: ${code}: ${message}`);
        process.exit(EXIT.notJudged);
      }
    });
}

async function attestNode(node: string, options: Options): Promise<boolean> {
  const { judgeNode } = await import('../attest/node.ts');
  const { MARKS } = await import('../attest/claims.ts');
  const { account, claims } = await judgeNode(node, options);
  const trusted = claims.every(({ verdict }) => verdict === 'affirming' || verdict === 'warning');
  const lines = claims.map(({ claim, verdict, why }) => `${MARKS[verdict]} ${claim.padEnd(18)} ${why}`);
  const text = [`node ${account}`, ...lines, trusted ? 'trusted' : 'NOT trusted'].join('\n');
  print(options, { account, trusted, claims }, text);
  return trusted;
}

async function attestFile(file: string, options: Options): Promise<boolean> {
  const { judgeFile } = await import('../attest/file.ts');
  const { showResult, toPlain } = await import('../attest/claims.ts');
  const result = await judgeFile(file, options);
  const trusted = result.verdict !== 'contraindicated';
  print(
    options,
    { ok: trusted, trusted, ...toPlain(result) },
    [`evidence ${file}`, showResult(result)].join('\n'),
  );
  return trusted;
}
