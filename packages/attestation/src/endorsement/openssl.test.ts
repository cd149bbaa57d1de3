import 'reflect-metadata';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  BasicConstraintsExtension,
  CertificatePolicyExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
} from '@peculiar/x509';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AttestationError } from '../errors.ts';
import { LEVEL } from '../level.ts';
import { type EkChain, verifyEkCertificate } from './ek-certificate.ts';
import { parsePem } from './pem.ts';
import {
  authority,
  certificate,
  crl,
  EK_EXTENSIONS,
  type Maker,
  NOW_MS,
  newMaker,
  newPair,
} from './test-authority.ts';

/** Paths and CRLs of many shapes, judged here and by `openssl verify`. */

const run = promisify(execFile);
const EARLY = new Date(Date.UTC(2026, 1, 1));
let maker: Maker;
let dir: string;

beforeAll(async () => {
  maker = await newMaker();
  dir = await mkdtemp(join(tmpdir(), 'openssl-'));
});
afterAll(() => rm(dir, { recursive: true }));

interface Case {
  readonly chain: readonly Uint8Array[];
  readonly roots?: readonly Uint8Array[];
  readonly crls?: readonly Uint8Array[];
  readonly covers?: 'chain' | 'leaf';
}

function ours(
  { chain, roots = [maker.rootDer], crls, covers = 'chain' }: Case,
  more: Partial<EkChain> = {},
): string {
  try {
    verifyEkCertificate({
      chain,
      roots: roots.map((root) => ({ certificate: root, levelMax: LEVEL.hardware })),
      nowMs: NOW_MS,
      ...(crls && { revocation: { crls, covers } }),
      ...more,
    });
    return 'OK';
  } catch (error) {
    if (error instanceof AttestationError) return error.code;
    throw error;
  }
}

async function openssl({ chain, roots = [maker.rootDer], crls, covers = 'chain' }: Case): Promise<boolean> {
  const [leaf, ...others] = chain;
  const pem = (label: string, ders: readonly Uint8Array[]): string =>
    ders
      .map(
        (der) => `-----BEGIN ${label}-----\n${Buffer.from(der).toString('base64')}\n-----END ${label}-----\n`,
      )
      .join('');
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(dir, name), text.replace(/.{64}(?=[A-Za-z0-9+/=])/g, '$&\n'));
    return join(dir, name);
  };
  const args = ['verify', '-partial_chain', '-attime', String(NOW_MS / 1000)];
  args.push('-CAfile', await file('roots.pem', pem('CERTIFICATE', roots)));
  if (others.length > 0) args.push('-untrusted', await file('others.pem', pem('CERTIFICATE', others)));
  if (crls !== undefined) {
    args.push(covers === 'chain' ? '-crl_check_all' : '-crl_check');
    if (crls.length > 0) args.push('-CRLfile', await file('crls.pem', pem('X509 CRL', crls)));
  }
  args.push(await file('leaf.pem', pem('CERTIFICATE', leaf === undefined ? [] : [leaf])));
  try {
    await run('openssl', args);
    return true;
  } catch {
    return false; // it says no by its exit code
  }
}

type Row = readonly [name: string, code: string, make: () => Promise<Case>];

/** The path of an honest EK certificate, with a change. */
const pathOf = async (change: Partial<Case> = {}): Promise<Case> => ({
  chain: [await maker.leaf(), maker.middleDer],
  ...change,
});
const currentCrls = async (): Promise<Uint8Array[]> => [
  await crl({ issuer: 'CN=Middle', signer: maker.middle }),
  await crl({ issuer: 'CN=Root', signer: maker.root }),
];

