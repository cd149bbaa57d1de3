/** The claims that establish what the TPM said, before anything it says is believed. */
import { bytesEqual, concatBytes } from '@nemea/core';
import {
  ALG,
  digestOf,
  parseAttest,
  parseSignature,
  type QuoteAttest,
  TpmError,
  type TpmSignature,
} from '@nemea/tpm/structures';
import { checkAkProfile, hashOfScheme, type SigningArea } from './ak-profile.ts';
import type { Appraisal, ExpectedQuote } from './appraisal.ts';
import { affirm, claimOf, leaveOut, refuse, warn } from './claim.ts';
import { AttestationError } from './errors.ts';
import { qualifyingData } from './evidence.ts';
import type { AppraisedClaim } from './result.ts';
import { verifyTpmSignature } from './signature.ts';

const TPM_GENERATED = 0xff544347;

/** A key of the policy's profiles that only signs what the TPM itself says [ATT-23]. */
export function appraiseAttestationKey(input: Appraisal): {
  readonly claim: AppraisedClaim;
  readonly name: Uint8Array;
  readonly area: SigningArea | null;
} {
  const { akPublic } = input.endorsements;
  const { attestationKeys } = input.policy;
  const wanted = attestationKeys.join(', ');
  try {
    const { name: known, area, profile } = checkAkProfile(akPublic);
    const name = known.slice();
    const claim = claimOf('attestation-key', SOURCE, name, wanted);
    if (attestationKeys.includes(profile)) {
      return { claim: affirm(claim, `restricted TPM-made ${profile} key`), name, area };
    }
    return { claim: refuse(claim, 'AK_PUBLIC_INVALID', `got ${profile}, want ${wanted}`), name, area: null };
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    const name = nameOfBytes(akPublic);
    const claim = claimOf('attestation-key', SOURCE, name, wanted);
    return { claim: refuse(claim, 'AK_PUBLIC_INVALID', error.message), name, area: null };
  }
}

const SOURCE = 'endorsements.akPublic';

/** The name that these bytes would have if they were a key. */
function nameOfBytes(akPublic: Uint8Array): Uint8Array {
  const nameAlg = akPublic[2] === 0 && akPublic[3] === ALG.sha384 ? ALG.sha384 : ALG.sha256;
  return concatBytes(Uint8Array.of(0, nameAlg), digestOf(nameAlg, akPublic));
}

/** Over the received bytes, before anything in them is believed. */
export function appraiseSignature(
  input: Appraisal,
  area: SigningArea | null,
  quoteDigest: Uint8Array,
): AppraisedClaim {
  const { attest, signature } = input.evidence;
  const claim = claimOf('signature', 'evidence.signature', null, quoteDigest);
  if (area === null) return leaveOut(claim);
  let parsed: TpmSignature;
  try {
    parsed = parseSignature(signature);
  } catch (error) {
    if (!(error instanceof TpmError)) throw error;
    return refuse(claim, 'SIGNATURE_MALFORMED', error.message);
  }
  if (
    !('hashAlg' in parsed) ||
    parsed.scheme !== area.scheme?.scheme ||
    parsed.hashAlg !== hashOfScheme(area)
  ) {
    return refuse(
      claim,
      'SIGNATURE_SCHEME_WRONG',
      `got ${parsed.scheme}, want the scheme and hash of the key`,
    );
  }
  if (!verifyTpmSignature(area, parsed, attest)) {
    return refuse(claim, 'SIGNATURE_WRONG', 'not a signature by the registered attestation key');
  }
  return affirm(claim, 'signed by the registered attestation key');
}

/** Magic and type: TPM_GENERATED says that a restricted key signed the TPM's own statement and not outside data. */
export function appraiseAttestStructure(
  input: Appraisal,
  signature: AppraisedClaim,
): { readonly claim: AppraisedClaim; readonly quote: QuoteAttest | null } {
  const { attest } = input.evidence;
  const claim = claimOf('attest-structure', 'evidence.attest', attest.subarray(0, 6), 'TPM_GENERATED quote');
  if (signature.verdict !== 'affirming') return { claim: leaveOut(claim), quote: null };
  const magic = attest.length < 4 ? 0 : new DataView(attest.buffer, attest.byteOffset).getUint32(0);
  if (magic !== TPM_GENERATED) {
    return { claim: refuse(claim, 'ATTEST_MAGIC_WRONG', 'not made inside a TPM'), quote: null };
  }
  try {
    const parsed = parseAttest(attest);
    if (parsed.type === 'quote')
      return { claim: affirm(claim, 'a quote made inside the TPM'), quote: parsed };
    return { claim: refuse(claim, 'ATTEST_TYPE_WRONG', `got ${parsed.type}, want quote`), quote: null };
  } catch (error) {
    if (!(error instanceof TpmError)) throw error;
    return { claim: refuse(claim, 'ATTEST_MALFORMED', error.message), quote: null };
  }
}

export function appraiseQualifyingData(input: Appraisal, quote: QuoteAttest | null): AppraisedClaim {
  const { expected, policy, evidence } = input;
  const wanted = expectedData(expected, policy.freshness.epochsMax);
  const claim = claimOf(
    'qualifying-data',
    'evidence.attest.extraData',
    quote?.extraData ?? null,
    wanted[0] ?? null,
  );
  if (quote === null) return leaveOut(claim);
  const by = freshnessOf(expected);
  if (!policy.freshness.accept.includes(by)) {
    return refuse(claim, 'QUALIFYING_DATA_UNCHECKED', `freshness by ${by} is not what the policy accepts`);
  }
  if (by === 'none')
    return warn(claim, 'QUALIFYING_DATA_UNCHECKED', 'nobody says for what or when it was quoted');
  if (!wanted.some((data) => bytesEqual(quote.extraData, data))) {
    return refuse(claim, 'QUALIFYING_DATA_WRONG', WRONG[by]);
  }
  if ('binding' in expected && !bytesEqual(evidence.binding, expected.binding)) {
    return refuse(claim, 'QUALIFYING_DATA_WRONG', 'the evidence names another binding than was quoted');
  }
  return affirm(claim, RIGHT[by]);
}

const WRONG = {
  challenge: 'another network, challenge or binding was quoted',
  epoch: 'quoted for no epoch that still counts',
} as const;
const RIGHT = { challenge: 'quoted for this challenge', epoch: 'quoted for an epoch that counts' } as const;

/** By which of the three ways of RFC 9334, section 10, the verifier knows that evidence is new. */
export function freshnessOf(expected: ExpectedQuote): 'challenge' | 'epoch' | 'none' {
  if ('anyTime' in expected) return 'none';
  return 'epochs' in expected ? 'epoch' : 'challenge';
}

function expectedData(expected: ExpectedQuote, epochsMax: number): readonly Uint8Array[] {
  if ('anyTime' in expected) return [];
  if ('epochs' in expected) return expected.epochs.slice(0, epochsMax);
  return ['nonce' in expected ? expected.nonce : qualifyingData(expected)];
}
