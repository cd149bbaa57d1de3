/**
 * Records vectors/eventlog: boots OVMF with a software TPM under QEMU, once without and once with Secure Boot, and takes
 * out the firmware's event log, IMA's lists, the PCRs of all banks and a quote of them. Needs Debian 12 on x86-64 and
 * root, which installs what is missing. Software emulation: a boot takes 20 to 60 s.
 *
 * npm run record:boot-log -- [--only NAME] [--out DIR]
 */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { fromUtf8, sha256, toHex, toUtf8 } from '@nemea/core';
import { TEMPLATES, Tpm } from '@nemea/tpm';
import { buildBootDisk, buildDataImage } from './boot-log/disk.ts';
import { buildInitramfs, type Entry } from './boot-log/initramfs.ts';
import { bootMachine, type Machine } from './boot-log/machine.ts';
import { buildUki } from './boot-log/uki.ts';

const ROOT = join(import.meta.dirname, '..');
const CACHE = join(ROOT, '.nemea', 'boot-log');
// Depends on the package of Debian's present kernel for virtual machines.
const KERNEL_META_PACKAGE = 'linux-image-cloud-amd64';
const STUB = '/usr/lib/systemd/boot/efi/linuxx64.efi.stub';
const SNAKEOIL = '/usr/share/ovmf/PkKek-1-snakeoil';
/** What must be there: its Debian package. */
const TOOLS: Readonly<Record<string, string>> = {
  '/usr/bin/qemu-system-x86_64': 'qemu-system-x86',
  '/usr/share/OVMF/OVMF_CODE_4M.fd': 'ovmf',
  '/usr/bin/swtpm': 'swtpm',
  '/usr/bin/swtpm_setup': 'swtpm-tools',
  [STUB]: 'systemd-boot-efi',
  '/bin/busybox': 'busybox-static',
  '/usr/bin/sbsign': 'sbsigntool',
  '/usr/bin/mformat': 'mtools',
  '/usr/sbin/sfdisk': 'fdisk',
  '/usr/sbin/mke2fs': 'e2fsprogs',
};
// insmod resolves no dependencies: this is their order.
const MODULES = [
  'drivers/virtio/virtio_ring',
  'drivers/virtio/virtio',
  'drivers/virtio/virtio_pci_legacy_dev',
  'drivers/virtio/virtio_pci_modern_dev',
  'drivers/virtio/virtio_pci',
  'drivers/block/virtio_blk',
];
const FOLDERS = ['bin', 'data', 'dev', 'lib', 'lib/modules', 'proc', 'sys'];
const BANKS = ['sha1', 'sha256', 'sha384', 'sha512'];
const PCRS = Array.from({ length: 24 }, (_, pcr) => pcr);
// TPM2_Quote takes PCRs that no other locality owns; 16 and 23 anybody may reset.
const QUOTED_PCRS = PCRS.slice(0, 16);
const SECURITY = '/sys/kernel/security';

/** The machines that are recorded, each with the kernel command line that selects what IMA writes. */
const BOOTS = {
  'ovmf-kernel': { firmware: 'plain', disk: false, ima: 'ima_policy=tcb ima_template=ima-sig' },
  'ovmf-secure-boot': { firmware: 'snakeoil', disk: true, ima: 'ima_policy=tcb ima_template=ima-ng' },
} as const;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      out: { type: 'string', default: join(ROOT, 'vectors', 'eventlog') },
    },
  });
  installTools();
  const kernel = unpackKernel();
  for (const [name, boot] of Object.entries(BOOTS)) {
    if (values.only !== undefined && values.only !== name) continue;
    const dir = mkdtempSync(join(tmpdir(), 'boot-log-'));
    try {
      await recordBoot(name, boot, kernel, { dir, out: values.out });
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }
}

type Boot = (typeof BOOTS)[keyof typeof BOOTS];

