/** How much of a raw signature check is left by a full check of a quote, and by the judge's whole appraisal. */
import { createPublicKey, verify } from 'node:crypto';
import { type Appraisal, appraise, QUOTED_PCRS, qualifyingData } from '@nemea/attestation';
import { parseSigningKey, readSignature, verifyQuote } from '@nemea/attestation/quote';
import { assert, fromUtf8, sha256 } from '@nemea/core';
import { ALG, encodePcrSelection } from '@nemea/tpm/structures';
import { toDer } from '../packages/attestation/src/ecdsa-der.ts';
import { verifyPortable } from '../packages/attestation/src/portable-signature.ts';
import { type SigningHash, signingHash } from '../packages/attestation/src/quote/hash.ts';
import {
  eccKey,
  pcrsOf,
  quoteBy,
  rsaKey,
  type SoftwareKey,
  signAs,
} from '../packages/attestation/src/quote/testing.ts';
import { appraisalOf, EXPECTED } from '../packages/attestation/src/testing.ts';
import { COMPUTING, race, type Work } from './measure.ts';
import { type Row, rowOf } from './row.ts';

const QUOTES = 64;
/** Fewer on the browser's path, because it is slower. */
const PORTABLE_QUOTES = 8;
const SHA256 = signingHash(ALG.sha256) as SigningHash;

export async function benchQuote(): Promise<Row[]> {
  const p256 = quotesBy(eccKey('P-256', ALG.sha256));
  const rsa = quotesBy(rsaKey({ bits: 2048, scheme: 'rsassa', hashAlg: ALG.sha256 }));
  const appraisals = Array.from({ length: QUOTES }, (_, index) => freshAppraisal(index));
  // The slow ones run apart: what they leave to collect and to forget would be paid by whoever comes next.
  const ofP256 = await race({ raw: p256.raw, full: p256.full }, COMPUTING);
  const ofRsa = await race({ raw: rsa.raw, full: rsa.full }, COMPUTING);
  const ofJudge = await race(
    {
      raw: p256.raw,
      appraise: () => checkAll(appraisals, (appraisal) => appraise(appraisal).verdict === 'affirming'),
    },
    COMPUTING,
  );
  const slow = await race(
    {
      raw: p256.raw,
      portable: p256.portable,
      portableRsa: rsa.portable,
    },
    COMPUTING,
  );
  const rawP256 = { name: 'node:crypto P-256 verify', samples: ofP256.raw };
  const rawJudge = { ...rawP256, samples: ofJudge.raw };
  const rawSlow = { ...rawP256, samples: slow.raw };
  const rawRsa = { name: 'node:crypto RSA-2048 verify', samples: ofRsa.raw };
  const row = (own: string, samples: Row['own']['samples'], peer: typeof rawP256, atLeast?: number): Row =>
    rowOf({
      group: 'quote',
      unit: 'perS',
      own: { name: own, samples },
      peer,
      ...(atLeast === undefined ? {} : { target: { of: 'ratio' as const, atLeast } }),
    });
  return [
    row('full check of a quote, P-256', ofP256.full, rawP256, 0.8),
    row('full check of a quote, RSA-2048', ofRsa.full, rawRsa, 0.6),
    row('appraise a quote, all claims', ofJudge.appraise, rawJudge, 0.6),
    row("signature only, the browser's path, P-256", slow.portable, rawSlow),
    row("signature only, the browser's path, RSA-2048", slow.portableRsa, rawRsa),
  ];
}

/** Three ways of checking quotes by one key, each quote of another nonce: nothing is checked twice. */
function quotesBy(key: SoftwareKey): { raw: Work; full: Work; portable: Work } {
  const pcrs = pcrsOf(QUOTED_PCRS);
  const selection = [{ hashAlg: ALG.sha256, pcrs: QUOTED_PCRS }];
  const pcrDigest = sha256(...pcrs.map(({ value }) => value));
  const signingKey = parseSigningKey(key.spki);
  const native = createPublicKey(key.pem);
  const quotes = Array.from({ length: QUOTES }, (_, index) => {
    const nonce = sha256(fromUtf8(`nonce ${index}`));
    const attest = quoteBy(key, { extraData: nonce, selection: encodePcrSelection(QUOTED_PCRS), pcrDigest });
    return { nonce, attest, signature: signAs(key, attest), key: signingKey, pcrs, selection };
  });
  const bare = quotes.map(({ attest, signature }) => ({ attest, ...bareSignature(signature) }));
  return {
    raw: () => checkAll(bare, ({ attest, plain }) => verify('sha256', attest, native, plain)),
    full: () => checkAll(quotes, (quote) => verifyQuote(quote).ok),
    portable: () => {
      const some = bare.slice(0, PORTABLE_QUOTES);
      return checkAll(some, ({ attest, parsed }) => verifyPortable(signingKey, parsed, SHA256, attest));
    },
  };
}

/** As node:crypto takes it. */
function bareSignature(bytes: Uint8Array) {
  const parsed = readSignature(bytes);
  assert(!('code' in parsed), 'the signature was just made');
  return { parsed, plain: parsed.scheme === 'ecdsa' ? toDer(parsed) : parsed.signature };
}

/** Every quote answers another challenge, so nothing is judged twice. */
function freshAppraisal(index: number): Appraisal {
  const expected = { ...EXPECTED, challenge: sha256(fromUtf8(`challenge ${index}`)) };
  return appraisalOf({ quote: { extraData: qualifyingData(expected) }, appraisal: { expected } });
}

function checkAll<T>(inputs: readonly T[], check: (input: T) => boolean): number {
  for (const input of inputs) assert(check(input), 'an honest quote passes');
  return inputs.length;
}
