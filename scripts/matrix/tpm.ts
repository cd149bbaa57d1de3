import { checkVrfCertification, type VrfCertification } from '@nemea/attestation';
import { checkKeyCertification, type KeyCertification } from '@nemea/attestation/enrolment';
import type { QuoteToVerify } from '@nemea/attestation/quote';
import { encodeQuote } from '@nemea/attestation/testing';
import { concatBytes, fromHex, fromUtf8, sha256 } from '@nemea/core';
import { HANDLE, returnCodeOf, TEMPLATES, type Tpm, type TpmKey } from '@nemea/tpm';
import { Sign } from '@nemea/tpm/commands';
import {
  ALG,
  decodeReturnCode,
  encodePcrSelection,
  encodePublicArea,
  encodeSignature,
  OBJECT_ATTRIBUTE,
  parsePublicArea,
  pcrDigest,
} from '@nemea/tpm/structures';
import { startTestTpm } from '@nemea/tpm/testing';
import { codeOfQuote } from './quote.ts';
import { accepts, type Row, rowsOf, type Tampering } from './row.ts';

/** What a software TPM of its own says and signs: nothing here is forged with a key that a test holds. */
const DATA = sha256(fromUtf8('this account, this network'));
const { fixedTpm, fixedParent, restricted } = OBJECT_ATTRIBUTE;

function without(template: Uint8Array, attributes: number): Uint8Array {
  const area = parsePublicArea(template);
  return encodePublicArea({ ...area, attributes: area.attributes & ~attributes });
}

/** Runs work on a TPM that nobody used before. */
export async function withTpm<T>(work: (tpm: Tpm) => Promise<T>): Promise<T> {
  const server = await startTestTpm();
  try {
    return await work(server.tpm);
  } finally {
    await server.stop();
  }
}

type Hierarchy = Parameters<Tpm['createPrimary']>[0]['hierarchy'];

interface Keys {
  readonly hierarchy?: Hierarchy;
  readonly ak?: Uint8Array;
  readonly vrf?: Uint8Array;
}

/** TPM2_Certify of one key by another, both as the templates say. */
function certified({ hierarchy = 'endorsement', ak = TEMPLATES.ak, vrf = TEMPLATES.vrf }: Keys = {}) {
  return withTpm(async (tpm): Promise<KeyCertification & VrfCertification> => {
    const by = await tpm.createPrimary({ hierarchy, template: ak });
    const key = await tpm.createPrimary({ hierarchy: 'endorsement', template: vrf });
    const { attest, signature } = await tpm.certify(key, by, DATA);
    const areas = { akPublic: by.publicArea, keyPublic: key.publicArea, vrfPublic: key.publicArea };
    return { attest, signature, qualifyingData: DATA, ...areas };
  });
}

type Certified = KeyCertification & VrfCertification;

function certifications(exportable: string): readonly Tampering<Certified>[] {
  return [
    [
      'by an attestation key of the owner hierarchy',
      'AK_HIERARCHY_WRONG',
      'EK-16',
      () => certified({ hierarchy: 'owner' }),
    ],
    [
      'by an attestation key of the null hierarchy',
      'AK_HIERARCHY_WRONG',
      'EK-16',
      () => certified({ hierarchy: 'null' }),
    ],
    [
      'by a key that signs anything',
      'AK_PUBLIC_INVALID',
      'ATT-23',
      () => certified({ ak: without(TEMPLATES.ak, restricted) }),
    ],
    [
      'of a key that may leave its TPM',
      exportable,
      'EK-15',
      () => certified({ vrf: without(TEMPLATES.vrf, fixedTpm | fixedParent) }),
    ],
  ];
}

/** A statement that looks like a quote of good registers. */
function inventedQuote(): Uint8Array {
  return encodeQuote({
    magic: 0xff544347,
    type: 0x8018,
    extraData: DATA,
    clock: 1000n,
    resetCount: 1,
    restartCount: 0,
    safe: 1,
    selection: encodePcrSelection([0]),
    pcrDigest: pcrDigest([new Uint8Array(32)]),
    trailing: new Uint8Array(0),
  });
}

