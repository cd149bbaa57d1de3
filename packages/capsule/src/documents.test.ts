import { type CborValue, decodeCbor, encodeCbor, fromUtf8, sha256 } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CleanupCertificate,
  cleanupCertificateDigest,
  encodeCleanupCertificate,
  parseCleanupCertificate,
} from './certificate.ts';
import { CapsuleError, type CapsuleErrorCode } from './errors.ts';
import { type CapsuleHeader, encodeHeader, parseHeader } from './header.ts';
import {
  encodeReleaseMessage,
  parseReleaseMessage,
  RELEASE_REFUSALS,
  type ReleaseMessage,
  type ReleaseRequest,
  releaseBinding,
} from './release.ts';
import { encodeTaskSpec, parseTaskSpec, type TaskSpec } from './task.ts';
import { OWNER } from './testing.ts';

const digest = (text: string): Uint8Array => sha256(fromUtf8(text));

const header: CapsuleHeader = {
  version: 1,
  kind: 'data',
  owner: OWNER,
  mediaType: 'text/csv',
  payloadCommitment: digest('commitment'),
  plainBytes: 1234,
  chunkBytes: 65_536,
  environment: { imageDigests: [digest('image')], levelMin: 1, connections: ['example.org:443'] },
  policy: { chainId: 31_337, contract: OWNER },
  task: null,
  recipients: [{ key: digest('key'), enc: digest('enc'), ciphertext: new Uint8Array(48) }],
};

const task: TaskSpec = {
  version: 1,
  entry: 'intersect',
  code: { digest: digest('code'), cid: 'bafkreihdwdcef', source: '/ip4/127.0.0.1/tcp/4001' },
  image: { digest: digest('image'), name: 'python' },
  capsules: [{ id: digest('a') }, { id: digest('b') }],
  receivers: [{ key: digest('b'), agent: '/ip4/127.0.0.1/tcp/4002' }],
  limits: { timeoutMs: 10_000, memoryBytes: 2 ** 28, pids: 16, outputBytes: 2 ** 20 },
  connections: [],
  devices: [],
};

const request: ReleaseRequest = {
  kind: 'request',
  taskId: digest('task'),
  capsuleId: digest('capsule'),
  attempt: 0,
  executor: OWNER,
  salt: digest('salt'),
  election: [new Uint8Array(65)],
  runKey: digest('run key'),
  nonce: digest('nonce'),
  evidence: new Uint8Array(10),
  runOpening: { codeDigest: digest('code'), imageDigest: digest('image'), salt: digest('run salt') },
  results: [new Uint8Array(100)],
};

const messages: readonly ReleaseMessage[] = [
  { kind: 'hello', taskId: request.taskId, capsuleId: request.capsuleId },
  { kind: 'nonce', nonce: request.nonce },
  request,
  { kind: 'grant', stanza: { enc: digest('enc'), ciphertext: new Uint8Array(48) } },
  { kind: 'refusal', code: 'POLICY_REFUSED' },
];

const certificate: CleanupCertificate = {
  version: 1,
  taskId: digest('task'),
  attempt: 1,
  executor: OWNER,
  codeDigest: digest('code'),
  imageDigest: digest('image'),
  outcome: { kind: 'completed' },
  results: [{ receiver: digest('b'), cid: 'bafkreihdwdcef', digest: digest('result') }],
  snapshotBefore: digest('state'),
  snapshotAfter: digest('state'),
  quoteBefore: { attest: new Uint8Array(145), signature: new Uint8Array(72) },
  quoteAfter: { attest: new Uint8Array(145), signature: new Uint8Array(72) },
  startedAtMs: 1,
  finishedAtMs: 2,
};

interface Kind {
  readonly name: string;
  readonly code: CapsuleErrorCode;
  readonly values: readonly unknown[];
  readonly encode: (value: never) => Uint8Array;
  readonly parse: (bytes: Uint8Array) => unknown;
}

const failed = { ...certificate, outcome: { kind: 'failed', code: 'OUT_OF_MEMORY' } };
const kinds: readonly Kind[] = [
  {
    name: 'capsule header',
    code: 'CAPSULE_HEADER_INVALID',
    values: [header, { ...header, policy: null, recipients: [], task: { taskId: digest('t'), index: 1 } }],
    encode: encodeHeader,
    parse: parseHeader,
  },
  {
    name: 'task specification',
    code: 'TASK_SPEC_INVALID',
    values: [task],
    encode: encodeTaskSpec,
    parse: parseTaskSpec,
  },
  {
    name: 'release message',
    code: 'RELEASE_MESSAGE_INVALID',
    values: messages,
    encode: encodeReleaseMessage,
    parse: parseReleaseMessage,
  },
  {
    name: 'clean-up certificate',
    code: 'CLEANUP_CERTIFICATE_INVALID',
    values: [certificate, failed],
    encode: encodeCleanupCertificate,
    parse: parseCleanupCertificate,
  },
];

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof CapsuleError) return error.code;
    throw error;
  }
  return 'OK';
}

