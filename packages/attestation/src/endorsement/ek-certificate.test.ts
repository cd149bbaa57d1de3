import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import { fromHex, sha256 } from '@nemea/core';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  Extension,
  GeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509';
import { beforeAll, describe, expect, test } from 'vitest';
import { AttestationError } from '../errors.ts';
import { LEVEL } from '../level.ts';
import { verifyEkCertificate } from './ek-certificate.ts';
import { ekMatchesCertificate } from './ek-public.ts';
import {
  agreement,
  authority,
  basic,
  type CertificateOptions,
  certificate,
  infineon,
  NOW_MS,
  newMaker,
  type Pair,
  tpmName,
  usage,
} from './test-authority.ts';

const FROM_MS = Date.UTC(2026, 0, 1);

let root: Pair;
let middle: Pair;
let ek: Pair;
let rootDer: Uint8Array;
let middleDer: Uint8Array;
let leaf: (change?: Partial<CertificateOptions>) => Promise<Uint8Array>;

beforeAll(async () => {
  ({ root, middle, ek, rootDer, middleDer, leaf } = await newMaker());
});

function verify(chain: readonly Uint8Array[], nowMs = NOW_MS, levelMax: 1 | 2 | 3 = LEVEL.hardware) {
  return verifyEkCertificate({ chain, roots: [{ certificate: rootDer, levelMax }], nowMs });
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof AttestationError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'OK';
}

describe('an EK certificate is accepted', () => {
  test('with and without the root in its chain, and names the TPM', async () => {
    const der = await leaf();
    const spki = new Uint8Array(await crypto.subtle.exportKey('spki', ek.publicKey));
    const verified = verify([der, middleDer]);
    expect(verified).toEqual(verify([der, middleDer, rootDer]));
    expect(verified).toMatchObject({
      manufacturer: 'id:49465800',
      model: 'Model',
      version: 'id:00010002',
      level: LEVEL.hardware,
    });
    expect(verified.publicKeySpki).toEqual(spki);
    expect(verified.ekId).toEqual(sha256(spki));
  });

  test('but its level is no better than its root allows, or its maker is known for [EK-10]', async () => {
    expect(verify([await leaf(), middleDer], NOW_MS, LEVEL.development).level).toBe(LEVEL.development);
    const unknown = await leaf({ extensions: [basic, agreement, usage, tpmName('id:00001014')] });
    expect(verify([unknown, middleDer]).level).toBe(LEVEL.development);
  });

  test('when a software TPM made it: the recorded chain, whose key is that of the public area', async () => {
    const text = await readFile(new URL('../../../../vectors/tpm/identity.json', import.meta.url), 'utf8');
    const recorded = JSON.parse(text) as Record<
      'ekCertificate' | 'caIntermediate' | 'caRoot' | 'ekPublic' | 'akPublic',
      string
    >;
    const verified = verifyEkCertificate({
      chain: [fromHex(recorded.ekCertificate), fromHex(recorded.caIntermediate)],
      roots: [{ certificate: fromHex(recorded.caRoot), levelMax: LEVEL.hardware }],
      nowMs: Date.UTC(2100, 0, 1),
    });
    expect(verified).toMatchObject({ manufacturer: 'id:00001014', model: 'swtpm', level: LEVEL.development });
    expect(ekMatchesCertificate(fromHex(recorded.ekPublic), verified.publicKeySpki)).toBe(true);
    expect(ekMatchesCertificate(fromHex(recorded.akPublic), verified.publicKeySpki)).toBe(false);
    expect(ekMatchesCertificate(new Uint8Array(3), verified.publicKeySpki)).toBe(false);
  });
});

