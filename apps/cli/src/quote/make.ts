import { join } from 'node:path';
import { parseSelection, parseSigningKey, quotedPcrs, verifyQuote } from '@nemea/attestation/quote';
import { CodedError, fromHex } from '@nemea/core';
import { TEMPLATES, type Tpm, type TpmKey } from '@nemea/tpm';
import type { PcrSelection } from '@nemea/tpm/structures';
import { makeFolder, writeFile } from '../files.ts';
import { toPem } from '../pem.ts';
import { openTpmAt } from '../tpm-address.ts';
import { describePcrs } from './verify.ts';

export class MakeError extends CodedError<'AK_INVALID' | 'QUOTE_UNSTABLE' | 'QUOTE_REFUSED'> {}

export interface MakeOptions {
  readonly tpm: string;
  readonly pcrs: string;
  readonly nonce: string;
  readonly out: string;
  /** `ecc` (default), `rsa`, `rsapss`, or a persistent handle. */
  readonly ak?: string;
}

type Files = Readonly<Record<string, Uint8Array | string>>;

const TRIES_MAX = 8;

/** Makes a quote and writes it, its key and the PCR values where `nemea quote verify` and tpm2-tools can read them. */
export async function makeQuote(options: MakeOptions): Promise<Readonly<Record<string, string>>> {
  const nonce = fromHex(options.nonce);
  const tpm = await openTpmAt(options.tpm);
  try {
    const ak = await attestationKey(tpm, options.ak);
    const files = await quoteOf(tpm, ak, nonce, parseSelection(options.pcrs));
    makeFolder(options.out);
    const paths = Object.entries(files).map(([name, content]) => {
      const path = join(options.out, name);
      writeFile(path, content);
      return [name, path] as const;
    });
    return Object.fromEntries(paths);
  } finally {
    await tpm.close();
  }
}

const MADE = new Map([
  ['ecc', TEMPLATES.ak],
  ['rsa', TEMPLATES.akRsassa],
  ['rsapss', TEMPLATES.akRsapss],
]);

/** A persistent key, or one of the endorsement hierarchy: the same one each time on the same TPM. */
async function attestationKey(tpm: Tpm, ak = 'ecc'): Promise<TpmKey> {
  const template = MADE.get(ak);
  if (template !== undefined) return await tpm.createPrimary({ hierarchy: 'endorsement', template });
  if (/^0x81[0-9a-f]{6}$/i.test(ak)) return await tpm.readPublic(Number(ak));
  throw new MakeError(
    'AK_INVALID',
    `AK: got ${ak}, want ${[...MADE.keys()].join(', ')} or a persistent handle such as 0x81010002`,
  );
}

/** Quotes and reads until both are of one moment, and verifies the quote as a stranger would. */
async function quoteOf(
  tpm: Tpm,
  ak: TpmKey,
  nonce: Uint8Array,
  selection: readonly PcrSelection[],
): Promise<Files> {
  const key = parseSigningKey(ak.publicArea);
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const pcrs = quotedPcrs(await tpm.pcrReadBanks(selection));
    const { attest, signature } = await tpm.quote(ak, { qualifyingData: nonce, pcrs: selection });
    const verdict = verifyQuote({ attest, signature, key, nonce, pcrs, selection });
    if (verdict.ok) {
      return {
        'quote.attest': attest,
        'quote.signature': signature,
        'pcrs.json': `${JSON.stringify(describePcrs(pcrs), null, 2)}\n`,
        'ak.pub': ak.publicArea,
        'ak.pem': toPem('PUBLIC KEY', key.spki),
      };
    }
    if (verdict.error.code !== 'PCR_DIGEST_WRONG')
      throw new MakeError('QUOTE_REFUSED', verdict.error.message);
  }
  throw new MakeError('QUOTE_UNSTABLE', `the PCRs changed during each of ${TRIES_MAX} quotes`);
}
