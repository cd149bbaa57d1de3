import { execFileSync } from 'node:child_process';
import { constants, generateKeyPairSync, type KeyObject, privateEncrypt } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concatBytes, fromHex, fromUtf8 } from '@nemea/core';
import { afterAll, describe, expect, test } from 'vitest';
import { ImaError, type ImaFileFields, type ImaKeyRing, parseImaKeys, verifyFileSignature } from './index.ts';
import { digestOf, imaSignature, integer, signMessage } from './testing.ts';

interface Signer {
  readonly key: KeyObject;
  readonly ring: ImaKeyRing;
  readonly id: Uint8Array;
}

function signerOf({ privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }): Signer {
  const ring = parseImaKeys(new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })));
  return { key: privateKey, ring, id: fromHex(ring[0]?.id ?? '') };
}

const RSA = signerOf(generateKeyPairSync('rsa', { modulusLength: 2048 }));
const SIGNERS: readonly [string, Signer][] = [
  ['RSA', RSA],
  ['P-256', signerOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }))],
  ['P-384', signerOf(generateKeyPairSync('ec', { namedCurve: 'P-384' }))],
  ['P-521', signerOf(generateKeyPairSync('ec', { namedCurve: 'P-521' }))],
];
const CONTENT = 'the content of a file';
const DIGEST = digestOf(CONTENT);
const file = (more: Partial<ImaFileFields>): ImaFileFields => ({
  kind: 'file',
  digest: { type: 'ima', algorithm: 'sha256', value: DIGEST },
  path: '/bin/x',
  signature: null,
  modsig: null,
  evm: null,
  ...more,
});
/** What version 3 signs: struct ima_file_id. */
const fileId = (type: number, digest = DIGEST): Uint8Array => concatBytes(Uint8Array.of(type, 4), digest);

describe.each(SIGNERS)('a signature of %s', (_name, { key, ring, id }) => {
  const v2 = imaSignature(id, signMessage(key, fromUtf8(CONTENT)));

  test('over a digest is valid in version 2 [IMA-17]', () => {
    expect(verifyFileSignature(file({ signature: v2 }), ring)).toEqual({
      valid: true,
      reason: 'SIGNATURE_VALID',
      keyId: ring[0]?.id,
    });
  });

  test('of version 3 is valid for the type of digest that it was made for, and for no other [IMA-17]', () => {
    const verity = { type: 'verity', algorithm: 'sha256', value: DIGEST } as const;
    const v3 = (type: number) => imaSignature(id, signMessage(key, fileId(type)), { type, version: 3 });
    expect(verifyFileSignature(file({ digest: verity, signature: v3(6) }), ring).valid).toBe(true);
    expect(verifyFileSignature(file({ signature: v3(3) }), ring).valid).toBe(true);
    expect(verifyFileSignature(file({ signature: v3(6) }), ring).reason).toBe('SIGNATURE_OTHER_DIGEST');
    expect(verifyFileSignature(file({ digest: verity, signature: v3(3) }), ring).reason).toBe(
      'SIGNATURE_OTHER_DIGEST',
    );
    expect(verifyFileSignature(file({ digest: verity, signature: v2 }), ring).reason).toBe(
      'SIGNATURE_OTHER_DIGEST',
    );
    const relabelled = imaSignature(id, signMessage(key, fileId(3)), { type: 6, version: 3 });
    expect(verifyFileSignature(file({ digest: verity, signature: relabelled }), ring).reason).toBe(
      'SIGNATURE_INVALID',
    );
  });

  test('does not hold when any of its bytes is changed', () => {
    for (let i = 0; i < v2.length; i += i < 12 ? 1 : 13) {
      const changed = v2.slice();
      changed[i] = (changed[i] as number) ^ 0x10;
      expect(verifyFileSignature(file({ signature: changed }), ring).valid, `byte ${i}`).toBe(false);
    }
  });

  test('does not hold for another digest, or by another key of the same id', () => {
    const digest = { type: 'ima', algorithm: 'sha256', value: digestOf('other') } as const;
    expect(verifyFileSignature(file({ digest, signature: v2 }), ring).reason).toBe('SIGNATURE_INVALID');
    const others = SIGNERS.flatMap(([, signer]) => signer.ring).filter((other) => other.id !== ring[0]?.id);
    const impostors = others.map((other) => ({ ...other, id: ring[0]?.id ?? '' }));
    expect(verifyFileSignature(file({ signature: v2 }), impostors).reason).toBe('SIGNATURE_INVALID');
    expect(verifyFileSignature(file({ signature: v2 }), [...impostors, ...ring]).valid).toBe(true);
    expect(verifyFileSignature(file({ signature: v2 }), others).reason).toBe('KEY_UNKNOWN');
  });
});

