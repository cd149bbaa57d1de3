import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { type ClientHttp2Session, connect } from 'node:http2';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { ByteWriter, CodedError, concatBytes, fromUtf8 } from '@nemea/core';

export class EtcdError extends CodedError<'ETCD_UNAVAILABLE' | 'ETCD_REFUSED'> {}

export interface Etcd {
  readonly version: string;
  put(key: string, value: Uint8Array): Promise<void>;
  close(): void;
}

const MEMBERS = 3;
/** Connections to each member, as the clients of a busy service would have. */
const SESSIONS_EACH = 2;
const READY_TRIES_MAX = 200;

/**
 * Three members of etcd as Debian packages it, on loopback, synchronising their disk as they do by default. The packages
 * are unpacked into `dir` and not installed: no service starts. Throws `ETCD_UNAVAILABLE` when no mirror has them.
 */
export async function startEtcd(dir: string): Promise<Etcd> {
  const binary = await unpack(join(dir, 'etcd'));
  const version = /etcd Version: (\S+)/.exec(execFileSync(binary, ['--version'], { encoding: 'utf8' }))?.[1];
  const members = await Promise.all(
    Array.from({ length: MEMBERS }, async (_, index) => ({
      name: `n${index}`,
      clientUrl: `http://127.0.0.1:${await freePort()}`,
      peerUrl: `http://127.0.0.1:${await freePort()}`,
    })),
  );
  const cluster = members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',');
  const processes = members.map(({ name, clientUrl, peerUrl }) =>
    spawn(
      binary,
      [
        ...['--name', name, '--data-dir', join(dir, name), '--log-level', 'error'],
        ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
        ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
        ...['--initial-cluster', cluster, '--initial-cluster-state', 'new'],
      ],
      { stdio: 'ignore' },
    ),
  );
  const urls = members.flatMap(({ clientUrl }) => Array.from({ length: SESSIONS_EACH }, () => clientUrl));
  await untilItServes(members[0]?.clientUrl as string, processes);
  const sessions = urls.map((url) => connect(url));
  let next = 0;
  return {
    version: version ?? 'unknown',
    put: (key, value) => put(sessions[next++ % sessions.length] as ClientHttp2Session, key, value),
    close() {
      for (const session of sessions) session.destroy();
      for (const process of processes) process.kill('SIGKILL');
    },
  };
}

async function unpack(dir: string): Promise<string> {
  await mkdir(dir, { recursive: true });
  try {
    execFileSync('apt-get', ['download', 'etcd-server'], { cwd: dir, stdio: 'ignore' });
    const [archive] = (await readdir(dir)).filter((name) => name.endsWith('.deb'));
    execFileSync('dpkg', ['-x', archive as string, 'root'], { cwd: dir });
  } catch (cause) {
    throw new EtcdError('ETCD_UNAVAILABLE', 'the mirror of this machine has no package etcd-server', {
      cause,
    });
  }
  return join(dir, 'root/usr/bin/etcd');
}

async function untilItServes(url: string, processes: readonly ChildProcess[]): Promise<void> {
  for (let tries = 0; tries < READY_TRIES_MAX; tries++) {
    const session = connect(url);
    session.on('error', () => session.destroy());
    try {
      await put(session, 'ready', new Uint8Array(1));
      return;
    } catch {
      // Not listening yet, or no leader is elected: asked again.
      await new Promise((resolve) => setTimeout(resolve, 100));
    } finally {
      session.destroy();
    }
  }
  for (const process of processes) process.kill('SIGKILL');
  throw new EtcdError('ETCD_UNAVAILABLE', 'etcd did not elect a leader');
}

/** A unary gRPC call by hand: five bytes of frame before an `etcdserverpb.PutRequest` of two fields. */
function put(session: ClientHttp2Session, key: string, value: Uint8Array): Promise<void> {
  const request = concatBytes(field(1, fromUtf8(key)), field(2, value));
  const frame = new ByteWriter(5 + request.length).u8(0).u32(request.length).bytes(request).toBytes();
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/etcdserverpb.KV/Put',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let status: string | undefined;
    const note = (headers: Record<string, unknown>): void => {
      status = headers['grpc-status'] === undefined ? status : String(headers['grpc-status']);
    };
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('error', reject);
    stream.on('close', () => {
      if (status === '0') resolve();
      else reject(new EtcdError('ETCD_REFUSED', `etcd answered with gRPC status ${status ?? 'none'}`));
    });
    stream.resume();
    stream.end(frame);
  });
}

/** Protocol buffers: field number, wire type 2, length as a varint of up to two bytes. */
function field(number: number, bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  const head = length < 128 ? [length] : [(length & 127) | 128, length >> 7];
  return concatBytes(Uint8Array.of((number << 3) | 2, ...head), bytes);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
