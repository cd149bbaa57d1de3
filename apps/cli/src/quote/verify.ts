import type { QuotedPcr } from '@nemea/attestation/eventlog';
import {
  AttestationError,
  fromPlainSignature,
  parsePcrFile,
  parseSelection,
  parseSigningKey,
  type QuoteToVerify,
  type QuoteVerdict,
  readQuote,
  type SigningKey,
  verifyQuote,
} from '@nemea/attestation/quote';
import { CoreError, fromHex, toHex } from '@nemea/core';
import { parseAttest, parseSignature, TpmError } from '@nemea/tpm/structures';
import { type Described, describeAttest, describeSignature } from './describe.ts';
import { readAttestFile, readSignatureFile, readSmall, UnreadableError } from './files.ts';

export interface VerifyOptions {
  readonly attest: string;
  readonly signature: string;
  readonly key: string;
  readonly nonce: string;
  readonly pcrs?: string;
  readonly select?: string;
  readonly plain?: string;
  readonly acceptSha1?: boolean;
  readonly safeClock?: boolean;
}

export interface Verification {
  readonly ok: boolean;
  /** What the statement says: true when `ok`, no more than a claim otherwise; null when it does not parse. */
  readonly quote: Described | null;
  readonly error?: { readonly code: string; readonly message: string };
}

/** Verifies the files [QUO-9]. Throws `UnreadableError` for what is no quote, signature, key, nonce or PCR file at all. */
export function verifyFiles(options: VerifyOptions): Verification {
  const input = readInput(options);
  const verdict = verifyQuote(input);
  const quote = describeQuote(input, verdict);
  return verdict.ok ? { ok: true, quote } : { ok: false, quote, error: verdict.error };
}

function readInput(options: VerifyOptions): QuoteToVerify {
  const attest = readAttestFile(options.attest);
  return {
    attest,
    signature:
      options.plain === undefined ? readSignatureFile(options.signature) : readPlain(options, options.plain),
    key: readKey(options.key),
    nonce: readNonce(options.nonce),
    pcrs: options.pcrs === undefined ? undefined : readPcrs(options.pcrs, attest),
    selection:
      options.select === undefined
        ? undefined
        : readable('PCRS_UNREADABLE', () => parseSelection(options.select ?? '')),
    acceptSha1: options.acceptSha1,
    requireSafeClock: options.safeClock,
  };
}

function readPlain({ signature }: VerifyOptions, kind: string): Uint8Array {
  const file = readSmall(signature);
  return readable('SIGNATURE_UNREADABLE', () => fromPlainSignature(file, kind));
}

export function readKey(path: string): SigningKey {
  const file = readSmall(path);
  return readable('KEY_UNREADABLE', () => parseSigningKey(file));
}

export function readNonce(hex: string): Uint8Array {
  return readable('NONCE_UNREADABLE', () => fromHex(hex));
}

/**
 * A PCR file of bare values belongs to the selection that the statement names, authentic or not: its digest decides. What
 * is no quote is refused whatever the file says.
 */
function readPcrs(path: string, attest: Uint8Array): readonly QuotedPcr[] | undefined {
  const file = readSmall(path);
  const quote = readQuote(attest);
  if ('code' in quote) return undefined;
  return readable('PCRS_UNREADABLE', () => parsePcrFile(file, quote.pcrSelections));
}

function readable<T>(code: UnreadableError['code'], read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof AttestationError || cause instanceof CoreError) {
      throw new UnreadableError(code, cause.message, { cause });
    }
    throw cause;
  }
}

function describeQuote({ attest, signature, pcrs }: QuoteToVerify, verdict: QuoteVerdict): Described | null {
  const said = orNull(() => describeAttest(parseAttest(attest)));
  if (said === null) return null;
  const by = orNull(() => describeSignature(parseSignature(signature)));
  const { scheme, hash } = by ?? { scheme: null, hash: null };
  const values = verdict.ok && pcrs !== undefined ? { pcrs: describePcrs(pcrs) } : {};
  return { ...said, signature: { scheme, hash }, ...values };
}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof TpmError) return null; // what does not parse is not shown
    throw error;
  }
}

/** Values by bank and number, as `parsePcrFile` reads them. */
export function describePcrs(pcrs: readonly QuotedPcr[]): Record<string, Record<number, string>> {
  const banks: Record<string, Record<number, string>> = {};
  for (const { bank, pcr, value } of pcrs) banks[bank] = { ...banks[bank], [pcr]: toHex(value) };
  return banks;
}
