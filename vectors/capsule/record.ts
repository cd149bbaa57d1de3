// Records capsules.json, stanzas.json and documents.json: node vectors/capsule/record.ts
import { writeFile } from 'node:fs/promises';
import { concatBytes, errorCode, fromHex, fromUtf8, sha256, toHex } from '../../packages/core/src/index.ts';
import type { CapsuleDescription, CleanupCertificate } from '../../packages/capsule/src/index.ts';
import * as capsule from '../../packages/capsule/src/index.ts';
import { derivePayloadKey, openChunk, sealChunk } from '../../packages/capsule/src/chunk.ts';
import { encodePrelude } from '../../packages/capsule/src/header.ts';

const digest = (text: string): Uint8Array => sha256(fromUtf8(text));
const save = (name: string, value: unknown): Promise<void> =>
  writeFile(new URL(name, import.meta.url), `${JSON.stringify(value, undefined, 2)}\n`);
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

type Part = { readonly from: number; readonly to: number } | { readonly hex: string };

const owner = new Uint8Array(20).fill(7);
const policy = { chainId: 31337, contract: new Uint8Array(20).fill(9) };
const CHUNK = 65536;
const description: CapsuleDescription = {
  kind: 'data',
  owner,
  mediaType: 'text/csv',
  environment: { imageDigests: [digest('image')], levelMin: 1, connections: [] },
  policy,
  task: null,
  chunkBytes: CHUNK,
};

const small = capsule.sealCapsule(description, fromUtf8('anna\nzoë\n'));
const empty = capsule.sealCapsule(description, new Uint8Array(0));
const plain = Uint8Array.from({ length: 2 * CHUNK + 100 }, (_, i) => (i * 31) & 0xff);
const large = capsule.sealCapsule(description, plain);

/** The same payload under a header that commits to another, as a dishonest owner could seal it. */
function withFalseCommitment({ capsule: honest, capsuleId, header, fileKey }: capsule.SealedCapsule): Uint8Array {
  const position = { index: 0, last: true };
  const { headerBytes } = capsule.inspectCapsule(honest);
  const body = honest.subarray(20 + headerBytes.length);
  const stream = openChunk(derivePayloadKey(fileKey, capsuleId), position, body);
  const falseHeader = capsule.encodeHeader({ ...header, payloadCommitment: new Uint8Array(32) });
  const key = derivePayloadKey(fileKey, capsule.capsuleIdOf(falseHeader));
  return concatBytes(encodePrelude(falseHeader), falseHeader, sealChunk(key, position, stream));
}


const bases: Record<string, Uint8Array> = {
  small: small.capsule,
  empty: empty.capsule,
  'three-chunks': large.capsule,
  'false-commitment': withFalseCommitment(small),
};
const bodyAt = 20 + capsule.inspectCapsule(large.capsule).headerBytes.length;
const at = (i: number): number => bodyAt + i * (CHUNK + 16);
const chunk = (i: number): Part => ({ from: at(i), to: Math.min(at(i + 1), large.capsule.length) });
const front = { from: 0, to: bodyAt };
const base = (name: string): Uint8Array => bases[name] ?? new Uint8Array(0);
const all = (name: string): Part => ({ from: 0, to: base(name).length });
const flip = (name: string, position: number): Part[] => [
  { from: 0, to: position },
  { hex: toHex(Uint8Array.of((base(name)[position] ?? 0) ^ 1)) },
  { from: position + 1, to: base(name).length },
];
const end = small.capsule.length;

const cases: readonly (readonly [string, string, readonly Part[], Uint8Array?])[] = [
  ['small', 'small', [all('small')]],
  ['empty-payload', 'empty', [all('empty')]],
  ['three-chunks', 'three-chunks', [all('three-chunks')]],
  ['truncated-in-magic', 'small', [{ from: 0, to: 5 }]],
  ['truncated-in-header', 'small', [{ from: 0, to: 60 }]],
  ['truncated-by-one', 'small', [{ from: 0, to: end - 1 }]],
  ['truncated-between-chunks', 'three-chunks', [front, chunk(0), chunk(1)]],
  ['chunks-swapped', 'three-chunks', [front, chunk(1), chunk(0), chunk(2)]],
  ['chunk-repeated', 'three-chunks', [front, chunk(0), chunk(0), chunk(2)]],
  ['payload-bit-flipped', 'small', flip('small', end - 20)],
  ['tag-bit-flipped', 'small', flip('small', end - 1)],
  ['magic-of-version-2', 'small', [{ hex: toHex(fromUtf8('nemea-capsule/2\n')) }, { from: 16, to: end }]],
  ['header-length-absurd', 'small', [{ from: 0, to: 16 }, { hex: 'ffffffff' }, { from: 20, to: end }]],
  ['header-not-canonical', 'small', flip('small', 20)],
  ['header-owner-changed', 'small', flip('small', toHex(small.capsule).indexOf('07'.repeat(20)) / 2)],
  ['trailing-byte', 'small', [all('small'), { hex: '00' }]],
  ['trailing-chunk', 'three-chunks', [all('three-chunks'), chunk(0)]],
  ['last-chunk-empty', 'small', [all('small'), { hex: '00'.repeat(16) }]],
  ['commitment-false', 'false-commitment', [all('false-commitment')]],
  ['other-file-key', 'small', [all('small')], large.fileKey],
];
const keys: Record<string, Uint8Array> = {
  small: small.fileKey,
  empty: empty.fileKey,
  'three-chunks': large.fileKey,
  'false-commitment': small.fileKey,
};

