import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, type NetConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { fromHex } from '@nemea/core';
import { openUnixChannel } from './channel/unix.ts';
import type { TpmOpenOptions } from './connection.ts';
import { Tpm } from './tpm.ts';

/** For tests: a blank software TPM, without endorsement certificate, and a client of it that reconnects. */
export interface TestTpm {
  readonly tpm: Tpm;
  readonly socketPath: string;
  /** PEM of the root and intermediate that issued the endorsement certificates; none without `setup`. */
  readonly authority: { readonly root: string; readonly intermediate: string } | undefined;
  /** SIGSTOP makes the TPM take commands and answer none, SIGCONT ends that. */
  signal(name: NodeJS.Signals): void;
  /** Ends the TPM's process at once, as a crash or a power cut does. */
  kill(): Promise<void>;
  /** Starts it again on the same state. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const SOCKET_POLLS_MAX = 2000;

export interface TestTpmOptions extends TpmOpenOptions {
  /** Have swtpm_setup make endorsement keys and certificates by an authority of its own, with these options. */
  readonly setup?: readonly string[];
}

export async function startTestTpm(options: TestTpmOptions = {}): Promise<TestTpm> {
  const dir = await mkdtemp(join(tmpdir(), 'tpm-'));
  const authority = options.setup === undefined ? undefined : await setUp(dir, options.setup);
  const socketPath = join(dir, 'sock');
  const serve = (): Promise<ChildProcess> =>
    startSwtpm(['--tpmstate', `dir=${dir}`, '--server', `type=unixio,path=${socketPath}`], {
      path: socketPath,
    });
  let child = await serve();
  const tpm = await Tpm.open(() => openUnixChannel(socketPath), options);
  return {
    tpm,
    socketPath,
    authority,
    signal: (name) => void child.kill(name),
    async kill() {
      await endProcess(child, 'SIGKILL');
      await rm(socketPath, { force: true });
    },
    async restart() {
      child = await serve();
    },
    async stop() {
      await tpm.close();
      await endProcess(child, 'SIGTERM');
      await rm(dir, { recursive: true });
    },
  };
}

/** `--create-ek-cert` of swtpm_setup, with a certificate authority that ends with the test. */
async function setUp(
  dir: string,
  options: readonly string[],
): Promise<{ root: string; intermediate: string }> {
  const ca = join(dir, 'ca');
  await mkdir(ca);
  const lines = (name: string, ...text: readonly string[]): Promise<void> =>
    writeFile(join(ca, name), `${text.join('\n')}\n`);
  await lines('options', '--platform-manufacturer Test', '--platform-version 1', '--platform-model Test');
  await lines(
    'localca.conf',
    ...[`statedir = ${ca}`, `signingkey = ${ca}/key.pem`, `issuercert = ${ca}/issuer.pem`],
    `certserial = ${ca}/serial`,
  );
  await lines(
    'setup.conf',
    ...['create_certs_tool = /usr/bin/swtpm_localca', `create_certs_tool_config = ${ca}/localca.conf`],
    ...[`create_certs_tool_options = ${ca}/options`, 'active_pcr_banks = sha256'],
  );
  const args = ['--tpm2', '--tpm-state', dir, '--create-ek-cert', '--config', join(ca, 'setup.conf')];
  await promisify(execFile)('swtpm_setup', [...args, '--pcr-banks', 'sha256', ...options]);
  const read = (name: string): Promise<string> => readFile(join(ca, name), 'utf8');
  return { root: await read('swtpm-localca-rootca-cert.pem'), intermediate: await read('issuer.pem') };
}

/**
 * A swtpm that serves at `address`, started unless `flags` say otherwise; the options say where that is, and where it
 * keeps its state.
 */
export async function startSwtpm(
  options: readonly string[],
  address: NetConnectOpts,
  flags = 'not-need-init,startup-clear',
): Promise<ChildProcess> {
  const child = spawn('swtpm', ['socket', '--tpm2', ...options, '--flags', flags], { stdio: 'ignore' });
  for (let poll = 0; poll < SOCKET_POLLS_MAX && !(await isServed(address)); poll++) await sleep(5);
  return child;
}

// The socket's file is there before the TPM listens.
async function isServed(address: NetConnectOpts): Promise<boolean> {
  const socket = connect(address);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    // Not yet.
    return false;
  } finally {
    socket.destroy();
  }
}

export async function endProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

/** A file of `vectors/`, parsed. */
export async function readVectors<T>(path: string): Promise<T> {
  const file = new URL(`../../../vectors/${path}`, import.meta.url);
  return JSON.parse(await readFile(file, 'utf8')) as T;
}

export interface IdentityVector {
  readonly ekPublic: string;
  readonly ekCertificate: string;
  readonly caRoot: string;
  readonly caIntermediate: string;
  readonly akPublic: string;
  readonly akName: string;
  readonly vrfPublic: string;
}

export interface AttestationVector {
  readonly name: 'quote' | 'get-time' | 'certify';
  readonly qualifyingData: string;
  readonly attest: string;
  readonly signature: string;
  readonly pcrs?: readonly { readonly pcr: number; readonly value: string }[];
}

/** Real attestations, their key, and the bytes themselves. */
export async function readAttestationVectors(): Promise<{
  readonly identity: IdentityVector;
  readonly attestations: readonly AttestationVector[];
  readonly structures: readonly Uint8Array[];
}> {
  const identity = await readVectors<IdentityVector>('tpm/identity.json');
  const attestations = await readVectors<AttestationVector[]>('tpm/attestations.json');
  const attested = attestations.flatMap(({ attest, signature }) => [attest, signature]);
  const publicAreas = [identity.ekPublic, identity.akPublic, identity.vrfPublic];
  return { identity, attestations, structures: [...attested, ...publicAreas].map(fromHex) };
}