describe('a signature', () => {
  const v2 = imaSignature(RSA.id, signMessage(RSA.key, fromUtf8(CONTENT)));

  test('over a digest of another hash says nothing of this one', () => {
    const digest = { type: 'ima', algorithm: 'sha1', value: digestOf(CONTENT, 'sha1') } as const;
    expect(verifyFileSignature(file({ digest, signature: v2 }), RSA.ring).reason).toBe(
      'SIGNATURE_OTHER_DIGEST',
    );
  });

  test.each([
    ['that is too short', Uint8Array.of(3, 2), 'SIGNATURE_MALFORMED'],
    ['whose length is wrong', v2.subarray(0, -1), 'SIGNATURE_MALFORMED'],
    ['of version 1', imaSignature(RSA.id, v2.subarray(9), { version: 1 }), 'SIGNATURE_UNSUPPORTED'],
    ['of an unknown hash', imaSignature(RSA.id, v2.subarray(9), { hash: 200 }), 'SIGNATURE_UNSUPPORTED'],
    ['of an unknown type', imaSignature(RSA.id, v2.subarray(9), { type: 9 }), 'SIGNATURE_UNSUPPORTED'],
    [
      'of EVM without its metadata',
      imaSignature(RSA.id, v2.subarray(9), { type: 5 }),
      'SIGNATURE_UNSUPPORTED',
    ],
  ])('%s is refused', (_what, signature, reason) => {
    expect(verifyFileSignature(file({ signature }), RSA.ring)).toMatchObject({ valid: false, reason });
  });

  test('by RSA counts only when its whole padding is the expected one [IMA-16]', () => {
    // RFC 8017, 9.2: 00 01 FF .. FF 00, the digest's header, the digest. A parser that skips to the digest takes all of these.
    const info = concatBytes(fromHex('3031300d060960864801650304020105000420'), DIGEST);
    const block = (padding: number, after: Uint8Array = new Uint8Array(0)): Uint8Array => {
      const head = concatBytes(Uint8Array.of(0, 1), new Uint8Array(padding).fill(0xff), Uint8Array.of(0));
      const body = concatBytes(head, info, after);
      return concatBytes(body, new Uint8Array(256 - body.length));
    };
    const whole = 256 - info.length - 3;
    const judge = (encoded: Uint8Array): string => {
      const raw = privateEncrypt({ key: RSA.key, padding: constants.RSA_NO_PADDING }, encoded);
      return verifyFileSignature(file({ signature: imaSignature(RSA.id, raw) }), RSA.ring).reason;
    };
    expect(judge(block(whole))).toBe('SIGNATURE_VALID');
    for (const forged of [
      block(8),
      block(8, fromUtf8('garbage')),
      block(whole - 1, Uint8Array.of(1)),
      block(whole).with(1, 2),
      block(whole).with(100, 0xfe),
    ])
      expect(judge(forged)).toBe('SIGNATURE_INVALID');
  });

  test('that is missing is said to be so', () => {
    expect(verifyFileSignature(file({}), RSA.ring).reason).toBe('SIGNATURE_MISSING');
  });
});

