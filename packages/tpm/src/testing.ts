import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromHex } from '@nemea/core';
import { openUnixChannel } from './channel/unix.ts';
import { Tpm } from './tpm.ts';

/** For tests: a blank software TPM, without endorsement certificate, and a client of it. */
export interface TestTpm {
  readonly tpm: Tpm;
  readonly socketPath: string;
  stop(): Promise<void>;
}

const SOCKET_POLLS_MAX = 2000;

export async function startTestTpm(): Promise<TestTpm> {
  const dir = await mkdtemp(join(tmpdir(), 'tpm-'));
  const socketPath = join(dir, 'sock');
  const state = ['--tpmstate', `dir=${dir}`];
  const server = ['--server', `type=unixio,path=${socketPath}`, '--flags', 'not-need-init,startup-clear'];
  const child = spawn('swtpm', ['socket', '--tpm2', ...state, ...server], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  for (let poll = 0; poll < SOCKET_POLLS_MAX && !existsSync(socketPath); poll++) await sleep(5);
  const tpm = await Tpm.open(await openUnixChannel(socketPath));
  return {
    tpm,
    socketPath,
    async stop() {
      await tpm.close();
      child.kill();
      await exited;
      await rm(dir, { recursive: true });
    },
  };
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