describe.each(kinds)('a $name', ({ code, values, encode, parse }) => {
  const encoded = values.map((value) => encode(value as never));

  test('survives its encoding', () => {
    expect(encoded.map(parse)).toEqual(values);
  });

  test('is refused with a key missing or a key too many', () => {
    for (const bytes of encoded) {
      const fields = decodeCbor(bytes) as Record<string, CborValue>;
      expect(codeOf(() => parse(encodeCbor({ ...fields, extra: null })))).toBe(code);
      for (const key of Object.keys(fields)) {
        const { [key]: _, ...rest } = fields;
        expect(
          codeOf(() => parse(encodeCbor(rest))),
          key,
        ).toBe(code);
      }
    }
  });

  test('is refused with a field of another type', () => {
    for (const bytes of encoded) {
      const fields = decodeCbor(bytes) as Record<string, CborValue>;
      for (const key of Object.keys(fields)) {
        for (const wrong of [-1, 'x\u0000', true, [1], new Uint8Array(0)]) {
          expect(
            codeOf(() => parse(encodeCbor({ ...fields, [key]: wrong }))),
            key,
          ).toBe(code);
        }
      }
    }
  });

  test('gives no other error than its own, whatever the bytes', () => {
    const whole = encoded[0] ?? new Uint8Array(0);
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.tuple(fc.nat(whole.length - 1), fc.nat(255)).map(([at, value]) => whole.with(at, value)),
      fc.nat(whole.length - 1).map((length) => whole.slice(0, length)),
    );
    fc.assert(
      fc.property(bytes, (made) => {
        expect(['OK', code]).toContain(codeOf(() => parse(made)));
      }),
      { numRuns: 500 },
    );
  });
});

describe('a task specification is refused', () => {
  const rows: readonly (readonly [string, Partial<Record<keyof TaskSpec, unknown>>])[] = [
    ['with an entry that is no name', { entry: 'os.system("x")' }],
    ['without a receiver', { receivers: [] }],
    ['with a receiver key of 31 bytes', { receivers: [{ key: new Uint8Array(31), agent: '' }] }],
    ['with a limit below zero', { limits: { ...task.limits, pids: -1 } }],
    ['with a time-out beyond a day', { limits: { ...task.limits, timeoutMs: 86_400_001 } }],
    ['with too many connections', { connections: new Array(17).fill('a:1') }],
    [
      'when it is longer than a transaction may carry',
      { connections: new Array(16).fill('a'.repeat(256)), devices: new Array(16).fill('a'.repeat(256)) },
    ],
  ];
  test.each(rows)('%s', (_, change) => {
    expect(codeOf(() => parseTaskSpec(encodeCbor({ ...task, ...change } as CborValue)))).toBe(
      'TASK_SPEC_INVALID',
    );
  });
});

test('a refusal carries a code and nothing that the agent could say by accident', () => {
  for (const code of Object.keys(RELEASE_REFUSALS)) {
    expect(codeOf(() => parseReleaseMessage(encodeCbor({ kind: 'refusal', code })))).toBe('OK');
  }
  const talkative = { kind: 'refusal', code: 'POLICY_REFUSED', detail: 'minimum credit is 40' };
  expect(codeOf(() => parseReleaseMessage(encodeCbor(talkative)))).toBe('RELEASE_MESSAGE_INVALID');
  expect(codeOf(() => parseReleaseMessage(encodeCbor({ kind: 'refusal', code: 'CREDIT_TOO_LOW' })))).toBe(
    'RELEASE_MESSAGE_INVALID',
  );
});

test('a release is bound to its run key, task and capsule', () => {
  const bindings = [
    releaseBinding(request),
    releaseBinding({ ...request, runKey: OWNER }),
    releaseBinding({ ...request, taskId: OWNER }),
    releaseBinding({ ...request, capsuleId: OWNER }),
  ];
  expect(new Set(bindings.map(String)).size).toBe(4);
});

test('a clean-up certificate cannot finish before it starts', () => {
  expect(codeOf(() => encodeCleanupCertificate({ ...certificate, finishedAtMs: 0 }))).toBe(
    'CLEANUP_CERTIFICATE_INVALID',
  );
});

test('a clean-up certificate has one digest, that of its bytes', () => {
  expect(cleanupCertificateDigest(certificate)).toEqual(sha256(encodeCleanupCertificate(certificate)));
});
