import { appraise } from '@nemea/attestation';
import {
  CORIM_CONTENT_TYPE,
  type CorimContent,
  encodeCorim,
  parseCorim,
  parseSignedCorim,
} from '@nemea/attestation/corim';
import { EAR_CONTENT_TYPE, signEar, verifyEar } from '@nemea/attestation/ear';
import { appraisalOf, EXPECTED } from '@nemea/attestation/testing';
import { fromHex, fromUtf8, toHex } from '@nemea/core';
import { p256 } from '@noble/curves/nist.js';
import { type Cbor, decodeTaggedCbor, encodeTaggedCbor } from '../../packages/attestation/src/cose/cbor.ts';
import { signSign1, verifySign1 } from '../../packages/attestation/src/cose/sign1.ts';
import { cuts, flipped, flips, longer } from './bytes.ts';
import { accepts, type Row, rowsOf, type Tampering } from './row.ts';

const digest = 'ab'.repeat(32);
const key = new Uint8Array(32).fill(7);
const verifier = { algorithm: 'es256', publicKey: p256.getPublicKey(key) } as const;
const stranger = { ...verifier, publicKey: p256.getPublicKey(new Uint8Array(32).fill(8)) };
const signer = {
  algorithm: 'es256',
  sign: async (message: Uint8Array) => p256.sign(message, key, { lowS: false }),
} as const;

interface Signed {
  readonly bytes: Uint8Array;
  readonly verifier: Parameters<typeof verifyEar>[1];
}

const onBytes =
  (change: (bytes: Uint8Array) => Uint8Array | readonly Uint8Array[]) =>
  (it: Signed): Signed[] => {
    const made = change(it.bytes);
    return (made instanceof Uint8Array ? [made] : made).map((bytes) => ({ ...it, bytes }));
  };
/** The last 64 bytes of a COSE_Sign1 are its ECDSA signature. */
const signatureBits = onBytes((bytes) => flips(bytes, bytes.length - 64, bytes.length));
const payload = (text: string) =>
  onBytes((bytes) => flipped(bytes, toHex(bytes).indexOf(toHex(fromUtf8(text))) / 2));

const ears: readonly Tampering<Signed>[] = [
  ['with any bit of its signature flipped', 'COSE_SIGNATURE_WRONG', 'RFC 9052, 4.4', signatureBits],
  ['with a letter of its verifier changed', 'COSE_SIGNATURE_WRONG', 'RFC 9052, 4.4', payload('nemea 0.1.0')],
  ['with its verdict changed', 'COSE_SIGNATURE_WRONG', 'RFC 9052, 4.4', payload('affirming')],
  ['by another verifier', 'COSE_SIGNATURE_WRONG', 'RFC 9052, 4.4', (it) => ({ ...it, verifier: stranger })],
  [
    'of another algorithm',
    'COSE_INVALID',
    'RFC 9052, 3.1',
    (it) => ({ ...it, verifier: { ...it.verifier, algorithm: 'es384' } }),
  ],
  ['cut at every byte', 'CBOR_MALFORMED', 'RFC 9052, 4.2', onBytes((bytes) => cuts(bytes))],
  ['with a byte after its end', 'CBOR_MALFORMED', 'RFC 9052, 4.2', onBytes(longer)],
  ['whose view says more than the result inside, signed', 'EAR_INVALID', 'draft-ietf-rats-ear', lyingEar],
];

const content = {
  verifier: { developer: 'https://example.org', build: 'nemea 0.1.0' },
  nonce: EXPECTED.challenge,
  policyIds: ['sha256:00'],
  result: appraise(appraisalOf()),
};

async function honestEar(): Promise<Signed> {
  return { bytes: await signEar(signer, content), verifier };
}

