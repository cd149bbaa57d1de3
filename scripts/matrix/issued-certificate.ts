import 'reflect-metadata';
import { LEVEL } from '@nemea/attestation';
import { type EkChain, verifyEkCertificate } from '@nemea/attestation/endorsement';
import {
  agreement,
  authority,
  basic,
  type CertificateOptions,
  certificate,
  crl,
  infineon,
  type Maker,
  NOW_MS,
  newMaker,
  tpmName,
  usage,
} from '@nemea/attestation/endorsement/testing';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
} from '@peculiar/x509';
import { accepts, type Row, rowsOf, type Tampering } from './row.ts';

/** A chain of a maker of this test, with current CRLs of both authorities. */
interface Made extends EkChain {
  readonly maker: Maker;
}

async function made(): Promise<Made> {
  const maker = await newMaker();
  return {
    maker,
    chain: [await maker.leaf(), maker.middleDer],
    roots: [{ certificate: maker.rootDer, levelMax: LEVEL.hardware }],
    nowMs: NOW_MS,
    revocation: {
      crls: [
        await crl({ issuer: 'CN=Middle', signer: maker.middle }),
        await crl({ issuer: 'CN=Root', signer: maker.root }),
      ],
    },
  };
}

type MadeTampering = Tampering<Made>;

const leafOf =
  (change: (maker: Maker) => Partial<CertificateOptions>) =>
  async (it: Made): Promise<Made> => ({
    ...it,
    chain: [await it.maker.leaf(change(it.maker)), ...it.chain.slice(1)],
  });
const middleOf =
  (change: (maker: Maker) => Partial<CertificateOptions>) =>
  async (it: Made): Promise<Made> => ({
    ...it,
    chain: [it.chain[0] as Uint8Array, await it.maker.middleWith(change(it.maker))],
  });
const extended = (...extensions: CertificateOptions['extensions']) => leafOf(() => ({ extensions }));
const listed =
  (list: (maker: Maker) => Parameters<typeof crl>[0]) =>
  async (it: Made): Promise<Made> => {
    const [, ofRoot] = it.revocation?.crls ?? [];
    return { ...it, revocation: { crls: [await crl(list(it.maker)), ofRoot as Uint8Array] } };
  };
const PROFILE = 'EK-8';

