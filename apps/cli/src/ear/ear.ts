import type { AttestationResult } from '@nemea/attestation';
import { AttestationError } from '@nemea/attestation';
import { CoseError, type Ear, signEar, TIER, verifyEar } from '@nemea/attestation/ear';
import { bytesEqual, CodedError, fromHex, toHex } from '@nemea/core';
import { showResult, toPlain } from '../attest/claims.ts';
import { type FileOptions, judgeFile } from '../attest/file.ts';
import { readFile, writeNewFile } from '../files.ts';
import { fold } from '../text.ts';
import { VERSION } from '../version.ts';
import { readSigner, readVerifier } from './key.ts';

export class EarCommandError extends CodedError<
  'EAR_NEEDED' | 'EAR_UNREADABLE' | 'KEY_NEEDED' | 'NONCE_INVALID' | 'NONCE_NEEDED'
> {}

export interface EarOptions {
  readonly key: string;
  readonly nonce?: string;
}

const VERIFIER = { developer: 'Nemea', build: `nemea ${VERSION}` };

export interface SignOptions extends FileOptions {
  readonly ear?: string;
  readonly sign?: string;
}

/** Judges Evidence and, when asked to, writes the signed result to a new file. */
export async function judgeAndSign(file: string, options: SignOptions): Promise<AttestationResult> {
  const { ear, sign } = options;
  if (ear === undefined && sign === undefined) return judgeFile(file, options).result;
  if (ear === undefined)
    throw new EarCommandError('EAR_NEEDED', 'say with --ear where the signed result goes');
  if (sign === undefined)
    throw new EarCommandError('KEY_NEEDED', 'say with --sign which key signs the result');
  const signer = readSigner(sign);
  const { result, policyId, nonce } = judgeFile(file, options);
  if (nonce === null) {
    throw new EarCommandError(
      'NONCE_NEEDED',
      'a signed result names the challenge that it answers: no --any-time',
    );
  }
  writeNewFile(ear, await signEar(signer, { verifier: VERIFIER, nonce, policyIds: [policyId], result }));
  return result;
}

interface Refusal {
  readonly code: string;
  readonly message: string;
}

/** A signed result that was checked: null when it is not by that key, or is not what a judge writes. */
export interface CheckedEar {
  readonly ear: Ear | null;
  readonly error?: Refusal;
}

/** Throws for what is no signed result, key or nonce at all; says why for one that is refused [ATT-31]. */
export function checkEarFile(path: string, { key, nonce }: EarOptions): CheckedEar {
  const verifier = readVerifier(key);
  const wanted = nonce === undefined ? undefined : nonceOf(nonce);
  const bytes = readFile(path);
  if (!beginsSign1(bytes)) throw new EarCommandError('EAR_UNREADABLE', `${path}: no COSE_Sign1`);
  let ear: Ear;
  try {
    ear = verifyEar(bytes, verifier);
  } catch (error) {
    if (!(error instanceof CoseError || error instanceof AttestationError)) throw error;
    return { ear: null, error: { code: error.code, message: error.message } };
  }
  if (wanted === undefined || bytesEqual(ear.nonce, wanted)) return { ear };
  return { ear, error: { code: 'NONCE_WRONG', message: `answers ${toHex(ear.nonce)}, another challenge` } };
}

/** RFC 9052, 4.2: an array of four, tagged 18 or not. What begins so is one, however broken. */
function beginsSign1([first, second]: Uint8Array): boolean {
  return first === 0x84 || (first === 0xd2 && second === 0x84);
}

function nonceOf(hex: string): Uint8Array {
  if (!/^(?:0x)?(?:[0-9a-f]{2})+$/i.test(hex)) {
    throw new EarCommandError('NONCE_INVALID', `nonce: got ${hex}, want bytes in hex`);
  }
  return fromHex(hex);
}

export function isTrusted({ ear, error }: CheckedEar): boolean {
  return ear !== null && error === undefined && ear.result.verdict !== 'contraindicated';
}

export function toJson(checked: CheckedEar): Record<string, unknown> {
  const ok = isTrusted(checked);
  const { ear, error } = checked;
  const refusal = error === undefined ? {} : { error };
  if (ear === null) return { ok, ...refusal };
  const { issuedAtS, verifier, nonce, policyIds, vector, result } = ear;
  return {
    ok,
    ...refusal,
    trusted: ok,
    issuedAtS,
    verifier,
    nonce: toHex(nonce),
    policyIds,
    vector,
    ...toPlain(result),
  };
}

const COLUMNS = 80;
const TIER_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(TIER).map(([name, tier]) => [tier, name]),
);

export function toText({ ear, error }: CheckedEar): string {
  const refused = error === undefined ? [] : fold(`REFUSED: ${error.code}: ${error.message}`, COLUMNS);
  if (ear === null) return refused.join('\n');
  const { issuedAtS, verifier, nonce, policyIds, vector, result } = ear;
  const aspects = Object.entries(vector).map(([name, tier]) => `${name} ${TIER_NAMES.get(tier) ?? tier}`);
  return [
    `issued ${new Date(issuedAtS * 1000).toISOString()} by ${verifier.build} (${verifier.developer})`,
    `nonce ${toHex(nonce)}`,
    ...policyIds.map((id) => `policy ${id}`),
    ...fold(aspects.join(', '), COLUMNS),
    showResult(result),
    ...refused,
  ].join('\n');
}
