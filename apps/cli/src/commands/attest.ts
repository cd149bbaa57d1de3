import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { NodeOptions } from '../attest/node.ts';
import type { SignOptions } from '../ear/ear.ts';
import { EXIT, endOnUsage, judge, print } from '../output.ts';

interface Options extends NodeOptions, SignOptions {
  readonly json?: boolean;
}

const NOTES = `
Examples:
  nemea attest node-3 --dir .nemea/demo
  nemea attest evidence.cbor --policy golden/policy.json --ak ak.pub --nonce 0badcafe
  nemea attest evidence.cbor --policy golden/policy.json --ak ak.pub --nonce 0badcafe --ear result.ear --sign key.pem

A key whose --level nobody vouches for counts as development: it may be of a software TPM, which is as honest as its host.

Exits with 0 when it is trusted, warnings included; 1 when it is not; 2 when it could not be judged.`;

export function addAttestCommand(program: Command): void {
  endOnUsage(program.command('attest <NODE|FILE>'), EXIT.notJudged)
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
    .option('--ear <OUT>', 'FILE: write the result for others, signed; see nemea ear')
    .option('--sign <KEY>', 'FILE: private key that signs it: PEM, P-256 or P-384')
    .option('--json', 'print one JSON line')
    .addHelpText('after', NOTES)
    .action((target: string, options: Options) =>
      judge(() =>
        target === '-' || existsSync(target) ? attestFile(target, options) : attestNode(target, options),
      ),
    );
}

async function attestNode(node: string, options: Options): Promise<boolean> {
  const { judgeNode } = await import('../attest/node.ts');
  const { showNode, toPlainNode } = await import('../attest/claims.ts');
  const judgement = await judgeNode(node, options);
  const trusted = judgement.verdict !== 'contraindicated';
  print(options, { ok: trusted, trusted, ...toPlainNode(judgement) }, showNode(judgement, Date.now()));
  return trusted;
}

async function attestFile(file: string, options: Options): Promise<boolean> {
  const { judgeAndSign } = await import('../ear/ear.ts');
  const { showResult, toPlain } = await import('../attest/claims.ts');
  const { ear } = options;
  const result = await judgeAndSign(file, options);
  const trusted = result.verdict !== 'contraindicated';
  const signed = ear === undefined ? [] : [`signed for others: ${ear}`];
  print(
    options,
    { ok: trusted, trusted, ...(ear === undefined ? {} : { ear }), ...toPlain(result) },
    [`evidence ${file}`, showResult(result), ...signed].join('\n'),
  );
  return trusted;
}