const PATHS: readonly Row[] = [
  ['an honest path', 'OK', () => pathOf()],
  [
    'a path that holds its root',
    'OK',
    async () => ({ chain: [await maker.leaf(), maker.middleDer, maker.rootDer] }),
  ],
  [
    'authorities in another order, and one that has nothing to do with it',
    'OK',
    async () => {
      const stranger = await maker.middleWith({ subject: 'CN=Stranger' });
      return { chain: [await maker.leaf(), stranger, maker.rootDer, maker.middleDer] };
    },
  ],
  [
    'an authority that is itself the anchor',
    'OK',
    async () => ({ chain: [await maker.leaf()], roots: [maker.middleDer] }),
  ],
  [
    'names of other case and spacing',
    'OK',
    async () => ({ chain: [await maker.leaf({ issuer: 'CN=MIDDLE' }), maker.middleDer] }),
  ],
  [
    'an old certificate of the same authority beside the new one',
    'OK',
    async () => {
      const old = await maker.middleWith({ serial: '03', notAfter: EARLY });
      return { chain: [await maker.leaf(), old, maker.middleDer] };
    },
  ],
  ['a gap', 'EK_CHAIN_UNTRUSTED', async () => ({ chain: [await maker.leaf()] })],
  ["another maker's root", 'EK_CHAIN_UNTRUSTED', async () => pathOf({ roots: [(await newMaker()).rootDer] })],
  [
    'a signature by another key',
    'EK_CHAIN_UNTRUSTED',
    async () => ({ chain: [await maker.leaf({ signer: maker.ek }), maker.middleDer] }),
  ],
  [
    'an expired EK certificate',
    'EK_CERTIFICATE_EXPIRED',
    async () => ({ chain: [await maker.leaf({ notAfter: EARLY }), maker.middleDer] }),
  ],
  [
    'an EK certificate of tomorrow',
    'EK_CERTIFICATE_EXPIRED',
    async () => ({ chain: [await maker.leaf({ notBefore: new Date(NOW_MS + 1000) }), maker.middleDer] }),
  ],
  [
    'an expired authority',
    'EK_CERTIFICATE_EXPIRED',
    async () => ({ chain: [await maker.leaf(), await maker.middleWith({ notAfter: EARLY })] }),
  ],
  [
    'a self-signed EK certificate',
    'EK_CERTIFICATE_SELF_SIGNED',
    async () => ({ chain: [await maker.leaf({ issuer: 'CN=unknown', signer: maker.ek }), maker.middleDer] }),
  ],
  [
    'an issuer that is no authority',
    'EK_CHAIN_INVALID',
    async () => {
      const extensions = [new BasicConstraintsExtension(false, undefined, true)];
      return { chain: [await maker.leaf(), await maker.middleWith({ extensions })] };
    },
  ],
  [
    'an issuer that may not sign certificates',
    'EK_CHAIN_INVALID',
    async () => {
      const extensions = [
        new BasicConstraintsExtension(true, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.cRLSign, true),
      ];
      return { chain: [await maker.leaf(), await maker.middleWith({ extensions })] };
    },
  ],
  [
    'one authority more than the path length allows',
    'EK_CHAIN_INVALID',
    async () => {
      const pair = await newPair();
      const second = await certificate({
        issuer: 'CN=Middle',
        subject: 'CN=Second',
        signer: maker.middle,
        key: pair,
        extensions: authority(),
      });
      return { chain: [await maker.leaf({ issuer: 'CN=Second', signer: pair }), second, maker.middleDer] };
    },
  ],
  [
    'an unknown critical extension',
    'EK_CHAIN_INVALID',
    async () => {
      const extensions = [...EK_EXTENSIONS, new Extension('1.2.3.4', true, new Uint8Array([5, 0]))];
      return { chain: [await maker.leaf({ extensions }), maker.middleDer] };
    },
  ],
];

const REVOCATION: readonly Row[] = [
  ['current lists that revoke nothing', 'OK', async () => pathOf({ crls: await currentCrls() })],
  [
    'a list of somebody else beside them',
    'OK',
    async () => {
      const stranger = await crl({ issuer: 'CN=Stranger', signer: await newPair(), revoked: ['0badcafe'] });
      return pathOf({ crls: [stranger, ...(await currentCrls())] });
    },
  ],
  [
    'no list of the root where only the EK certificate must be covered',
    'OK',
    async () => pathOf({ crls: (await currentCrls()).slice(0, 1), covers: 'leaf' }),
  ],
  [
    'a revoked EK certificate',
    'EK_REVOKED',
    async () => {
      const own = await crl({ issuer: 'CN=Middle', signer: maker.middle, revoked: ['01', '0badcafe'] });
      return pathOf({ crls: [own, ...(await currentCrls()).slice(1)] });
    },
  ],
  [
    'a revoked authority',
    'EK_REVOKED',
    async () => {
      const own = await crl({ issuer: 'CN=Root', signer: maker.root, revoked: ['02'] });
      return pathOf({ crls: [...(await currentCrls()).slice(0, 1), own] });
    },
  ],
  ['no list at all', 'EK_REVOCATION_UNKNOWN', () => pathOf({ crls: [] })],
  [
    'no list of the root',
    'EK_REVOCATION_UNKNOWN',
    async () => pathOf({ crls: (await currentCrls()).slice(0, 1) }),
  ],
  [
    'a stale list',
    'EK_REVOCATION_UNKNOWN',
    async () => {
      const stale = await crl({ issuer: 'CN=Middle', signer: maker.middle, nextUpdate: EARLY });
      return pathOf({ crls: [stale, ...(await currentCrls()).slice(1)] });
    },
  ],
  [
    'a list of tomorrow',
    'EK_REVOCATION_UNKNOWN',
    async () => {
      const early = await crl({
        issuer: 'CN=Middle',
        signer: maker.middle,
        thisUpdate: new Date(NOW_MS + 1000),
      });
      return pathOf({ crls: [early, ...(await currentCrls()).slice(1)] });
    },
  ],
  [
    'a list that another key signed',
    'EK_REVOCATION_UNKNOWN',
    async () => {
      const forged = await crl({ issuer: 'CN=Middle', signer: maker.ek });
      return pathOf({ crls: [forged, ...(await currentCrls()).slice(1)] });
    },
  ],
  [
    'a list of an authority that may sign none',
    'EK_REVOCATION_UNKNOWN',
    async () => {
      const middle = await maker.middleWith({ extensions: authority(0, KeyUsageFlags.keyCertSign) });
      return { chain: [await maker.leaf(), middle], crls: await currentCrls() };
    },
  ],
];

