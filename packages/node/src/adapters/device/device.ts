import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { MeasuredLog } from '@nemea/attestation';
import { createEd25519Signer, createEd25519Verifier } from '@nemea/consensus/ed25519';
import { CodedError, fromHex, fromUtf8, sha256, toHex } from '@nemea/core';
import { addressOf } from '@nemea/sdk';
import { type EncryptionOptions, type Identity, nameOf, openIdentity, type Tpm } from '@nemea/tpm';
import { EK_TEMPLATE_IDS, type EkTemplateId } from '@nemea/tpm/structures';
import { z } from 'zod';
import { peerIdOf } from '../../peers/peer-id.ts';
import type { Device } from '../../ports/device.ts';
import { type DeviceKeys, openDeviceKeys } from '../keys/sealed-keys.ts';
import { measureRelease, type Release } from '../release/manifest.ts';
import { caCertificates, createDevnetCa } from '../tpm/certificate-authority.ts';
import { openTpm, type TpmLocation } from '../tpm/open-tpm.ts';
import { provisionSoftwareTpm, type SoftwareTpm, startSoftwareTpm } from '../tpm/swtpm.ts';
import { withVerifiedVrf } from '../tpm/vrf-prover.ts';

/** Keys are sealed to the software that made them: PCR 14 as the boot, with what shim trusts, and the release manifest left it. */
const SEALING_PCRS = [14] as const;

export type DeviceErrorCode = 'DEVICE_EXISTS' | 'DEVICE_MISSING' | 'DEVICE_MALFORMED' | 'DEVICE_TPM_LOST';
export class DeviceError extends CodedError<DeviceErrorCode> {}

/** Where a device's TPM is: a software TPM of its own, or a kernel device with the maker's chain beside it. */
export type TpmChoice = { readonly kind: 'swtpm' } | { readonly kind: 'device'; readonly path: string };

/** Public facts of a device, as `init` wrote them. */
export interface DeviceFacts {
  readonly name: string;
  readonly tpm: TpmChoice;
  /**
   * The endorsement key that the TPM had then. What has to stay secret on the way to the TPM is encrypted to it, so that
   * nobody between can pass for the TPM later.
   */
  readonly ek: { readonly template: EkTemplateId; readonly name: string };
  readonly account: string;
  readonly peerId: string;
  /** TCP ports, fixed at the first start so that addresses stay valid. */
  readonly ports: Readonly<Record<string, number>>;
}

const factsSchema: z.ZodType<DeviceFacts> = z.strictObject({
  name: z.string(),
  tpm: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('swtpm') }),
    z.strictObject({ kind: z.literal('device'), path: z.string().min(1) }),
  ]),
  ek: z.strictObject({ template: z.enum(EK_TEMPLATE_IDS), name: z.string().regex(/^[0-9a-f]+$/) }),
  account: z.string(),
  peerId: z.string(),
  ports: z.record(z.string(), z.number().int().min(0).max(65_535)),
});

/** A device with a real TPM, or with swtpm, and its folder. */
export interface TpmDevice extends Device {
  readonly dir: string;
  readonly facts: DeviceFacts;
  readonly release: Release;
  readonly tpm: Tpm;
  readonly identity: Identity;
  readonly keys: DeviceKeys;
  /** Settles with `DEVICE_TPM_LOST`. */
  readonly lost: Promise<DeviceError>;
}

const paths = (dir: string) => ({
  facts: join(dir, 'device.json'),
  state: join(dir, 'tpm'),
  socket: socketPath(dir, 'tpm.sock'),
  keys: join(dir, 'keys.sealed'),
  chain: (index: number) => join(dir, `ek-chain-${index}.der`),
});

/** Longest path that a Unix socket address holds everywhere (sun_path, 108 bytes with its zero). */
const SOCKET_PATH_BYTES_MAX = 107;

/** Where a device's socket lies: in its folder, or in a private one of the system's when that path is too long. */
export function socketPath(dir: string, name: string): string {
  const path = join(resolve(dir), name);
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return path;
  const folder = join(tmpdir(), `nemea-${toHex(sha256(fromUtf8(resolve(dir)))).slice(0, 16)}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return join(folder, name);
}

/**
 * Makes a device: provisions a software TPM from the devnet's CA (or takes the given TPM), seals fresh keys to it and
 * to this release. Refuses to overwrite one: its TPM is its identity.
 */
export async function initDevice(options: {
  dir: string;
  name: string;
  tpm: TpmChoice;
  caDir: string;
  ports: Readonly<Record<string, number>>;
  /** DER files above the EK certificate, for a hardware TPM. */
  ekIssuers?: readonly Uint8Array[];
}): Promise<DeviceFacts> {
  const dir = resolve(options.dir);
  const at = paths(dir);
  if (existsSync(at.facts)) throw new DeviceError('DEVICE_EXISTS', `a device lies in ${dir} already`);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const issuers = options.ekIssuers ?? (await provision(at.state, options.caDir));
  for (const [index, issuer] of issuers.entries()) writeFileSync(at.chain(index + 1), issuer);
  const draft = { name: options.name, tpm: options.tpm, account: '', peerId: '', ports: options.ports };
  const device = await openDeviceAt(dir, draft);
  const facts = { ...draft, ek: device.facts.ek, account: device.account, peerId: device.peerId };
  await device.close();
  writeFileSync(at.facts, `${JSON.stringify(facts, null, 2)}\n`);
  return facts;
}

async function provision(stateDir: string, caDir: string): Promise<Uint8Array[]> {
  await createDevnetCa(caDir);
  await provisionSoftwareTpm({ stateDir, caDir });
  const { intermediate, root } = await caCertificates(caDir);
  return [intermediate, root];
}

export function readDeviceFacts(dir: string): DeviceFacts {
  const file = paths(resolve(dir)).facts;
  if (!existsSync(file))
    throw new DeviceError('DEVICE_MISSING', `no device in ${dir}: run \`nemea node init\` first`);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new DeviceError('DEVICE_MALFORMED', `${file} is not JSON`, { cause });
  }
  const facts = factsSchema.safeParse(value);
  if (facts.success) return facts.data;
  const issue = facts.error.issues[0];
  throw new DeviceError('DEVICE_MALFORMED', `${file}: ${issue?.path.join('.')}: ${issue?.message}`);
}

