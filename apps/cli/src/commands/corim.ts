import type { ComponentKind } from '@nemea/attestation';
import { type Command, Option } from 'commander';
import { readFile, readJson, writeFile } from '../files.ts';
import { note, print } from '../output.ts';

const KINDS: readonly ComponentKind[] = ['secure-boot-key', 'boot-authority', 'boot-loader', 'file'];

export function addCorimCommands(program: Command): void {
  const corim = program
    .command('corim')
    .description('reference values from and to CoRIM, the format of makers (draft-ietf-rats-corim)');
  corim
    .command('import')
    .description('read a CoRIM, signed or not, as reference values')
    .argument('<FILE>', 'CoRIM in CBOR')
    .option('--key <PEM>', "the signer's public key, P-256 or P-384; a signed CoRIM is not read without")
    .addOption(
      new Option('--kind <KIND>', 'what the components of a foreign document are').choices([...KINDS]),
    )
    .option('--json', 'print one JSON line')
    .addHelpText(
      'after',
      '\nExample:\n  nemea corim import firmware.corim --kind boot-loader --json >reference-values.json',
    )
    .action((file: string, options: { key?: string; kind?: ComponentKind; json?: boolean }) =>
      runImport(file, options),
    );
  corim
    .command('export')
    .description('write the components of reference values as an unsigned CoRIM')
    .argument('<FILE>', 'reference values in JSON')
    .requiredOption('--id <ID>', 'name of the manifest')
    .requiredOption('--out <FILE>', 'where to write it')
    .option('--json', 'print one JSON line')
    .addHelpText(
      'after',
      '\nExample:\n  nemea corim export reference-values.json --id example.org/golden-1 --out golden.corim',
    )
    .action((file: string, options: { id: string; out: string; json?: boolean }) => runExport(file, options));
}

async function runImport(
  file: string,
  options: { key?: string; kind?: ComponentKind; json?: boolean },
): Promise<void> {
  const { fromCorim, parseCorim, parseSignedCorim } = await import('@nemea/attestation/corim');
  const { readVerifier } = await import('../ear/key.ts');
  const bytes = readFile(file);
  const corim =
    options.key === undefined ? parseCorim(bytes) : parseSignedCorim(bytes, readVerifier(options.key));
  const { components, ignored } = fromCorim(corim, options.kind);
  for (const what of ignored) note(`nemea: not enforced: ${what}`);
  const lines = components.map(
    ({ kind, name, digests }) => `${kind.padEnd(16)} ${name}  ${digests.join(' ')}`,
  );
  print(options, { releases: [], images: [], components }, lines.join('\n'));
}

async function runExport(file: string, options: { id: string; out: string; json?: boolean }): Promise<void> {
  const { parseReferenceValues } = await import('@nemea/attestation');
  const { encodeCorim, toCorim } = await import('@nemea/attestation/corim');
  const values = parseReferenceValues(readJson(file));
  const listed = [...(values.components?.values() ?? [])].flatMap((byDigest) =>
    [...byDigest.values()].flat(),
  );
  // A component stands under each of its digests.
  const content = toCorim(options.id, [...new Set(listed)]);
  const bytes = encodeCorim(content);
  writeFile(options.out, bytes);
  const { registers, components } = content;
  print(
    options,
    { out: options.out, bytes: bytes.length, registers: registers.length, components: components.length },
    `${options.out}: ${registers.length} registers, ${components.length} components, ${bytes.length} bytes`,
  );
}