describe.each([
  ['a path [EK-6]', PATHS],
  ['revocation [EK-9]', REVOCATION],
])('%s is judged as openssl judges it, with a reason', (_, rows) => {
  test.each(rows)('%s: %s', async (_name, code, make) => {
    const given = await make();
    expect(ours(given)).toBe(code);
    expect(await openssl(given)).toBe(code === 'OK');
  });
});

describe('other than openssl', () => {
  test('an authority of the same name and another key does not end the search', async () => {
    const { middleDer } = await newMaker();
    expect(ours({ chain: [await maker.leaf(), middleDer, maker.middleDer] })).toBe('OK');
  });

  test('a serial number in a stale list is revoked all the same', async () => {
    const stale = await crl({
      issuer: 'CN=Middle',
      signer: maker.middle,
      nextUpdate: EARLY,
      revoked: ['0badcafe'],
    });
    const given = await pathOf({ crls: [stale, ...(await currentCrls())] });
    expect(ours(given)).toBe('EK_REVOKED');
  });

  test('name constraints refuse a path, critical or not, because they are not enforced', async () => {
    // permittedSubtrees: dNSName "a".
    const constraints = new Extension(
      '2.5.29.30',
      false,
      Uint8Array.of(0x30, 7, 0xa0, 5, 0x30, 3, 0x82, 1, 0x61),
    );
    const middle = await maker.middleWith({ extensions: [...authority(0), constraints] });
    expect(ours({ chain: [await maker.leaf(), middle] })).toBe('EK_CHAIN_INVALID');
  });
});

test('a stale list counts as long as the verifier says, and a result says how far revocation was checked', async () => {
  const stale = await crl({ issuer: 'CN=Middle', signer: maker.middle, nextUpdate: EARLY });
  const { chain } = await pathOf();
  const roots = [{ certificate: maker.rootDer, levelMax: LEVEL.hardware }];
  const ageMs = NOW_MS - EARLY.getTime();
  const input = { chain, roots, nowMs: NOW_MS };
  const check = (staleMs: number) =>
    verifyEkCertificate({ ...input, revocation: { crls: [stale], covers: 'leaf', staleMs } }).revocation;
  expect(check(ageMs)).toBe('leaf');
  expect(() => check(ageMs - 1)).toThrow('none current');
  expect(verifyEkCertificate(input).revocation).toBe('unchecked');
});

test('a demanded policy stands in every certificate below the root, or any policy does', async () => {
  const policy = (oid: string) => new CertificatePolicyExtension([oid]);
  const leaf = await maker.leaf({ extensions: [...EK_EXTENSIONS, policy('1.2.3.1')] });
  const middleOf = async (oid: string) =>
    await maker.middleWith({ extensions: [...authority(0), policy(oid)] });
  const judged = async (middle: Uint8Array, policies: string[]) =>
    ours({ chain: [leaf, middle] }, { policies });
  expect(await judged(await middleOf('2.5.29.32.0'), ['1.2.3.1'])).toBe('OK');
  expect(await judged(await middleOf('1.2.3.1'), ['1.2.3.9', '1.2.3.1'])).toBe('OK');
  expect(await judged(await middleOf('1.2.3.2'), ['1.2.3.1'])).toBe('EK_POLICY_WRONG');
  expect(await judged(maker.middleDer, ['1.2.3.1'])).toBe('EK_POLICY_WRONG');
  expect(await judged(await middleOf('2.5.29.32.0'), ['1.2.3.9'])).toBe('EK_POLICY_WRONG');
});

test('PEM files give what is in them, and refuse what is not', async () => {
  const text = `x\n-----BEGIN CERTIFICATE-----\n${Buffer.from(maker.rootDer).toString('base64')}\n-----END CERTIFICATE-----\n`;
  const bytes = new TextEncoder().encode(text + text);
  expect(parsePem(bytes, 'CERTIFICATE')).toEqual([maker.rootDer, maker.rootDer]);
  expect(parsePem(maker.rootDer, 'CERTIFICATE')).toEqual([maker.rootDer]);
  for (const bad of ['', 'text', '-----BEGIN X509 CRL-----\nA\n-----END X509 CRL-----']) {
    expect(() => parsePem(new TextEncoder().encode(bad), 'X509 CRL')).toThrow(
      expect.objectContaining({ code: 'PEM_INVALID' }),
    );
  }
});