const issued: readonly MadeTampering[] = [
  ['that expired', 'EK_CERTIFICATE_EXPIRED', 'EK-6', leafOf(() => ({ notAfter: new Date(NOW_MS - 1000) }))],
  [
    'that is not yet valid',
    'EK_CERTIFICATE_EXPIRED',
    'EK-6',
    leafOf(() => ({ notBefore: new Date(NOW_MS + 1000) })),
  ],
  [
    'by an authority whose own certificate expired',
    'EK_CERTIFICATE_EXPIRED',
    'EK-6',
    middleOf(() => ({ notAfter: new Date(NOW_MS - 1000) })),
  ],
  [
    'that signed itself',
    'EK_CERTIFICATE_SELF_SIGNED',
    PROFILE,
    leafOf(({ ek }) => ({ issuer: 'CN=unknown', signer: ek })),
  ],
  [
    'that is itself a trusted root',
    'EK_CERTIFICATE_SELF_SIGNED',
    PROFILE,
    (it) => ({ ...it, chain: [it.maker.rootDer] }),
  ],
  [
    'signed by another key than its issuer has',
    'EK_CHAIN_UNTRUSTED',
    'EK-6',
    leafOf(({ ek }) => ({ signer: ek })),
  ],
  ['that names another issuer', 'EK_CHAIN_UNTRUSTED', 'EK-6', leafOf(() => ({ issuer: 'CN=Other' }))],
  [
    'against a root of the same name and another key',
    'EK_CHAIN_UNTRUSTED',
    'EK-6',
    async (it) => ({
      ...it,
      roots: [{ certificate: await anotherRoot(it.maker), levelMax: LEVEL.hardware }],
    }),
  ],
  [
    'by an intermediate that is no authority',
    'EK_CHAIN_INVALID',
    'EK-6',
    middleOf(() => ({ extensions: [basic, agreement] })),
  ],
  [
    'by an authority that may sign lists and no certificates',
    'EK_CHAIN_INVALID',
    'EK-6',
    middleOf(() => ({
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.cRLSign, true),
      ],
    })),
  ],
  ['below more authorities than the path may have', 'EK_CHAIN_INVALID', 'EK-6', tooFar],
  [
    'with a critical extension that nobody knows',
    'EK_CHAIN_INVALID',
    'EK-6',
    extended(basic, agreement, usage, infineon, new Extension('1.2.3.4', true, new Uint8Array([5, 0]))),
  ],
  [
    'for TLS servers',
    'EK_PURPOSE_WRONG',
    PROFILE,
    extended(basic, agreement, infineon, new ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1'])),
  ],
  ['without extended key usage', 'EK_PURPOSE_WRONG', PROFILE, extended(basic, agreement, infineon)],
  [
    'of a key that signs',
    'EK_PURPOSE_WRONG',
    PROFILE,
    extended(
      basic,
      new KeyUsagesExtension(KeyUsageFlags.keyAgreement | KeyUsageFlags.digitalSignature, true),
      usage,
      infineon,
    ),
  ],
  ['of an authority', 'EK_PURPOSE_WRONG', PROFILE, extended(...authority(), usage, infineon)],
  ['without a TPM in its alternative name', 'EK_IDENTITY_INVALID', 'EK-8', extended(basic, agreement, usage)],
  [
    'with a manufacturer that is no vendor id',
    'EK_IDENTITY_INVALID',
    'EK-8',
    extended(basic, agreement, usage, tpmName('Infineon')),
  ],
  [
    'without the policy that is asked for',
    'EK_POLICY_WRONG',
    'EK-6',
    (it) => ({ ...it, policies: ['1.2.3'] }),
  ],
  [
    'that its issuer revoked',
    'EK_REVOKED',
    'EK-9',
    listed(({ middle }) => ({ issuer: 'CN=Middle', signer: middle, revoked: ['0badcafe'] })),
  ],
  [
    'whose authority was revoked',
    'EK_REVOKED',
    'EK-9',
    async (it) => ({
      ...it,
      revocation: {
        crls: [
          it.revocation?.crls[0] as Uint8Array,
          await crl({ issuer: 'CN=Root', signer: it.maker.root, revoked: ['02'] }),
        ],
      },
    }),
  ],
  [
    'without a list of its issuer',
    'EK_REVOCATION_UNKNOWN',
    'EK-9',
    (it) => ({ ...it, revocation: { crls: [] } }),
  ],
  [
    'with a list that is out of date',
    'EK_REVOCATION_UNKNOWN',
    'EK-9',
    listed(({ middle }) => ({ issuer: 'CN=Middle', signer: middle, nextUpdate: new Date(NOW_MS - 1000) })),
  ],
  [
    'with a list that somebody else signed',
    'EK_REVOCATION_UNKNOWN',
    'EK-9',
    listed(({ ek }) => ({ issuer: 'CN=Middle', signer: ek })),
  ],
  [
    'with a list that is cut',
    'EK_CRL_INVALID',
    'EK-9',
    (it) => ({ ...it, revocation: { crls: (it.revocation?.crls ?? []).map((list) => list.slice(0, -1)) } }),
  ],
];

function anotherRoot({ ek }: Maker): Promise<Uint8Array> {
  return certificate({ issuer: 'CN=Root', subject: 'CN=Root', signer: ek, key: ek, extensions: authority() });
}

/** An authority below one that allows none. */
async function tooFar(it: Made): Promise<Made> {
  const { maker } = it;
  const second = await maker.middleWith({
    issuer: 'CN=Middle',
    subject: 'CN=Second',
    signer: maker.middle,
    key: maker.ek,
  });
  const leaf = await maker.leaf({ issuer: 'CN=Second', signer: maker.ek, key: maker.root });
  return { ...it, chain: [leaf, second, maker.middleDer] };
}

export const issuedCertificateRows: readonly Row[] = rowsOf(
  {
    artefact: 'an EK certificate',
    by: 'verifyEkCertificate',
    honest: made,
    judge: accepts(verifyEkCertificate),
  },
  issued,
);