describe('an EVM portable signature', () => {
  const ima = concatBytes(Uint8Array.of(4, 4), DIGEST);
  const label = fromUtf8('system_u:object_r:bin_t:s0\0');
  const metadata = (mode: number): Uint8Array =>
    concatBytes(
      new Uint8Array(12),
      integer(1000, 4, 'little'),
      integer(100, 4, 'little'),
      integer(mode, 2, 'little'),
      new Uint8Array(2),
    );
  const evm = (more: Partial<NonNullable<ImaFileFields['evm']>> = {}) => ({
    signature: imaSignature(RSA.id, signMessage(RSA.key, concatBytes(label, ima, metadata(0o755))), {
      type: 5,
    }),
    xattrNames: ['security.selinux', 'security.ima'],
    xattrValues: [label, ima],
    uid: 1000,
    gid: 100,
    mode: 0o755,
    ...more,
  });

  test('is valid over attributes, owner and mode [IMA-17]', () => {
    expect(verifyFileSignature(file({ evm: evm() }), RSA.ring).valid).toBe(true);
  });

  test.each([
    ['another owner', { uid: 0 }, 'SIGNATURE_INVALID'],
    ['another mode', { mode: 0o4755 }, 'SIGNATURE_INVALID'],
    ['an unknown owner', { uid: null }, 'SIGNATURE_UNSUPPORTED'],
    ['another label', { xattrValues: [fromUtf8('x'), ima] }, 'SIGNATURE_INVALID'],
    ['no security.ima', { xattrNames: ['security.selinux', 'security.other'] }, 'SIGNATURE_OTHER_DIGEST'],
    [
      'security.ima of other content',
      { xattrValues: [label, concatBytes(ima.subarray(0, 2), digestOf('x'))] },
      'SIGNATURE_OTHER_DIGEST',
    ],
    ['fewer values than names', { xattrValues: [label] }, 'SIGNATURE_OTHER_DIGEST'],
  ])('does not hold for %s', (_what, more, reason) => {
    expect(verifyFileSignature(file({ evm: evm(more) }), RSA.ring)).toMatchObject({ valid: false, reason });
  });

  test('may name the content by an IMA signature of it', () => {
    const signed = imaSignature(RSA.id, signMessage(RSA.key, fromUtf8(CONTENT)));
    const message = concatBytes(signed, metadata(0o755));
    const whole = evm({
      signature: imaSignature(RSA.id, signMessage(RSA.key, message), { type: 5 }),
      xattrNames: ['security.ima'],
      xattrValues: [signed],
    });
    expect(verifyFileSignature(file({ evm: whole }), RSA.ring).valid).toBe(true);
    const digest = { type: 'ima', algorithm: 'sha256', value: digestOf('x') } as const;
    expect(verifyFileSignature(file({ digest, evm: whole }), RSA.ring).reason).toBe('SIGNATURE_OTHER_DIGEST');
  });
});

