import { randomUUID, X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { SoftwareTpmError } from './errors.ts';

/** DER certificates of the devnet's own endorsement CA: the trust anchor, and what signs endorsement certificates. */
export interface CaCertificates {
  readonly root: Uint8Array;
  readonly intermediate: Uint8Array;
}

/** What swtpm_setup needs to know of the CA; the file names are swtpm_localca's. */
export function caPaths(dir: string): { setupConfig: string; issuer: string; root: string; lock: string } {
  const ca = resolve(dir);
  return {
    setupConfig: join(ca, 'swtpm_setup.conf'),
    issuer: join(ca, 'issuercert.pem'),
    root: join(ca, 'swtpm-localca-rootca-cert.pem'),
    lock: join(ca, 'provisioning.lock'),
  };
}

/**
 * Writes the configuration of a private endorsement CA into `dir`. The keys are made by the first provisioning and lie
 * there unencrypted, so the folder is for its owner alone: this CA vouches for a devnet, never for hardware.
 */
export async function createDevnetCa(dir: string): Promise<void> {
  const ca = resolve(dir);
  await mkdir(ca, { recursive: true, mode: 0o700 });
  await chmod(ca, 0o700);
  const localCaConfig = join(ca, 'swtpm-localca.conf');
  const localCaOptions = join(ca, 'swtpm-localca.options');
  await writeLines(localCaOptions, [
    '--platform-manufacturer Nemea',
    '--platform-version 2.1',
    '--platform-model NemeaDevnetNode',
  ]);
  await writeLines(localCaConfig, [
    `statedir = ${ca}`,
    `signingkey = ${join(ca, 'signkey.pem')}`,
    `issuercert = ${join(ca, 'issuercert.pem')}`,
    `certserial = ${join(ca, 'certserial')}`,
  ]);
  await writeLines(caPaths(ca).setupConfig, [
    'create_certs_tool = /usr/bin/swtpm_localca',
    `create_certs_tool_config = ${localCaConfig}`,
    `create_certs_tool_options = ${localCaOptions}`,
    'active_pcr_banks = sha256',
  ]);
}

// Renamed into place: a provisioning that runs meanwhile sees the old file or the new one, both complete.
async function writeLines(path: string, lines: readonly string[]): Promise<void> {
  const draft = `${path}.${randomUUID()}.draft`;
  await writeFile(draft, `${lines.join('\n')}\n`, { mode: 0o600 });
  await rename(draft, path);
}

/** The CA's certificates, once a TPM has been provisioned. Throws `SWTPM_CA_INVALID`. */
export async function caCertificates(dir: string): Promise<CaCertificates> {
  const { root, issuer } = caPaths(dir);
  return { root: await readCertificate(root), intermediate: await readCertificate(issuer) };
}

async function readCertificate(path: string): Promise<Uint8Array> {
  try {
    return Uint8Array.from(new X509Certificate(await readFile(path)).raw);
  } catch (cause) {
    throw new SoftwareTpmError('SWTPM_CA_INVALID', `no certificate at ${path}: provision a tpm first`, {
      data: { path },
      cause,
    });
  }
}