describe('a chain is refused', () => {
  test('without certificates, with too many, or with bytes that are none', async () => {
    const der = await leaf();
    expect(codeOf(() => verify([]))).toContain('EK_CHAIN_INVALID: got 0 certificates');
    expect(codeOf(() => verify(new Array<Uint8Array>(9).fill(der)))).toContain('got 9 certificates');
    expect(codeOf(() => verify([Uint8Array.of(1, 2, 3)]))).toMatch(/^EK_CERTIFICATE_MALFORMED/);
    expect(codeOf(() => verify([Uint8Array.of(...der, 0), middleDer]))).toContain('bytes after the end');
    expect(codeOf(() => verify([new Uint8Array(8193)]))).toContain('want at most 8192');
  });

  test('to another root, or with a gap', async () => {
    const der = await leaf();
    const roots = [
      {
        certificate: await certificate({
          issuer: 'CN=Root',
          subject: 'CN=Root',
          signer: ek,
          key: ek,
          extensions: authority(),
        }),
        levelMax: LEVEL.hardware,
      },
    ];
    expect(codeOf(() => verifyEkCertificate({ chain: [der, middleDer], roots, nowMs: NOW_MS }))).toContain(
      'no trusted root',
    );
    expect(codeOf(() => verify([der]))).toContain('no trusted root');
    expect(codeOf(() => verify([der, rootDer]))).toMatch(/^EK_CHAIN_UNTRUSTED/);
  });

  test('when a signature is not by the issuer', async () => {
    const forged = await leaf({ signer: ek });
    expect(codeOf(() => verify([forged, middleDer]))).toMatch(/^EK_CHAIN_UNTRUSTED.*not by this key/);
  });

  test('with a flipped bit anywhere in the leaf, and with no other error than its own', async () => {
    const der = await leaf();
    for (let at = 0; at < der.length; at += 7) {
      const flipped = der.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 4;
      expect(
        codeOf(() => verify([flipped, middleDer])),
        `byte ${at}`,
      ).toMatch(/^EK_/);
    }
  });

  test('before, and after, the validity of any certificate in it', async () => {
    const der = await leaf({ notAfter: new Date(Date.UTC(2026, 5, 2)) });
    expect(codeOf(() => verify([der, middleDer], FROM_MS - 1))).toContain('is not valid at');
    expect(codeOf(() => verify([der, middleDer], Date.UTC(2026, 5, 3)))).toContain(
      '"CN=unknown" is not valid at',
    );
    expect(codeOf(() => verify([der, middleDer], Date.UTC(2028, 0, 1)))).toContain('is not valid at');
  });

  test('when an issuer is no authority, may not sign, or is too far from the leaf', async () => {
    const chainUnder = async (extensions: Extension[]): Promise<readonly Uint8Array[]> => [
      await leaf(),
      await certificate({ issuer: 'CN=Root', subject: 'CN=Middle', signer: root, key: middle, extensions }),
    ];
    const plain = await chainUnder([]);
    expect(codeOf(() => verify(plain))).toContain('is not a certificate authority');
    const mute = await chainUnder([
      new BasicConstraintsExtension(true),
      new KeyUsagesExtension(KeyUsageFlags.cRLSign),
    ]);
    expect(codeOf(() => verify(mute))).toContain('may not sign certificates');
    const second = await certificate({
      issuer: 'CN=Middle',
      subject: 'CN=Second',
      signer: middle,
      key: root,
      extensions: authority(),
    });
    const far = await leaf({ issuer: 'CN=Second', signer: root });
    expect(codeOf(() => verify([far, second, middleDer]))).toContain(
      'got 1 authorities below, want at most 0',
    );
  });

  test('with an unknown critical extension, or one twice', async () => {
    const unknown = new Extension('1.2.3.4', true, new Uint8Array([5, 0]));
    const critical = await leaf({ extensions: [basic, agreement, usage, infineon, unknown] });
    expect(codeOf(() => verify([critical, middleDer]))).toContain('extension 1.2.3.4 that is not understood');
    const optional = await leaf({
      extensions: [
        basic,
        agreement,
        usage,
        infineon,
        new Extension('1.2.3.4', false, new Uint8Array([5, 0])),
      ],
    });
    expect(codeOf(() => verify([optional, middleDer]))).toBe('OK');
    const twice = await leaf({ extensions: [basic, agreement, usage, usage, infineon] });
    expect(codeOf(() => verify([twice, middleDer]))).toContain('repeats extension');
  });

  test('when the leaf is self-issued, or is itself a root', async () => {
    const selfIssued = await leaf({ issuer: 'CN=unknown', signer: ek });
    expect(codeOf(() => verify([selfIssued]))).toMatch(/^EK_CERTIFICATE_SELF_SIGNED/);
    expect(codeOf(() => verify([rootDer]))).toMatch(/^EK_CERTIFICATE_SELF_SIGNED/);
    const roots = [{ certificate: middleDer, levelMax: LEVEL.hardware }];
    expect(codeOf(() => verifyEkCertificate({ chain: [middleDer], roots, nowMs: NOW_MS }))).toContain(
      'is itself a root',
    );
  });
});

