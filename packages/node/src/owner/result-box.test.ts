import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeCleanupCertificate } from '@nemea/capsule';
import { sha256, toHex } from '@nemea/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDiskFolder } from '../adapters/storage/disk-folder.ts';
import { ResultBox } from './result-box.ts';

const TASK = 'ab'.repeat(32);
const receiver = new Uint8Array(32).fill(1);
const genuine = new Uint8Array(100).fill(7);
const forged = new Uint8Array(100).fill(8);

function certificateOver(capsule: Uint8Array): Uint8Array {
  const digest = new Uint8Array(32).fill(2);
  const quote = { attest: new Uint8Array(10), signature: new Uint8Array(10) };
  return encodeCleanupCertificate({
    version: 1,
    taskId: new Uint8Array(32).fill(0xab),
    attempt: 1,
    executor: new Uint8Array(20),
    codeDigest: digest,
    imageDigest: digest,
    outcome: { kind: 'completed' },
    results: [{ receiver, cid: 'x', digest: sha256(capsule) }],
    snapshotBefore: digest,
    snapshotAfter: digest,
    quoteBefore: quote,
    quoteAfter: quote,
    startedAtMs: 1,
    finishedAtMs: 2,
  });
}

describe('the result box', () => {
  let dir: string;
  let box: ResultBox;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'nemea-results-'));
    box = new ResultBox(openDiskFolder(dir));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it('opens the only capsule that arrived', () => {
    box.put(TASK, 'capsule', genuine);
    expect(box.tasks()).toEqual([TASK]);
    expect(box.read(TASK)).toEqual(genuine);
  });

  it('never lets a later capsule or certificate replace an earlier one', () => {
    const certificate = certificateOver(genuine);
    box.put(TASK, 'capsule', genuine);
    box.put(TASK, 'certificate', certificate);
    box.put(TASK, 'capsule', forged);
    box.put(TASK, 'certificate', certificateOver(forged));
    expect(() => box.read(TASK)).toThrow('claim to be its result');
    const digest = box.settled(TASK, toHex(sha256(certificate)), receiver);
    expect(digest).toBe(toHex(sha256(genuine)));
    expect(box.read(TASK, digest)).toEqual(genuine);
    expect(box.read(TASK)).toEqual(genuine);
  });

  it('confirms nothing by a certificate that layer 1 did not settle', () => {
    box.put(TASK, 'capsule', forged);
    box.put(TASK, 'certificate', certificateOver(forged));
    expect(box.settled(TASK, toHex(sha256(certificateOver(genuine))), receiver)).toBeUndefined();
  });

  it('keeps no more candidates of a task than its share', () => {
    for (let i = 0; i < 8; i++) box.put(TASK, 'capsule', Uint8Array.of(i));
    expect(() => box.put(TASK, 'capsule', genuine)).toThrow('more than 8');
    box.put(TASK, 'capsule', Uint8Array.of(3));
    expect(() => box.put('cd'.repeat(32), 'capsule', genuine)).not.toThrow();
  });

  it('has places for runs that strangers cannot take', () => {
    for (let i = 0; i < 8; i++) box.put(TASK, 'capsule', Uint8Array.of(i));
    box.put(TASK, 'capsule', genuine, { isOfRun: true });
    const certificate = certificateOver(genuine);
    box.put(TASK, 'certificate', certificate, { isOfRun: true });
    expect(box.settled(TASK, toHex(sha256(certificate)), receiver)).toBe(toHex(sha256(genuine)));
    expect(box.read(TASK)).toEqual(genuine);
  });

  it('keeps no more candidates of runs than theirs', () => {
    for (let i = 0; i < 16; i++) box.put(TASK, 'capsule', Uint8Array.of(i), { isOfRun: true });
    expect(() => box.put(TASK, 'capsule', genuine, { isOfRun: true })).toThrow('more than 16');
  });

  it('takes no path for a task id', () => {
    expect(() => box.put('../x', 'capsule', genuine)).toThrow('64 hex digits');
    expect(() => box.read('../../etc/passwd')).toThrow();
  });
});