function verifiable(key: TpmKey, statement: { attest: Uint8Array; signature: Uint8Array }): QuoteToVerify {
  return { ...statement, key: key.publicArea, nonce: DATA, selection: [{ hashAlg: ALG.sha256, pcrs: [0] }] };
}

const quoted = (): Promise<QuoteToVerify> =>
  withTpm(async (tpm) => {
    const ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
    return verifiable(ak, await tpm.quote(ak, { qualifyingData: DATA, pcrs: [0] }));
  });

/** An invented statement, signed by a key of the TPM that signs whatever it is given. */
const signedByTpm = (attest: Uint8Array): Promise<QuoteToVerify> =>
  withTpm(async (tpm) => {
    const key = await tpm.createPrimary({
      hierarchy: 'endorsement',
      template: without(TEMPLATES.ak, restricted),
    });
    const { signature } = await tpm.run(Sign, {
      handles: { keyHandle: key.handle },
      parameters: { digest: sha256(attest), inScheme: undefined },
    });
    return verifiable(key, { attest, signature: encodeSignature(signature) });
  });

const quotes: readonly Tampering<QuoteToVerify>[] = [
  [
    'that was invented, and signed by a key that signs anything',
    'KEY_NOT_RESTRICTED',
    'QUO-2',
    () => signedByTpm(inventedQuote()),
  ],
  [
    'with another magic, signed by a key that signs anything',
    'ATTEST_MAGIC_WRONG',
    'QUO-1',
    () => signedByTpm(concatBytes(fromHex('00000000'), inventedQuote().subarray(4))),
  ],
  [
    'by the attestation key of another TPM',
    'SIGNATURE_WRONG',
    'QUO-1',
    async (it) => ({ ...it, key: (await quoted()).key }),
  ],
  [
    'of another TPM for the same nonce',
    'SIGNATURE_WRONG',
    'QUO-1',
    async (it) => ({ ...(await quoted()), key: it.key }),
  ],
];

interface Message {
  readonly bytes: Uint8Array;
}

/** A restricted key signs a digest that the TPM itself made, and gave a ticket for, because it is of no statement of its own. */
const signRestricted = ({ bytes }: Message): Promise<string> =>
  withTpm(async (tpm) => {
    const ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
    const { digest, ticket } = await tpm.hash({
      hashAlg: ALG.sha256,
      data: bytes,
      hierarchy: HANDLE.endorsement,
    });
    const parameters = { digest, inScheme: undefined, validation: ticket };
    return await tpm
      .run(Sign, { handles: { keyHandle: ak.handle }, parameters })
      .then(() => 'OK', nameOfRefusal);
  });

function nameOfRefusal(error: unknown): string {
  const code = returnCodeOf(error);
  if (code === undefined) throw error;
  return `TPM_RC_${decodeReturnCode(code).name}`;
}

const messages: readonly Tampering<Message>[] = [
  ['that is an invented quote', 'TPM_RC_TICKET', 'TPM 2.0 Part 3, 20.2', () => ({ bytes: inventedQuote() })],
  [
    'that only begins like a statement of a TPM',
    'TPM_RC_TICKET',
    'TPM 2.0 Part 3, 20.2',
    () => ({ bytes: fromHex('ff54434700') }),
  ],
];

export const tpmRows: readonly Row[] = [
  ...rowsOf(
    {
      artefact: 'a certification by a TPM',
      by: 'checkVrfCertification',
      honest: certified,
      judge: accepts(checkVrfCertification),
    },
    certifications('VRF_PUBLIC_INVALID'),
  ),
  ...rowsOf(
    {
      artefact: 'a certification by a TPM',
      by: 'checkKeyCertification',
      honest: certified,
      judge: accepts(checkKeyCertification),
    },
    certifications('KEY_EXPORTABLE'),
  ),
  ...rowsOf({ artefact: 'a quote by a TPM', by: 'verifyQuote', honest: quoted, judge: codeOfQuote }, quotes),
  ...rowsOf(
    {
      artefact: 'a message to an AK',
      by: 'TPM2_Sign',
      honest: () => ({ bytes: fromUtf8('a message') }),
      judge: signRestricted,
    },
    messages,
  ),
];
