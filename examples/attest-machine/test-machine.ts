import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { measureBoot } from '@nemea/attestation/testing';
import { startTestTpm } from '@nemea/tpm/testing';

/** A machine to try the guide on: a software TPM that was given the boot of a recorded one, and that boot's logs in DIR. */
const VECTOR = join(import.meta.dirname, '../../vectors/eventlog/ovmf-secure-boot');
const [dir = '/tmp/machine'] = process.argv.slice(2);
const logs = { eventLog: join(dir, 'tpm0'), imaList: join(dir, 'ima') };
for (const folder of Object.values(logs)) mkdirSync(folder, { recursive: true });
cpSync(`${VECTOR}.bin`, join(logs.eventLog, 'binary_bios_measurements'));
cpSync(`${VECTOR}.ima.bin`, join(logs.imaList, 'binary_runtime_measurements'));
const machine = await startTestTpm();
await measureBoot(machine.tpm, {
  eventLog: readFileSync(`${VECTOR}.bin`),
  imaList: readFileSync(`${VECTOR}.ima.bin`),
});
// It serves one client at a time.
await machine.tpm.close();
console.log(`node machine.ts ${machine.socketPath} a1b2c3d4 ${dir}`);
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => machine.stop().then(() => process.exit(0)));
setInterval(() => undefined, 1 << 30);