async function recordBoot(
  name: string,
  boot: Boot,
  kernel: Kernel,
  { dir, out }: { readonly dir: string; readonly out: string },
): Promise<void> {
  const startedMs = performance.now();
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const cmdline = `console=ttyS0 loglevel=4 panic=-1 ${boot.ima}`;
  const data = buildDataImage(dir, privateKey);
  const uki = buildImage(dir, kernel, cmdline);
  const machine = await bootMachine({
    dir,
    firmware: boot.firmware,
    ...(boot.disk ? { disk: buildBootDisk(dir, signImage(uki), data) } : { disk: data, kernel: uki }),
  });
  try {
    const eventLog = await machine.readFile(`${SECURITY}/tpm0/binary_bios_measurements`);
    const imaBinary = await machine.readFile(`${SECURITY}/ima/binary_runtime_measurements`);
    const imaAscii = await machine.readFile(`${SECURITY}/ima/ascii_runtime_measurements`);
    const record = {
      packages: packageVersions(kernel),
      cmdline,
      pcrs: await readPcrs(machine),
      ...(await quotePcrs(machine, name)),
      imaKey: publicKey.export({ type: 'spki', format: 'pem' }),
    };
    await machine.powerOff();
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, `${name}.bin`), eventLog);
    writeFileSync(join(out, `${name}.ima.bin`), imaBinary);
    writeFileSync(join(out, `${name}.ima.txt`), imaAscii);
    writeFileSync(join(out, `${name}.json`), `${JSON.stringify(record, undefined, 2)}\n`);
  } finally {
    machine.kill();
  }
  console.log(`${name}: recorded in ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
}

/** All PCRs of all banks, as the kernel shows them. */
async function readPcrs(machine: Machine): Promise<Record<string, string[]>> {
  const banks: Record<string, string[]> = {};
  for (const bank of BANKS) {
    const values: string[] = [];
    for (const pcr of PCRS) {
      const text = toUtf8(await machine.readFile(`/sys/class/tpm/tpm0/pcr-${bank}/${pcr}`));
      values.push(text.trim().toLowerCase());
    }
    banks[bank] = values;
  }
  return banks;
}

async function quotePcrs(machine: Machine, name: string): Promise<Record<string, string>> {
  const tpm = await Tpm.open(machine.tpm, { flushLeftovers: false });
  const ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
  const nonce = sha256(fromUtf8(name));
  const { attest, signature } = await tpm.quote(ak, { qualifyingData: nonce, pcrs: QUOTED_PCRS });
  return {
    akPublic: toHex(ak.publicArea),
    nonce: toHex(nonce),
    attest: toHex(attest),
    signature: toHex(signature),
  };
}

interface Kernel {
  /** Name and version. */
  readonly package: readonly [string, string];
  readonly image: Uint8Array;
  readonly modules: readonly Entry[];
}

function buildImage(dir: string, { image, modules }: Kernel, cmdline: string): string {
  const initrd = buildInitramfs([
    ...FOLDERS.map((path) => ({ path })),
    { path: 'bin/busybox', content: readFileSync('/bin/busybox') },
    { path: 'bin/sh', content: readFileSync('/bin/busybox') },
    { path: 'init', content: readFileSync(join(import.meta.dirname, 'boot-log', 'init.sh')) },
    ...modules,
  ]);
  const uki = buildUki(readFileSync(STUB), [
    { name: '.osrel', content: fromUtf8('ID=nemea-boot-log\nVERSION_ID=1\n') },
    { name: '.cmdline', content: fromUtf8(`${cmdline}\0`) },
    { name: '.linux', content: image },
    { name: '.initrd', content: initrd },
  ]);
  const path = join(dir, 'boot.efi');
  writeFileSync(path, uki);
  return path;
}

/** Signed by the key whose certificate is in the firmware's db. Its passphrase is public knowledge. */
function signImage(uki: string): string {
  const key = `${uki}.key`;
  const open = ['rsa', '-in', `${SNAKEOIL}.key`, '-passin', 'pass:snakeoil', '-out', key];
  execFileSync('openssl', open, { stdio: 'pipe' });
  const signed = `${uki}.signed`;
  execFileSync('sbsign', ['--key', key, '--cert', `${SNAKEOIL}.pem`, '--output', signed, uki], {
    stdio: 'pipe',
  });
  return signed;
}

function installTools(): void {
  if (process.arch !== 'x64') throw new Error(`x86-64 is needed, this is ${process.arch}`);
  const missing = Object.entries(TOOLS).flatMap(([file, name]) => (existsSync(file) ? [] : [name]));
  if (missing.length === 0) return;
  apt('update');
  apt('install', '-y', '--no-install-recommends', ...missing);
}

/** The kernel and its modules out of their package, which is not installed. */
function unpackKernel(): Kernel {
  const depends = output('apt-cache', 'depends', KERNEL_META_PACKAGE);
  const name = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
  if (name === undefined) throw new Error(`apt knows no kernel behind ${KERNEL_META_PACKAGE}`);
  const folder = join(CACHE, name);
  if (!existsSync(folder)) {
    mkdirSync(folder, { recursive: true });
    execFileSync('apt-get', ['download', name], { cwd: folder, stdio: 'inherit' });
  }
  const file = readdirSync(folder).find((entry) => entry.endsWith('.deb')) ?? '';
  const unpacked = join(folder, 'unpacked');
  if (!existsSync(unpacked)) execFileSync('dpkg', ['-x', join(folder, file), unpacked]);
  const release = name.replace('linux-image-', '');
  const modules = MODULES.map((path) => ({
    path: `lib/modules/${basename(path)}.ko`,
    content: readFileSync(join(unpacked, 'lib', 'modules', release, 'kernel', `${path}.ko`)),
  }));
  const image = readFileSync(join(unpacked, 'boot', `vmlinuz-${release}`));
  return { package: [name, file.split('_')[1] ?? ''], image, modules };
}

function packageVersions(kernel: Kernel): Record<string, string> {
  const names = [...new Set(Object.values(TOOLS))].sort();
  const lines = output('dpkg-query', '-W', ...names)
    .trim()
    .split('\n');
  return Object.fromEntries([...lines.map((line) => line.split('\t')), kernel.package]);
}

function output(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8' });
}

function apt(...args: string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  execFileSync('apt-get', ['-q', ...args], { env, stdio: 'inherit' });
}

await main();