describe('an EK certificate is refused [EK-8]', () => {
  const rows: readonly (readonly [string, Extension[], string])[] = [
    ['without extended key usage', [basic, agreement, infineon], 'extended key usage lacks'],
    [
      'for a TLS server',
      [basic, agreement, new ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1']), infineon],
      'extended key usage lacks',
    ],
    ['without key usage', [basic, usage, infineon], 'key usage has neither'],
    [
      'that may sign',
      [
        basic,
        new KeyUsagesExtension(KeyUsageFlags.keyAgreement | KeyUsageFlags.digitalSignature),
        usage,
        infineon,
      ],
      'lets an endorsement key sign',
    ],
    [
      'of an authority',
      [new BasicConstraintsExtension(true), agreement, usage, infineon],
      'is a certificate authority',
    ],
    ['without a TPM name', [basic, agreement, usage], 'no subject alternative name'],
    [
      'with a DNS name only',
      [
        basic,
        agreement,
        usage,
        new SubjectAlternativeNameExtension([new GeneralName('dns', 'tpm.example')], true),
      ],
      'got 0 directory names',
    ],
    [
      'without a model',
      [
        basic,
        agreement,
        usage,
        new SubjectAlternativeNameExtension([new GeneralName('dn', '2.23.133.2.1=id:49465800')], true),
      ],
      'got 0 values of 2.23.133.2.2',
    ],
  ];
  test.each(rows)('%s', async (_, extensions, message) => {
    const der = await leaf({ extensions });
    expect(codeOf(() => verify([der, middleDer]))).toMatch(
      new RegExp(`^EK_(PURPOSE_WRONG|IDENTITY_INVALID): .*${message}`),
    );
  });

  test('with an empty subject, unless its TPM name is critical', async () => {
    const name = new SubjectAlternativeNameExtension(
      [new GeneralName('dn', '2.23.133.2.1=id:49465800, 2.23.133.2.2=M, 2.23.133.2.3=1')],
      false,
    );
    const soft = await leaf({ subject: '', extensions: [basic, agreement, usage, name] });
    expect(codeOf(() => verify([soft, middleDer]))).toContain('is not critical');
    expect(codeOf(() => verify([new Uint8Array(0), middleDer]))).toContain('EK_CERTIFICATE_MALFORMED');
    const strict = await leaf({ subject: '' });
    expect(verify([strict, middleDer]).level).toBe(LEVEL.hardware);
  });
});

test('path, revocation, purpose, key and identity are looked at in this order [EK-5]', async () => {
  const order = [
    'EK_CERTIFICATE_EXPIRED',
    'EK_REVOCATION_UNKNOWN',
    'EK_PURPOSE_WRONG',
    'EK_KEY_WEAK',
    'EK_IDENTITY_INVALID',
  ] as const;
  const weak = await crypto.subtle.generateKey(
    {
      name: 'RSASSA-PKCS1-v1_5',
      hash: 'SHA-256',
      modulusLength: 1024,
      publicExponent: Uint8Array.of(1, 0, 1),
    },
    true,
    ['sign', 'verify'],
  );
  const roots = [{ certificate: rootDer, levelMax: LEVEL.hardware }];
  const told = [...order, 'OK'].map(async (_, first) => {
    const has = (fault: (typeof order)[number]): boolean => order.indexOf(fault) >= first;
    const faulty = await leaf({
      ...(has('EK_CERTIFICATE_EXPIRED') ? { notAfter: new Date(NOW_MS - 1000) } : {}),
      ...(has('EK_KEY_WEAK') ? { key: weak } : {}),
      extensions: [
        basic,
        agreement,
        ...(has('EK_PURPOSE_WRONG') ? [] : [usage]),
        ...(has('EK_IDENTITY_INVALID') ? [] : [infineon]),
      ],
    });
    const revocation = has('EK_REVOCATION_UNKNOWN') ? { revocation: { crls: [] } } : {};
    const check = () =>
      verifyEkCertificate({ chain: [faulty, middleDer], roots, nowMs: NOW_MS, ...revocation });
    return codeOf(check).split(':')[0];
  });
  expect(await Promise.all(told)).toEqual([...order, 'OK']);
});
