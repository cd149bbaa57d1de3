import { bytesEqual, CoreError, mintVerified, type Verified } from '@nemea/core';
import {
  type ClockInfo,
  type PcrSelection,
  parseAttest,
  parseSignature,
  type QuoteAttest,
  TpmError,
} from '@nemea/tpm/structures';
import type { QuotedPcr } from '../eventlog/model.ts';
import { type CheckedSignature, isChecked, refuseSignature } from '../signature.ts';
import { refusePcrs, refuseSelection } from './pcrs.ts';
import { type QuoteRefusal, refusal } from './refusal.ts';
import { parseSigningKey, type SigningKey } from './signing-key.ts';

/** The highest clock seen from this key. */
export type ClockBefore = Pick<ClockInfo, 'clock' | 'resetCount' | 'restartCount'>;

/** A quote, the key, and what was asked for. */
export interface QuoteToVerify {
  /** TPMS_ATTEST, exactly as signed. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
  /** SubjectPublicKeyInfo as PEM or DER, TPMT_PUBLIC, TPM2B_PUBLIC, or one of these parsed. */
  readonly key: Uint8Array | string | SigningKey;
  /** What the quote's extraData must be. */
  readonly nonce: Uint8Array;
  /** The PCRs that must be quoted, no more and no less; any without it. */
  readonly selection?: readonly PcrSelection[] | undefined;
  /** The value of each quoted PCR, and of none besides. */
  readonly pcrs?: readonly QuotedPcr[] | undefined;
  readonly clockBefore?: ClockBefore | undefined;
  /** Refuse a clock that may repeat because the TPM lost power without a shutdown. */
  readonly requireSafeClock?: boolean | undefined;
  /** For keys of old machines that sign by nothing else. */
  readonly acceptSha1?: boolean | undefined;
}

/** What the TPM said, by which kind of signature, and the PCR values where they were given. */
export interface Quote extends QuoteAttest {
  readonly signature: { readonly scheme: CheckedSignature['scheme']; readonly hashAlg: number };
  readonly pcrs: readonly QuotedPcr[] | null;
}

/** The quote, verified, or the first reason why not. */
export type QuoteVerdict =
  | { readonly ok: true; readonly quote: Verified<Quote> }
  | { readonly ok: false; readonly error: QuoteRefusal };

/**
 * Verifies a quote as any TPM 2.0 makes it: parsed to its end, made inside a TPM, signed by the key over the received
 * bytes, for this nonce, of these PCRs with these values, at a clock that did not go back; the first check that fails
 * is the reason [QUO-1]. Throws `KEY_INVALID` when the key cannot be read, for that is the caller's own. A quote proves
 * nothing unless the key is restricted to what its TPM says: a TPMT_PUBLIC shows it, an SPKI needs somebody who vouches.
 */
export function verifyQuote(input: QuoteToVerify): QuoteVerdict {
  const key = isSigningKey(input.key) ? input.key : parseSigningKey(input.key);
  const attest = readQuote(input.attest);
  if ('code' in attest) return refused(attest);
  const signature = readSignature(input.signature);
  if ('code' in signature) return refused(signature);
  const error =
    refuseKey(key) ??
    refuseSignature(key, signature, input.attest, input) ??
    refuseNonce(attest, input.nonce) ??
    refuseSelection(attest, input.selection) ??
    (input.pcrs === undefined ? null : refusePcrs(attest, signature.hashAlg, input.pcrs)) ??
    refuseClock(attest.clockInfo, input);
  if (error !== null) return refused(error);
  const { scheme, hashAlg } = signature;
  return {
    ok: true,
    quote: mintVerified({ ...attest, signature: { scheme, hashAlg }, pcrs: input.pcrs ?? null }),
  };
}

function refused(error: QuoteRefusal): QuoteVerdict {
  return { ok: false, error };
}

function isSigningKey(key: QuoteToVerify['key']): key is SigningKey {
  return typeof key !== 'string' && 'spki' in key;
}

