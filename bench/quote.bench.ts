/** How much of a raw signature check the judge's whole appraisal of a quote leaves. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { type Appraisal, appraise, qualifyingData } from '@nemea/attestation';
import { assert, fromUtf8, sha256 } from '@nemea/core';
import {
  ALG,
  type EccPublicArea,
  type EcdsaSignature,
  parsePublicArea,
  parseSignature,
  toSpki,
} from '@nemea/tpm/structures';
import { toDer } from '../packages/attestation/src/ecdsa-der.ts';
import { verifyPortable } from '../packages/attestation/src/portable-signature.ts';
import { type SigningHash, signingHash } from '../packages/attestation/src/quote/hash.ts';
import { signingKeyOf } from '../packages/attestation/src/quote/signing-key.ts';
import { appraisalOf, EXPECTED } from '../packages/attestation/src/testing.ts';
import { COMPUTING, race } from './measure.ts';
import { type Row, rowOf } from './row.ts';

const QUOTES = 64;
const SHARE_TARGET = 0.6;

export async function benchQuote(): Promise<Row[]> {
  const appraisals = Array.from({ length: QUOTES }, (_, index) => freshAppraisal(index));
  const area = keyOf(appraisals);
  const key = createPublicKey({ key: Buffer.from(toSpki(area)), format: 'der', type: 'spki' });
  const portableKey = signingKeyOf(area);
  const sha256Hash = signingHash(ALG.sha256) as SigningHash;
  const signed = appraisals.map(({ evidence }) => ({
    ...parsed(evidence.signature),
    message: evidence.attest,
  }));
  const results = await race(
    {
      raw: () => checkAll(signed, ({ message, der }) => rawCheck(key, message, der)),
      full: () => checkAll(appraisals, (appraisal) => appraise(appraisal).verdict === 'affirming'),
      // The browser's path: fewer, because it is slower.
      portable: () =>
        checkAll(signed.slice(0, 8), ({ message, signature }) =>
          verifyPortable(portableKey, signature, sha256Hash, message),
        ),
    },
    COMPUTING,
  );
  const raw = { name: 'node:crypto P-256 verify', samples: results.raw };
  return [
    rowOf({
      group: 'quote',
      unit: 'perS',
      own: { name: 'appraise a quote, all claims', samples: results.full },
      peer: raw,
      target: { of: 'ratio', atLeast: SHARE_TARGET },
    }),
    rowOf({
      group: 'quote',
      unit: 'perS',
      own: { name: "signature only, the browser's path", samples: results.portable },
      peer: raw,
    }),
  ];
}

/** Every quote answers another challenge, so nothing is judged twice. */
function freshAppraisal(index: number): Appraisal {
  const expected = { ...EXPECTED, challenge: sha256(fromUtf8(`challenge ${index}`)) };
  return appraisalOf({ quote: { extraData: qualifyingData(expected) }, appraisal: { expected } });
}

function keyOf([first]: readonly Appraisal[]): EccPublicArea {
  assert(first !== undefined, 'there is a quote');
  const area = parsePublicArea(first.endorsements.akPublic);
  assert(area.type === 'ecc', 'attestation keys are on P-256');
  return area;
}

function parsed(bytes: Uint8Array): { signature: EcdsaSignature; der: Uint8Array } {
  const signature = parseSignature(bytes);
  assert(signature.scheme === 'ecdsa', 'attestation keys sign by ECDSA');
  return { signature, der: toDer(signature) };
}

function rawCheck(key: KeyObject, message: Uint8Array, der: Uint8Array): boolean {
  return verify('sha256', message, key, der);
}

function checkAll<T>(inputs: readonly T[], check: (input: T) => boolean): number {
  for (const input of inputs) assert(check(input), 'an honest quote passes');
  return inputs.length;
}
