import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError, fromUtf8 } from '@nemea/core';
import { PERSISTENT, type Provisioned, type ProvisionStep } from '@nemea/tpm';
import { parsePublicArea, toSpki } from '@nemea/tpm/structures';
import { makeFolder, readText, writeFile, writeNewFile } from '../files.ts';
import { toPem } from '../pem.ts';
import { openTpmAt } from '../tpm-address.ts';
import { inspectAt } from './info.ts';

export class ProvisionError extends CodedError<'PASSWORD_INVALID'> {}

export interface ProvisionOptions {
  readonly tpm: string;
  readonly out: string;
  readonly ownerAuth?: string;
  readonly lockoutAuth?: string;
  readonly endorsementAuth?: string;
  readonly disableClear?: boolean;
}

const RANDOM_BYTES = 16;
// A password is at most a digest of the smallest TPMs' hash.
const PASSWORD_BYTES_MAX = 32;
const PASSWORD_FILE_BYTES_MAX = 4096;

/** Provisions a TPM and writes what a verifier needs of it. */
export async function provisionAt(
  options: ProvisionOptions,
): Promise<{ readonly steps: readonly ProvisionStep[]; readonly files: readonly string[] }> {
  const { passwordsSet } = await inspectAt(options.tpm);
  // Who cannot make primary keys in the endorsement hierarchy hides passwords by the stored root key.
  const encryption = { saltKey: { persistentHandle: PERSISTENT.srk } };
  const tpm = await openTpmAt(options.tpm, passwordsSet.endorsement ? { encryption } : {});
  try {
    const provisioned = await tpm.provision({
      // Read, or made and written, before the TPM is told: a password that is only in the TPM is lost.
      ...password('ownerAuth', options.ownerAuth),
      ...password('lockoutAuth', options.lockoutAuth),
      ...password('endorsementAuth', options.endorsementAuth),
      disableClear: options.disableClear ?? false,
    });
    return { steps: provisioned.steps, files: writeFiles(options.out, provisioned) };
  } finally {
    await tpm.close();
  }
}

function password<K extends string>(name: K, file: string | undefined): Partial<Record<K, Uint8Array>> {
  if (file === undefined) return {};
  if (!existsSync(file)) {
    writeNewFile(file, `${randomBytes(RANDOM_BYTES).toString('hex')}\n`, { mode: 0o600 });
  }
  const bytes = fromUtf8(readText(file, { bytesMax: PASSWORD_FILE_BYTES_MAX }).replace(/\r?\n$/, ''));
  if (bytes.length === 0 || bytes.length > PASSWORD_BYTES_MAX) {
    throw new ProvisionError(
      'PASSWORD_INVALID',
      `${file}: got ${bytes.length} bytes, want 1 to ${PASSWORD_BYTES_MAX}`,
    );
  }
  return { [name]: bytes } as Partial<Record<K, Uint8Array>>;
}

function writeFiles(dir: string, { endorsementKeys, ekChain, ak }: Provisioned): string[] {
  makeFolder(dir);
  const files = new Map<string, Uint8Array | string>([
    ['ak.pub', ak.publicArea],
    ['ak.pem', toPem('PUBLIC KEY', toSpki(parsePublicArea(ak.publicArea)))],
  ]);
  for (const { id, certificate, publicArea } of endorsementKeys) {
    files.set(`ek-${id}.der`, certificate);
    files.set(`ek-${id}.pub`, publicArea);
  }
  if (ekChain.length > 0) files.set('ek-chain.pem', ekChain.map((der) => toPem('CERTIFICATE', der)).join(''));
  return [...files].map(([name, content]) => {
    const path = join(dir, name);
    writeFile(path, content);
    return path;
  });
}