describe('what openssl writes', () => {
  const dir = mkdtempSync(join(tmpdir(), 'nemea-ima-keys-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  };
  const read = (name: string): Uint8Array => new Uint8Array(readFileSync(join(dir, name)));
  writeFileSync(join(dir, 'content'), CONTENT);
  for (const [name, algorithm] of [
    ['rsa', ['rsa:2048']],
    ['ec', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']],
  ] as const) {
    openssl(
      'req',
      '-x509',
      '-newkey',
      ...algorithm,
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
      '-subj',
      `/CN=${name}`,
      '-days',
      '2',
    );
    for (const [form, ...flags] of [
      ['noattr', '-noattr'],
      ['attr'],
      ['keyid', '-noattr', '-keyid'],
    ] as const) {
      openssl(
        'cms',
        '-sign',
        '-binary',
        '-in',
        'content',
        '-signer',
        `${name}.pem`,
        '-inkey',
        `${name}.key`,
        '-outform',
        'DER',
        '-md',
        'sha256',
        '-nocerts',
        ...flags,
        '-out',
        `${name}.${form}`,
      );
    }
  }
  const modsig = (pkcs7: Uint8Array, digest = DIGEST): ImaFileFields =>
    file({
      digest: { type: 'ima', algorithm: 'sha256', value: digestOf('with its signature') },
      modsig: { digest: { type: 'ima', algorithm: 'sha256', value: digest }, pkcs7 },
    });

  test.each(['rsa', 'ec'])('as certificate is a key, alone or among others (%s) [IMA-18]', (name) => {
    const ring = parseImaKeys(read(`${name}.pem`));
    expect(ring).toHaveLength(1);
    expect(parseImaKeys(concatBytes(read('rsa.pem'), read('ec.pem')))).toHaveLength(2);
    openssl('x509', '-in', `${name}.pem`, '-outform', 'DER', '-out', `${name}.der`);
    expect(parseImaKeys(read(`${name}.der`))).toEqual(ring);
    openssl('x509', '-in', `${name}.pem`, '-pubkey', '-noout', '-out', `${name}.pub`);
    // openssl makes subject key identifiers as the kernel makes ids of bare keys.
    expect(parseImaKeys(read(`${name}.pub`))[0]).toMatchObject({
      id: ring[0]?.id,
      publicKey: ring[0]?.publicKey,
    });
  });

  test.each(['rsa.noattr', 'rsa.attr', 'rsa.keyid', 'ec.noattr', 'ec.attr', 'ec.keyid'])(
    'as appended signature is valid, and only for its content (%s) [IMA-17]',
    (name) => {
      const ring = parseImaKeys(read(`${name.split('.')[0]}.pem`));
      expect(verifyFileSignature(modsig(read(name)), ring)).toMatchObject({ valid: true });
      expect(verifyFileSignature(modsig(read(name), digestOf('x')), ring).valid).toBe(false);
      expect(verifyFileSignature(modsig(read(name)), RSA.ring)).toMatchObject({
        valid: false,
        reason: 'KEY_UNKNOWN',
      });
      expect(verifyFileSignature(file({ modsig: { digest: null, pkcs7: read(name) } }), ring).reason).toBe(
        'SIGNATURE_OTHER_DIGEST',
      );
    },
  );

  test('as appended signature does not hold cut short, nor with changed attributes or signature, and throws for no byte', () => {
    const [pkcs7, ring] = [read('ec.attr'), parseImaKeys(read('ec.pem'))];
    const attributes = Buffer.from(pkcs7).indexOf(DIGEST);
    for (let i = 0; i < pkcs7.length; i++) {
      const changed = pkcs7.slice();
      changed[i] = (changed[i] as number) ^ 1;
      const { valid } = verifyFileSignature(modsig(changed), ring);
      const isSigned = (i >= attributes && i < attributes + DIGEST.length) || i >= pkcs7.length - 64;
      if (isSigned) expect(valid, `byte ${i}`).toBe(false);
      expect(verifyFileSignature(modsig(pkcs7.subarray(0, i)), ring).valid).toBe(false);
    }
  });

  test('as private key, weak key or key of another kind is refused', () => {
    for (const [name, ...args] of [
      ['private', 'genpkey', '-algorithm', 'RSA', '-out', 'private'],
      [
        'weak',
        'req',
        '-x509',
        '-newkey',
        'rsa:1024',
        '-nodes',
        '-keyout',
        'k',
        '-out',
        'weak',
        '-subj',
        '/CN=w',
      ],
      ['ed', 'req', '-x509', '-newkey', 'ed25519', '-nodes', '-keyout', 'k', '-out', 'ed', '-subj', '/CN=e'],
      [
        'curve',
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:secp256k1',
        '-nodes',
        '-keyout',
        'k',
        '-out',
        'curve',
        '-subj',
        '/CN=c',
      ],
    ] as const) {
      openssl(...args);
      expect(() => parseImaKeys(read(name)), name).toThrow(ImaError);
    }
    expect(() => parseImaKeys(fromUtf8('no key'))).toThrow(ImaError);
    expect(() => parseImaKeys(new Uint8Array())).toThrow(ImaError);
  });
});
