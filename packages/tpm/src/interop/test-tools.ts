import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ByteWriter } from '@nemea/core';
import { listHandles } from '../capability.ts';
import { openUnixChannel } from '../channel/unix.ts';
import { HANDLE } from '../command.ts';
import { EvictControl } from '../commands/context.ts';
import { Load } from '../commands/object.ts';
import type { TpmOpenOptions } from '../connection.ts';
import type { Credential } from '../credential.ts';
import { openExecutor } from '../executor.ts';
import { flush, type PrimaryRequest, type TpmKey } from '../object.ts';
import { invalid, parseWhole, readSized, STRUCTURE_BYTES_MAX, writeSized } from '../structures/buffer.ts';
import {
  type AnyPublicArea,
  encodePublicArea,
  nameOf,
  type PublicArea,
  parsePublicArea,
} from '../structures/public-area.ts';
import { endProcess, startSwtpm } from '../testing.ts';
import { Tpm } from '../tpm.ts';

/** For tests: a blank software TPM that this client and tpm2-tools use in turn, and the files that they exchange. */
export interface SharedTpm {
  /** `tpm2_NAME ARGS` among the files; what it prints. Rejects with what it says on stderr. */
  tool(name: string, ...args: readonly string[]): Promise<string>;
  /** This client, for the length of `use`: the TPM serves one at a time. Transient objects are gone afterwards. */
  client<T>(use: (tpm: Tpm) => Promise<T>, options?: TpmOpenOptions): Promise<T>;
  read(file: string): Promise<Uint8Array>;
  write(file: string, content: Uint8Array | string): Promise<void>;
  stop(): Promise<void>;
}

const run = promisify(execFile);

export async function startSharedTpm(): Promise<SharedTpm> {
  const dir = await mkdtemp(join(tmpdir(), 'interop-'));
  const path = join(dir, 'sock');
  // The tools take the name of the control socket from that of the data socket.
  const sockets = ['--server', `type=unixio,path=${path}`, '--ctrl', `type=unixio,path=${path}.ctrl`];
  const swtpm = await startSwtpm(['--tpmstate', `dir=${dir}`, ...sockets], { path });
  const env = { ...process.env, TPM2TOOLS_TCTI: `swtpm:path=${path}`, TSS2_LOG: 'all+error' };
  return {
    async tool(name, ...args) {
      try {
        return (await run(`tpm2_${name}`, args, { cwd: dir, env })).stdout;
      } finally {
        await flushTransient(path);
      }
    },
    async client(use, options) {
      const tpm = await Tpm.open(() => openUnixChannel(path), options);
      try {
        return await use(tpm);
      } finally {
        await tpm.close();
        await flushTransient(path);
      }
    },
    read: async (file) => new Uint8Array(await readFile(join(dir, file))),
    write: (file, content) => writeFile(join(dir, file), content),
    async stop() {
      await endProcess(swtpm, 'SIGTERM');
      await rm(dir, { recursive: true });
    },
  };
}

/** The tools leave every object that they load, and the TPM has three slots. Their sessions stay, saved in files. */
async function flushTransient(path: string): Promise<void> {
  const channel = await openUnixChannel(path);
  try {
    const io = openExecutor(channel);
    for (const handle of await listHandles(io, 'transient')) await flush(io, handle);
  } finally {
    await channel.close();
  }
}

export const hexHandle = (handle: number): string => `0x${handle.toString(16)}`;

/** A primary key of this client at a handle that the tools can name. */
export async function makePersistent(
  tpm: Tpm,
  request: PrimaryRequest,
  persistentHandle: number,
): Promise<TpmKey> {
  await using key = await tpm.createPrimary(request);
  const handles = { auth: HANDLE.owner, objectHandle: key };
  await tpm.run(EvictControl, { handles, parameters: { persistentHandle } });
  return await tpm.readPublic(persistentHandle);
}

/** A storage key of tpm2_createprimary, where both find it. */
export const PARENT = 0x81000001;

export async function makeParent({ tool }: SharedTpm): Promise<void> {
  await tool('createprimary', '-C', 'o', '-G', 'ecc', '-c', 'parent');
  await tool('evictcontrol', '-C', 'o', '-c', 'parent', hexHandle(PARENT));
}

/** The options by which tpm2-tools name the two files of an object. */
export const filesOf = (name: string): string[] => ['-u', `${name}.pub`, '-r', `${name}.priv`];

/** TPMT_PUBLIC of an object's `-u` file. */
export async function readArea({ read }: SharedTpm, name: string): Promise<PublicArea> {
  return parsePublicArea(fromSized(await read(`${name}.pub`)));
}

export interface ObjectFiles {
  readonly outPublic: AnyPublicArea;
  readonly outPrivate: Uint8Array;
}

export async function writeObject({ write }: SharedTpm, name: string, object: ObjectFiles): Promise<void> {
  await write(`${name}.pub`, toSized(encodePublicArea(object.outPublic)));
  await write(`${name}.priv`, toSized(object.outPrivate));
}

/** TPM2_Load of an object's files. */
export async function loadFiles(
  shared: SharedTpm,
  tpm: Tpm,
  name: string,
  parentHandle = PARENT,
): Promise<TpmKey> {
  const inPublic = await readArea(shared, name);
  const { objectHandle } = await tpm.run(Load, {
    handles: { parentHandle },
    parameters: { inPrivate: fromSized(await shared.read(`${name}.priv`)), inPublic },
  });
  const publicArea = encodePublicArea(inPublic);
  return { handle: objectHandle, publicArea, name: nameOf(publicArea) };
}

/** A file that holds one TPM2B: `-u`, `-r` and seeds. */
export const toSized = (bytes: Uint8Array): Uint8Array => writeSized(new ByteWriter(), bytes).toBytes();

export function fromSized(file: Uint8Array): Uint8Array {
  return parseWhole('file', file, (reader) => readSized(reader, 'file', STRUCTURE_BYTES_MAX));
}

// What tpm2-tools put before two TPM2Bs to tell such a file.
const FILE_MAGIC = 0xbadcc0de;
const FILE_VERSION = 1;

/** What tpm2_makecredential writes and tpm2_activatecredential reads. */
export function toCredentialFile({ credentialBlob, encryptedSecret }: Credential): Uint8Array {
  const writer = new ByteWriter().u32(FILE_MAGIC).u32(FILE_VERSION);
  return writeSized(writeSized(writer, credentialBlob), encryptedSecret).toBytes();
}

export function fromCredentialFile(file: Uint8Array): Credential {
  return parseWhole('credential file', file, (reader) => {
    if (reader.u32() !== FILE_MAGIC || reader.u32() !== FILE_VERSION) throw invalid('not a credential file');
    const sized = (name: string): Uint8Array => readSized(reader, name, STRUCTURE_BYTES_MAX);
    return { credentialBlob: sized('credential'), encryptedSecret: sized('encrypted secret') };
  });
}
