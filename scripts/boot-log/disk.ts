import { execFileSync } from 'node:child_process';
import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { ByteWriter, fromUtf8 } from '@nemea/core';

const MIB = 2 ** 20;
const DATA_MIB = 16;
const ESP_MIB = 40;
// Fixed identities: the partition table is measured into PCR 5.
const DISK_GUID = '4E454D45-4100-4000-8000-000000000001';
const ESP_GUID = '4E454D45-4100-4000-8000-000000000002';
const DATA_GUID = '4E454D45-4100-4000-8000-000000000003';
const ESP_TYPE = 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B';
const DATA_TYPE = '0FC63DAF-8483-4772-8E79-3D69D8477DE4';
// linux/security/integrity/integrity.h and include/uapi/linux/hash_info.h.
const XATTR_DIGSIG = 3;
const SIGNATURE_VERSION = 2;
const HASH_SHA256 = 4;

/** The ext4 image of the files that IMA measures; one of them carries an IMA signature by `key`. */
export function buildDataImage(dir: string, key: KeyObject): string {
  const root = join(dir, 'data');
  for (const folder of ['bin', 'etc']) mkdirSync(join(root, folder), { recursive: true });
  const busybox = readFileSync('/bin/busybox');
  writeFileSync(join(root, 'bin', 'busybox'), busybox, { mode: 0o755 });
  // Another content than the unsigned one: IMA lists a digest once for each file, and both must appear.
  const signed = Buffer.concat([busybox, fromUtf8('signed\n')]);
  writeFileSync(join(root, 'bin', 'signed'), signed, { mode: 0o755 });
  writeFileSync(join(root, 'etc', 'settings'), 'colour = blue\n');
  writeFileSync(join(root, 'etc', 'name with spaces'), 'a name with spaces\n');
  writeFileSync(join(root, 'etc', 'contended'), 'read and written at the same time\n');
  const image = join(dir, 'data.ext4');
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-O', '^has_journal', '-d', root, image, `${DATA_MIB}M`]);
  writeFileSync(join(dir, 'signature'), imaSignature(signed, key));
  const attach = `ea_set /bin/signed security.ima -f ${join(dir, 'signature')}`;
  execFileSync('debugfs', ['-w', '-R', attach, image], { stdio: 'pipe' });
  return image;
}

/** security.ima as evmctl writes it: type, then signature_v2_hdr with the last bytes of the key's SHA-1 as its id. */
function imaSignature(content: Uint8Array, key: KeyObject): Uint8Array {
  const signature = sign('sha256', content, key);
  return new ByteWriter()
    .u8(XATTR_DIGSIG)
    .u8(SIGNATURE_VERSION)
    .u8(HASH_SHA256)
    .bytes(keyId(key))
    .u16(signature.length)
    .bytes(signature)
    .toBytes();
}

function keyId(key: KeyObject): Uint8Array {
  const publicKey = createPublicKey(key).export({ type: 'pkcs1', format: 'der' });
  return createHash('sha1').update(publicKey).digest().subarray(-4);
}

/** A GPT disk: an EFI system partition that boots `uki`, and the data. */
export function buildBootDisk(dir: string, uki: string, data: string): string {
  const esp = join(dir, 'esp.fat');
  execFileSync('truncate', ['-s', `${ESP_MIB}M`, esp]);
  execFileSync('mformat', ['-i', esp, '-F', '-N', '4e454d45', '::']);
  for (const folder of ['::/EFI', '::/EFI/BOOT']) execFileSync('mmd', ['-i', esp, folder]);
  execFileSync('mcopy', ['-i', esp, uki, '::/EFI/BOOT/BOOTX64.EFI']);

  const disk = join(dir, 'boot.disk');
  const file = openSync(disk, 'w');
  try {
    ftruncateSync(file, (1 + ESP_MIB + DATA_MIB + 1) * MIB);
    writeSync(file, readFileSync(esp), 0, undefined, MIB);
    writeSync(file, readFileSync(data), 0, undefined, (1 + ESP_MIB) * MIB);
  } finally {
    closeSync(file);
  }
  const table = [
    'label: gpt',
    `label-id: ${DISK_GUID}`,
    `start=1MiB, size=${ESP_MIB}MiB, type=${ESP_TYPE}, uuid=${ESP_GUID}, name=ESP`,
    `start=${1 + ESP_MIB}MiB, size=${DATA_MIB}MiB, type=${DATA_TYPE}, uuid=${DATA_GUID}, name=data`,
  ];
  execFileSync('sfdisk', ['-q', disk], { stdio: ['pipe', 'ignore', 'pipe'], input: `${table.join('\n')}\n` });
  return disk;
}
