import { createPublicKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { ComponentKind } from '@nemea/attestation';
import { CodedError } from '@nemea/core';
import { type Command, Option } from 'commander';
import { note, print } from '../output.ts';

class CorimFileError extends CodedError<
  'FILE_UNREADABLE' | 'KEY_UNREADABLE' | 'REFERENCE_VALUES_UNREADABLE'
> {}

const KINDS: readonly ComponentKind[] = ['secure-boot-key', 'boot-authority', 'boot-loader', 'file'];
const COORDINATE = { 'P-256': 'es256', 'P-384': 'es384' } as const;

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
  const bytes = new Uint8Array(read(file));
  const corim =
    options.key === undefined ? parseCorim(bytes) : parseSignedCorim(bytes, verifierOf(options.key));
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
  const values = parseReferenceValues(parseJson(file));
  const listed = [...(values.components?.values() ?? [])].flatMap((byDigest) =>
    [...byDigest.values()].flat(),
  );
  // A component stands under each of its digests.
  const content = toCorim(options.id, [...new Set(listed)]);
  const bytes = encodeCorim(content);
  writeFileSync(options.out, bytes);
  const { registers, components } = content;
  print(
    options,
    { out: options.out, bytes: bytes.length, registers: registers.length, components: components.length },
    `${options.out}: ${registers.length} registers, ${components.length} components, ${bytes.length} bytes`,
  );
}

function verifierOf(path: string): { algorithm: 'es256' | 'es384'; publicKey: Uint8Array } {
  try {
    const { crv, x = '', y = '' } = createPublicKey(read(path)).export({ format: 'jwk' });
    if (crv !== 'P-256' && crv !== 'P-384') throw new CorimFileError('KEY_UNREADABLE', `curve: got ${crv}`);
    const point = Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
    return { algorithm: COORDINATE[crv], publicKey: new Uint8Array(point) };
  } catch (cause) {
    if (cause instanceof CorimFileError) throw cause;
    throw new CorimFileError('KEY_UNREADABLE', `${path}: want a P-256 or P-384 public key in PEM`, { cause });
  }
}

function parseJson(path: string): unknown {
  try {
    return JSON.parse(read(path).toString('utf8'));
  } catch (cause) {
    if (cause instanceof CorimFileError) throw cause;
    throw new CorimFileError('REFERENCE_VALUES_UNREADABLE', `${path}: not JSON`, { cause });
  }
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new CorimFileError('FILE_UNREADABLE', `cannot read ${path}`, { cause });
  }
}