function open(bytes: Uint8Array, fileKey: Uint8Array): { plainDigest: string } | { error: string } {
  try {
    return { plainDigest: toHex(sha256(capsule.openCapsule(bytes, fileKey))) };
  } catch (error) {
    return { error: errorCode(error) };
  }
}

await save('capsules.json', {
  bases: Object.fromEntries(Object.entries(bases).map(([name, bytes]) => [name, base64(bytes)])),
  cases: cases.map(([name, from, parts, ownKey]) => {
    const fileKey = ownKey ?? keys[from] ?? new Uint8Array(0);
    const bytes = concatBytes(
      ...parts.map((part) => ('hex' in part ? fromHex(part.hex) : base(from).subarray(part.from, part.to))),
    );
    return { name, base: from, parts, fileKey: toHex(fileKey), ...open(bytes, fileKey) };
  }),
});

const receiver = capsule.generateReceiverKey();
const run = capsule.generateReceiverKey();
const result = capsule.sealResult({
  receivers: [receiver.publicKey],
  plaintext: fromUtf8('anna\n'),
  taskId: digest('task'),
  owner,
  index: 0,
});
const terms = {
  taskId: digest('task'),
  capsuleId: small.capsuleId,
  attempt: 1,
  runKey: run.publicKey,
  policy,
};
const grant = capsule.sealGrant(terms, small.fileKey);
await save('stanzas.json', {
  result: {
    capsule: toHex(result.capsule),
    receiverPrivateKey: toHex(receiver.privateKey),
    plain: toHex(fromUtf8('anna\n')),
  },
  grant: {
    taskId: toHex(terms.taskId),
    capsuleId: toHex(terms.capsuleId),
    attempt: terms.attempt,
    chainId: policy.chainId,
    contract: toHex(policy.contract),
    runKey: toHex(run.publicKey),
    runPrivateKey: toHex(run.privateKey),
    message: toHex(capsule.encodeReleaseMessage(grant)),
    fileKey: toHex(small.fileKey),
    binding: toHex(capsule.releaseBinding(terms)),
  },
});

const task = capsule.encodeTaskSpec({
  version: 1,
  entry: 'intersect',
  code: { digest: digest('code'), cid: 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku', source: '/ip4/192.0.2.1/tcp/4001' },
  image: { digest: digest('image'), name: 'python' },
  capsules: [{ id: small.capsuleId }],
  receivers: [{ key: receiver.publicKey, agent: '/ip4/192.0.2.2/tcp/4001' }],
  limits: { timeoutMs: 10000, memoryBytes: 268435456, pids: 16, outputBytes: 1048576 },
  connections: [],
  devices: [],
});
const quote = { attest: new Uint8Array(145).fill(1), signature: new Uint8Array(72).fill(2) };
const certificate: CleanupCertificate = {
  version: 1,
  taskId: digest('task'),
  attempt: 1,
  executor: owner,
  codeDigest: digest('code'),
  imageDigest: digest('image'),
  outcome: { kind: 'completed' },
  results: [{ receiver: receiver.publicKey, cid: 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku', digest: sha256(result.capsule) }],
  snapshotBefore: digest('state'),
  snapshotAfter: digest('state'),
  quoteBefore: quote,
  quoteAfter: quote,
  startedAtMs: 1790000000000,
  finishedAtMs: 1790000001000,
};
await save('documents.json', {
  header: toHex(capsule.encodeHeader(small.header)),
  capsuleId: toHex(small.capsuleId),
  taskSpec: toHex(task),
  cleanupCertificate: toHex(capsule.encodeCleanupCertificate(certificate)),
  cleanupCertificateDigest: toHex(capsule.cleanupCertificateDigest(certificate)),
});