const TPM_GENERATED = 0xff544347;
const TYPE_QUOTE = 0x8018;
const HEAD_BYTES = 6;

/** TPMS_ATTEST of a quote. What it says is not true before its signature is checked. */
export function readQuote(bytes: Uint8Array): QuoteAttest | QuoteRefusal {
  if (bytes.length < HEAD_BYTES) return refusal('ATTEST_MALFORMED', `got ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  // TPM_GENERATED tells the TPM's own statements from outside data that a key was made to sign.
  if (view.getUint32(0) !== TPM_GENERATED) return refusal('ATTEST_MAGIC_WRONG', 'not made inside a TPM');
  const type = view.getUint16(4);
  if (type !== TYPE_QUOTE) {
    return refusal(
      'ATTEST_TYPE_WRONG',
      `got type 0x${type.toString(16).padStart(4, '0')}, want a quote, 0x8018`,
    );
  }
  try {
    const attest = parseAttest(bytes);
    return attest.type === 'quote' ? attest : refusal('ATTEST_TYPE_WRONG', `got ${attest.type}, want quote`);
  } catch (error) {
    if (!(error instanceof TpmError)) throw error;
    return refusal(isTrailing(error) ? 'ATTEST_TRAILING' : 'ATTEST_MALFORMED', error.message);
  }
}

/** TPMT_SIGNATURE of a scheme that quotes are signed by. */
export function readSignature(bytes: Uint8Array): CheckedSignature | QuoteRefusal {
  try {
    const signature = parseSignature(bytes);
    if (isChecked(signature)) return signature;
    return refusal('SIGNATURE_SCHEME_WRONG', `got ${signature.scheme}, want ecdsa, rsassa or rsapss`);
  } catch (error) {
    if (!(error instanceof TpmError)) throw error;
    if (error.code === 'TPM_STRUCTURE_UNSUPPORTED') return refusal('SIGNATURE_SCHEME_WRONG', error.message);
    return refusal(isTrailing(error) ? 'SIGNATURE_TRAILING' : 'SIGNATURE_MALFORMED', error.message);
  }
}

function isTrailing(error: TpmError): boolean {
  return error.cause instanceof CoreError && error.cause.code === 'BYTES_TRAILING';
}

/** A key that signs outside data, or that is known outside its TPM, can sign any quote [QUO-2]. */
export function refuseKey(key: SigningKey): QuoteRefusal | null {
  if (key.isAttestationKey !== false) return null;
  return refusal(
    'KEY_NOT_RESTRICTED',
    'want fixedTPM, fixedParent, sensitiveDataOrigin, restricted and sign, not decrypt',
  );
}

/** Another nonce than the verifier's: an old quote, or one for somebody else. */
export function refuseNonce(quote: QuoteAttest, nonce: Uint8Array): QuoteRefusal | null {
  if (bytesEqual(quote.extraData, nonce)) return null;
  return refusal('QUALIFYING_DATA_WRONG', 'made for another nonce');
}

/** (resetCount, restartCount, clock) of one key never decreases: clones and rolled-back TPMs show here [QUO-7]. */
export function refuseClock(
  now: ClockInfo,
  { clockBefore: before, requireSafeClock }: Pick<QuoteToVerify, 'clockBefore' | 'requireSafeClock'>,
): QuoteRefusal | null {
  if (before !== undefined && now.resetCount < before.resetCount) {
    return refusal('CLOCK_RESET_COUNT_DECREASED', 'a cloned, cleared or rolled-back TPM');
  }
  if (before !== undefined && now.resetCount === before.resetCount) {
    if (now.restartCount < before.restartCount) {
      return refusal('CLOCK_RESTART_COUNT_DECREASED', 'a cloned or rolled-back TPM');
    }
    if (now.clock < before.clock) return refusal('CLOCK_BACKWARDS', 'a cloned or rolled-back TPM');
  }
  if (requireSafeClock === true && !now.safe) {
    return refusal('CLOCK_UNSAFE', 'the TPM lost power without shutdown, its clock may repeat');
  }
  return null;
}
