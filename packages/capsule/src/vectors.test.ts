import { readFile } from 'node:fs/promises';
import { concatBytes, fromHex, sha256, toHex } from '@nemea/core';
import { expect, test } from 'vitest';
import {
  cleanupCertificateDigest,
  encodeCleanupCertificate,
  parseCleanupCertificate,
} from './certificate.ts';
import { capsuleIdOf, encodeHeader, parseHeader } from './header.ts';
import { openCapsule, openCapsuleStream } from './open.ts';
import { openGrant, parseReleaseMessage, releaseBinding } from './release.ts';
import { openResult } from './result.ts';
import { encodeTaskSpec, parseTaskSpec } from './task.ts';
import { codeOf, collect, pieces } from './testing.ts';

type Part = { readonly from: number; readonly to: number } | { readonly hex: string };

interface Capsules {
  readonly bases: Readonly<Record<string, string>>;
  readonly cases: readonly {
    readonly name: string;
    readonly base: string;
    readonly parts: readonly Part[];
    readonly fileKey: string;
    readonly plainDigest?: string;
    readonly error?: string;
  }[];
}

interface Stanzas {
  readonly result: { readonly capsule: string; readonly receiverPrivateKey: string; readonly plain: string };
  readonly grant: {
    readonly taskId: string;
    readonly capsuleId: string;
    readonly attempt: number;
    readonly chainId: number;
    readonly contract: string;
    readonly runKey: string;
    readonly runPrivateKey: string;
    readonly message: string;
    readonly fileKey: string;
    readonly binding: string;
  };
}

type Documents = Record<
  'header' | 'capsuleId' | 'taskSpec' | 'cleanupCertificate' | 'cleanupCertificateDigest',
  string
>;

async function recorded<T>(file: string): Promise<T> {
  return JSON.parse(
    await readFile(new URL(`../../../vectors/capsule/${file}`, import.meta.url), 'utf8'),
  ) as T;
}

const { bases, cases } = await recorded<Capsules>('capsules.json');
const { result, grant } = await recorded<Stanzas>('stanzas.json');
const documents = await recorded<Documents>('documents.json');

test.each(cases)('a recorded capsule opens, or fails, as recorded: $name', async (it) => {
  const base = new Uint8Array(Buffer.from(bases[it.base] ?? '', 'base64'));
  const parts = it.parts.map((part) =>
    'hex' in part ? fromHex(part.hex) : base.subarray(part.from, part.to),
  );
  const capsule = concatBytes(...parts);
  const key = fromHex(it.fileKey);
  if (it.plainDigest !== undefined) {
    expect(toHex(sha256(openCapsule(capsule, key)))).toBe(it.plainDigest);
    return;
  }
  expect(await codeOf(() => openCapsule(capsule, key))).toBe(it.error);
  expect(await codeOf(() => collect(openCapsuleStream(pieces(capsule, 4096), key)))).toBe(it.error);
});

test('the recorded failures are of every kind that a capsule can have', () => {
  const kinds = new Set(cases.flatMap(({ error }) => error ?? []));
  expect([...kinds].sort()).toEqual([
    'CAPSULE_CHUNK_INVALID',
    'CAPSULE_COMMITMENT_WRONG',
    'CAPSULE_HEADER_INVALID',
    'CAPSULE_HEADER_TOO_LARGE',
    'CAPSULE_LAST_CHUNK_EMPTY',
    'CAPSULE_MAGIC_WRONG',
    'CAPSULE_TRAILING',
    'CAPSULE_TRUNCATED',
  ]);
});

test('the recorded result opens for its receiver', async () => {
  const plain = openResult(fromHex(result.capsule), fromHex(result.receiverPrivateKey));
  expect(toHex(plain)).toBe(result.plain);
});

test('the recorded grant gives its file key', async () => {
  const terms = {
    taskId: fromHex(grant.taskId),
    capsuleId: fromHex(grant.capsuleId),
    attempt: grant.attempt,
    runKey: fromHex(grant.runKey),
    policy: { chainId: grant.chainId, contract: fromHex(grant.contract) },
  };
  const message = parseReleaseMessage(fromHex(grant.message));
  if (message.kind !== 'grant') throw new Error(`got ${message.kind}, want a grant`);
  const fileKey = openGrant(terms, message.stanza, fromHex(grant.runPrivateKey));
  expect(toHex(fileKey)).toBe(grant.fileKey);
  expect(toHex(releaseBinding(terms))).toBe(grant.binding);
});

test('recorded documents parse, and encode to the same bytes and digests', () => {
  expect(toHex(encodeHeader(parseHeader(fromHex(documents.header))))).toBe(documents.header);
  expect(toHex(capsuleIdOf(fromHex(documents.header)))).toBe(documents.capsuleId);
  expect(toHex(encodeTaskSpec(parseTaskSpec(fromHex(documents.taskSpec))))).toBe(documents.taskSpec);
  const certificate = parseCleanupCertificate(fromHex(documents.cleanupCertificate));
  expect(toHex(encodeCleanupCertificate(certificate))).toBe(documents.cleanupCertificate);
  expect(toHex(cleanupCertificateDigest(certificate))).toBe(documents.cleanupCertificateDigest);
});