/** Starts a device. The software measures itself into PCR 14 before any key is unsealed. */
export function openDevice(dir: string): Promise<TpmDevice> {
  return openDeviceAt(resolve(dir), readDeviceFacts(dir));
}

/** Facts of a device that is being made: its TPM is taken for what it says it is. */
type Draft = Omit<DeviceFacts, 'ek'> & Partial<Pick<DeviceFacts, 'ek'>>;

async function openDeviceAt(dir: string, draft: Draft): Promise<TpmDevice> {
  const at = paths(dir);
  const software: SoftwareTpm | undefined =
    draft.tpm.kind === 'swtpm'
      ? await startSoftwareTpm({ stateDir: at.state, socketPath: at.socket })
      : undefined;
  const location: TpmLocation =
    draft.tpm.kind === 'swtpm'
      ? { kind: 'swtpm', socketPath: at.socket }
      : { kind: 'device', path: draft.tpm.path };
  const { facts, tpm } = await openKnown(location, draft).catch(async (error) => {
    await software?.stop();
    throw error;
  });
  const watch = watchTpm(tpm, software);
  async function close(): Promise<void> {
    watch.end();
    if (tpm.isOpen) await tpm.shutdown();
    await tpm.close();
    await software?.stop();
  }
  try {
    const eventLog = eventLogOf(facts.tpm);
    const measured = await MeasuredLog.open({ tpm, eventLog: await eventLog?.() });
    const release = measureRelease();
    await measured.measure({ kind: 'release', digest: release.digest, name: release.name });
    const identity = withVerifiedVrf(await openIdentity(tpm, { ek: facts.ek.template }));
    const keys = await openDeviceKeys(tpm, at.keys, SEALING_PCRS);
    const signer = createEd25519Signer(keys.peerSeed);
    return {
      dir,
      facts,
      release,
      tpm,
      identity,
      measured,
      eventLog,
      keys,
      endpoint: {
        overlay: `/ip4/127.0.0.1/tcp/${facts.ports.overlay ?? 0}`,
        reception: `/ip4/127.0.0.1/tcp/${facts.ports.reception ?? 0}`,
      },
      account: addressOf(keys.accountKey),
      peerKey: signer.publicKey,
      peerId: peerIdOf(signer.publicKey),
      ekChain: readChain(dir, identity.ekCertificate),
      lost: watch.lost,
      sign: signer.sign,
      verifySignature: createEd25519Verifier(),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openKnown(location: TpmLocation, draft: Draft): Promise<{ facts: DeviceFacts; tpm: Tpm }> {
  // Nothing secret crosses before the key is known.
  const facts = { ...draft, ek: draft.ek ?? (await readEk(location)) };
  return { facts, tpm: await openTpm(location, encryptedTo(facts.ek)) };
}

async function readEk(location: TpmLocation): Promise<DeviceFacts['ek']> {
  await using tpm = await openTpm(location);
  const { ekTemplate, ekPublic } = await openIdentity(tpm);
  return { template: ekTemplate, name: toHex(nameOf(ekPublic)) };
}

function encryptedTo({ template, name }: DeviceFacts['ek']): EncryptionOptions {
  return { saltKey: { ek: template }, saltKeyName: fromHex(name) };
}

const LOOK_MS = 1_000;

function watchTpm(tpm: Tpm, software: SoftwareTpm | undefined): { lost: Promise<DeviceError>; end(): void } {
  const { promise: lost, resolve } = Promise.withResolvers<DeviceError>();
  const tell = (why: string): void => resolve(new DeviceError('DEVICE_TPM_LOST', `the tpm is gone: ${why}`));
  const timer = setInterval(() => {
    if (!tpm.isOpen) tell('its channel is dead');
  }, LOOK_MS).unref();
  let isEnded = false;
  void software?.exited.then(({ code, signal }) => {
    if (!isEnded) tell(`swtpm ended with code ${code ?? 'none'}, signal ${signal ?? 'none'}`);
  });
  return {
    lost,
    end() {
      isEnded = true;
      clearInterval(timer);
    },
  };
}

/** As the kernel shows it to root: of /dev/tpmrm1 the log of tpm1. */
function eventLogOf(tpm: TpmChoice): Device['eventLog'] {
  if (tpm.kind !== 'device') return undefined;
  const number = /\d+$/.exec(tpm.path)?.[0] ?? '0';
  const path = `/sys/kernel/security/tpm${number}/binary_bios_measurements`;
  return existsSync(path) ? async () => new Uint8Array(await readFile(path)) : undefined;
}

function readChain(dir: string, ekCertificate: Uint8Array): Uint8Array[] {
  const chain = [ekCertificate];
  for (let index = 1; index <= 4 && existsSync(paths(dir).chain(index)); index++) {
    chain.push(new Uint8Array(readFileSync(paths(dir).chain(index))));
  }
  return chain;
}