/** The verifier refuses, and says in the normalised part that it affirms (draft-ietf-rats-ear: 266, 1000). */
async function lyingEar(it: Signed): Promise<Signed> {
  const refusal = appraise(
    appraisalOf({ appraisal: { nowMs: 2, expected: { ...EXPECTED, deadlineMs: 1 } } }),
  );
  const honest = await signEar(signer, { ...content, result: refusal });
  const claims = mapOf(decodeTaggedCbor(verifySign1(honest, verifier, [EAR_CONTENT_TYPE]), []));
  const [name, appraisal] = [...mapOf(claims.get(266))][0] ?? [];
  const lie = new Map([...mapOf(appraisal)]).set(1000, 2);
  const changed = new Map([...claims]).set(266, new Map<Cbor, Cbor>([[name ?? '', lie]]));
  return {
    ...it,
    bytes: await signSign1(signer, { contentType: EAR_CONTENT_TYPE, payload: encodeTaggedCbor(changed) }),
  };
}

function mapOf(value: Cbor | undefined): ReadonlyMap<Cbor, Cbor> {
  if (value instanceof Map) return value;
  throw new Error('not a map');
}

const CORIM: CorimContent = {
  id: 'example.org/board-7',
  registers: [
    { environment: { vendor: 'ACME' }, pcr: 0, digests: [{ algorithm: 'sha256', digest: fromHex(digest) }] },
  ],
  components: [],
};

const corims: readonly Tampering<Uint8Array>[] = [
  [
    'that is signed, without the key of its maker',
    'CORIM_SIGNATURE_MISSING',
    'draft-ietf-rats-corim',
    async () => (await signedCorim()).bytes,
  ],
  ['of another tag', 'CORIM_INVALID', 'draft-ietf-rats-corim', (it) => it.with(2, 0xf0)],
  ['with a digest of another length', 'CORIM_INVALID', 'draft-ietf-rats-corim', shortDigest],
  ['cut at every byte', 'CORIM_INVALID', 'draft-ietf-rats-corim', (it) => cuts(it)],
  ['with a byte after its end', 'CORIM_INVALID', 'draft-ietf-rats-corim', longer],
  ['with a length of 4 GiB', 'CORIM_INVALID', 'draft-ietf-rats-corim', () => fromHex('d901f59affffffff')],
  ['larger than the limit', 'CORIM_TOO_LARGE', 'draft-ietf-rats-corim', () => new Uint8Array((1 << 20) + 1)],
];

function shortDigest(): Uint8Array {
  const digests = [{ algorithm: 'sha384' as const, digest: fromHex(digest) }];
  return encodeCorim({ ...CORIM, registers: [{ environment: {}, pcr: 0, digests }] });
}

const signedCorims: readonly Tampering<Signed>[] = [
  ['with any bit of its signature flipped', 'COSE_SIGNATURE_WRONG', 'RFC 9052, 4.4', signatureBits],
  ['with a letter of its id changed', 'COSE_SIGNATURE_WRONG', 'RFC 9052, 4.4', payload('board-7')],
  ['by another maker', 'COSE_SIGNATURE_WRONG', 'RFC 9052, 4.4', (it) => ({ ...it, verifier: stranger })],
  ['that is an EAR by the same key', 'COSE_INVALID', 'RFC 9052, 3.1', async () => await honestEar()],
];

async function signedCorim(): Promise<Signed> {
  return {
    bytes: await signSign1(signer, { contentType: CORIM_CONTENT_TYPE, payload: encodeCorim(CORIM) }),
    verifier,
  };
}

export const signedDocumentRows: readonly Row[] = [
  ...rowsOf(
    {
      artefact: 'an EAR',
      by: 'verifyEar',
      honest: honestEar,
      judge: accepts((it) => verifyEar(it.bytes, it.verifier)),
    },
    ears,
  ),
  ...rowsOf(
    { artefact: 'a CoRIM', by: 'parseCorim', honest: () => encodeCorim(CORIM), judge: accepts(parseCorim) },
    corims,
  ),
  ...rowsOf(
    {
      artefact: 'a signed CoRIM',
      by: 'parseSignedCorim',
      honest: signedCorim,
      judge: accepts((it) => parseSignedCorim(it.bytes, it.verifier)),
    },
    signedCorims,
  ),
];
