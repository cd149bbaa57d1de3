import { readFile, writeFile } from 'node:fs/promises';
import { collectMachineEvidence, encodeEvidenceFile } from '@nemea/attestation';
import { openDeviceChannel, openUnixChannel, TEMPLATES, Tpm } from '@nemea/tpm';

const [device = '/dev/tpmrm0', nonce = '', logs = '/sys/kernel/security'] = process.argv.slice(2);
const isDevice = device.startsWith('/dev/');
await using tpm = await Tpm.open(isDevice ? await openDeviceChannel(device) : await openUnixChannel(device));
await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
const evidence = await collectMachineEvidence({
  tpm,
  identity: { quote: (request) => tpm.quote(ak, request) },
  pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12],
  nonce: Buffer.from(nonce, 'hex'),
  eventLog: () => readFile(`${logs}/tpm0/binary_bios_measurements`),
  imaList: () => readFile(`${logs}/ima/binary_runtime_measurements`),
});
await writeFile('ak.pub', ak.publicArea);
await writeFile('evidence.cbor', encodeEvidenceFile(evidence));
