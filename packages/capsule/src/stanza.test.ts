import { fromUtf8, sha256 } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { inspectCapsule, openCapsule } from './open.ts';
import { openGrant, type ReleaseTerms, sealGrant } from './release.ts';
import { openResult, sealResult } from './result.ts';
import { sealCapsule } from './seal.ts';
import { generateReceiverKey, openWithKey, sealToKey } from './stanza.ts';
import { codeOf, DESCRIPTION, OWNER, withHeader } from './testing.ts';
import { publicKeyOf } from './x25519.ts';

const info = fromUtf8('purpose');
const secret = sha256(fromUtf8('file key'));

describe('a stanza', () => {
  test('opens with the key it was sealed to, for the same purpose', async () => {
    const { publicKey, privateKey } = generateReceiverKey();
    const stanza = sealToKey(publicKey, { plaintext: secret, info });
    expect(openWithKey(privateKey, { stanza, info })).toEqual(secret);
    expect([stanza.enc.length, stanza.ciphertext.length]).toEqual([32, 48]);
    expect(publicKeyOf(privateKey)).toEqual(publicKey);
  });

  test('opens for nobody else and for nothing else', async () => {
    const [own, other] = [generateReceiverKey(), generateReceiverKey()];
    const stanza = sealToKey(own.publicKey, { plaintext: secret, info, aad: info });
    const refused = [
      () => openWithKey(other.privateKey, { stanza, info, aad: info }),
      () => openWithKey(own.privateKey, { stanza, info: fromUtf8('else'), aad: info }),
      () => openWithKey(own.privateKey, { stanza, info }),
      () => openWithKey(own.privateKey, { stanza: { ...stanza, enc: other.publicKey }, info, aad: info }),
      () =>
        openWithKey(own.privateKey, {
          stanza: { ...stanza, ciphertext: stanza.ciphertext.slice(1) },
          info,
          aad: info,
        }),
      () => openWithKey(own.privateKey, { stanza: { ...stanza, enc: new Uint8Array(32) }, info, aad: info }),
      () =>
        openWithKey(own.privateKey, {
          stanza: { enc: new Uint8Array(0), ciphertext: new Uint8Array(0) },
          info,
        }),
    ];
    for (const open of refused) expect(await codeOf(open)).toBe('STANZA_INVALID');
  });

  test('is not sealed to a key of low order or of another length', async () => {
    for (const key of [new Uint8Array(32), Uint8Array.of(1, ...new Uint8Array(31)), new Uint8Array(33)]) {
      expect(await codeOf(() => sealToKey(key, { plaintext: secret, info }))).toBe('RECEIVER_KEY_INVALID');
    }
    const stanza = { enc: new Uint8Array(32), ciphertext: new Uint8Array(48) };
    expect(await codeOf(() => openWithKey(new Uint8Array(31), { stanza, info }))).toBe(
      'RECEIVER_KEY_INVALID',
    );
    expect(await codeOf(() => publicKeyOf(new Uint8Array(31)))).toBe('RECEIVER_KEY_INVALID');
  });
});

describe('a result', async () => {
  const [b, c, stranger] = await Promise.all([
    generateReceiverKey(),
    generateReceiverKey(),
    generateReceiverKey(),
  ]);
  const taskId = sha256(fromUtf8('task'));
  const plaintext = fromUtf8('anna\nzoë\n');
  const sealed = sealResult({
    receivers: [b.publicKey, c.publicKey],
    plaintext,
    taskId,
    owner: OWNER,
    index: 3,
  });

  test('opens for each receiver, and names its task', async () => {
    for (const { privateKey } of [b, c]) expect(openResult(sealed.capsule, privateKey)).toEqual(plaintext);
    expect(sealed.header).toMatchObject({ kind: 'result', policy: null, task: { taskId, index: 3 } });
    expect(Object.keys(sealed)).not.toContain('fileKey');
  });

  test('does not open for a stranger', async () => {
    expect(await codeOf(() => openResult(sealed.capsule, stranger.privateKey))).toBe('RECEIVER_UNKNOWN');
  });

  test('cannot be passed off as the result of another task, or to another receiver', async () => {
    const { recipients } = sealed.header;
    const moved = withHeader(sealed.capsule, { task: { taskId: new Uint8Array(32), index: 3 } });
    expect(await codeOf(() => openResult(moved, b.privateKey))).toBe('STANZA_INVALID');
    const renamed = recipients.map((stanza) => ({ ...stanza, key: stranger.publicKey }));
    const stolen = withHeader(sealed.capsule, { recipients: renamed });
    expect(await codeOf(() => openResult(stolen, stranger.privateKey))).toBe('STANZA_INVALID');
    const fewer = withHeader(sealed.capsule, { recipients: recipients.slice(0, 1) });
    expect(await codeOf(() => openResult(fewer, b.privateKey))).toBe('CAPSULE_CHUNK_INVALID');
  });

  test('needs a receiver', async () => {
    const none = { receivers: [], plaintext, taskId, owner: OWNER, index: 0 };
    expect(await codeOf(() => sealResult(none))).toBe('RECEIVER_UNKNOWN');
  });
});

describe('a grant', async () => {
  const run = generateReceiverKey();
  const sealed = sealCapsule(DESCRIPTION, fromUtf8('list'));
  const { policy } = inspectCapsule(sealed.capsule).header;
  if (policy === null) throw new Error('the capsule has a policy');
  const terms: ReleaseTerms = {
    taskId: sha256(fromUtf8('task')),
    capsuleId: sealed.capsuleId,
    attempt: 1,
    runKey: run.publicKey,
    policy,
  };
  const grant = sealGrant(terms, sealed.fileKey);

  test('gives the file key to the run it was made for', async () => {
    const fileKey = openGrant(terms, grant.stanza, run.privateKey);
    expect(openCapsule(sealed.capsule, fileKey)).toEqual(fromUtf8('list'));
  });

  const others: readonly (readonly [string, Partial<ReleaseTerms>])[] = [
    ['task', { taskId: new Uint8Array(32) }],
    ['capsule', { capsuleId: new Uint8Array(32) }],
    ['attempt', { attempt: 2 }],
    ['run key', { runKey: new Uint8Array(32) }],
    ['policy contract', { policy: { ...policy, contract: OWNER } }],
    ['chain', { policy: { ...policy, chainId: 1 } }],
  ];
  test.each(others)('opens for no other %s', async (_, change) => {
    const open = () => openGrant({ ...terms, ...change }, grant.stanza, run.privateKey);
    expect(await codeOf(open)).toBe('STANZA_INVALID');
  });
});
