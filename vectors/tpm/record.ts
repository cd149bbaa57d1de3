// Records identity.json, attestations.json and vrf-proofs.json from a fresh software TPM: node vectors/tpm/record.ts
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256, fromUtf8, toHex } from '../../packages/core/src/index.ts';
import { caCertificates, createDevnetCa } from '../../packages/node/src/adapters/tpm/certificate-authority.ts';
import { openTpm } from '../../packages/node/src/adapters/tpm/open-tpm.ts';
import { provisionSoftwareTpm, startSoftwareTpm } from '../../packages/node/src/adapters/tpm/swtpm.ts';
import { openIdentity } from '../../packages/tpm/src/index.ts';
import { compressedPoint, parsePublicArea } from '../../packages/tpm/src/structures/index.ts';

const PCRS = [0, 7, 14];

function save(name: string, value: unknown): Promise<void> {
  return writeFile(new URL(name, import.meta.url), `${JSON.stringify(value, undefined, 2)}\n`);
}

function toVector(
  name: string,
  qualifyingData: Uint8Array,
  { attest, signature }: { attest: Uint8Array; signature: Uint8Array },
) {
  return { name, qualifyingData: toHex(qualifyingData), attest: toHex(attest), signature: toHex(signature) };
}

/** A quote made wrong in one way each: offsets are those of a 34-byte signer and a 32-byte nonce. */
function malformed(quote: Uint8Array) {
  const changed = (
    name: string,
    code: string,
    changes: Record<number, number>,
    bytes: Uint8Array = Uint8Array.from(quote),
  ) => {
    for (const [at, value] of Object.entries(changes)) bytes[Number(at)] = value;
    return { name, code, attest: toHex(bytes) };
  };
  const invalid = 'TPM_STRUCTURE_INVALID';
  return [
    changed('empty', invalid, {}, new Uint8Array(0)),
    changed('truncated by a byte', invalid, {}, quote.slice(0, -1)),
    changed('followed by a byte', invalid, {}, Uint8Array.from([...quote, 0])),
    changed('magic of an external signature', invalid, { 0: 0 }),
    changed('unknown type', 'TPM_STRUCTURE_UNSUPPORTED', { 5: 0x99 }),
    changed('certify type over a quote body', invalid, { 5: 0x17 }),
    changed('signer longer than the buffer', invalid, { 6: 0xff, 7: 0xff }),
    changed('nonce longer than the buffer', invalid, { 42: 0, 43: 66 }),
    changed('safe flag that is no boolean', invalid, { 92: 2 }),
    changed('more pcr banks than exist', invalid, { 101: 0xff }),
    changed('pcr bitmap of four bytes', invalid, { 107: 4 }),
  ];
}

const dir = await mkdtemp(join(tmpdir(), 'tpm-vectors-'));
await createDevnetCa(join(dir, 'ca'));
await provisionSoftwareTpm({ stateDir: join(dir, 'state'), caDir: join(dir, 'ca') });
const process = await startSoftwareTpm({ stateDir: join(dir, 'state'), socketPath: join(dir, 'sock') });
const tpm = await openTpm({ kind: 'swtpm', socketPath: process.socketPath });
const identity = await openIdentity(tpm);
const ca = await caCertificates(join(dir, 'ca'));

await save('identity.json', {
  ekPublic: toHex(identity.ekPublic),
  ekCertificate: toHex(identity.ekCertificate),
  caRoot: toHex(ca.root),
  caIntermediate: toHex(ca.intermediate),
  akPublic: toHex(identity.akPublic),
  akName: toHex(identity.akName),
  vrfPublic: toHex(identity.vrfPublic),
});

await tpm.pcrExtend(14, sha256(fromUtf8('release')));
const nonce = sha256(fromUtf8('challenge'));
const pcrs = (await tpm.pcrRead(PCRS)).map(({ pcr, value }) => ({ pcr, value: toHex(value) }));
await save('attestations.json', [
  { ...toVector('quote', nonce, await identity.quote({ qualifyingData: nonce, pcrs: PCRS })), pcrs },
  toVector('get-time', nonce, await identity.getTime(nonce)),
  toVector('certify', nonce, await identity.certifyVrf(nonce)),
]);

const { attest } = await identity.quote({ qualifyingData: nonce, pcrs: PCRS });
await save('attestations-malformed.json', malformed(attest));

const proofs = [];
for (let i = 0; i < 8; i++) {
  const alpha = sha256(fromUtf8(`input ${i}`));
  const { beta, proof } = await identity.vrfProve(alpha);
  proofs.push({ alpha: toHex(alpha), proof: toHex(proof), beta: toHex(beta) });
}
const vrf = parsePublicArea(identity.vrfPublic);
if (vrf.type !== 'ecc') throw new Error('the VRF key is no ECC key');
const publicKey = toHex(compressedPoint(vrf));
await save('vrf-proofs.json', { publicKey, proofs });

await identity.close();
await tpm.close();
await process.stop();
await rm(dir, { recursive: true });
