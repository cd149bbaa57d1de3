import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeSelection, parseSelection, parseSigningKey, verifyQuote } from '@nemea/attestation/quote';
import { CodedError, fromHex, toHex } from '@nemea/core';
import { TEMPLATES, type Tpm, type TpmKey } from '@nemea/tpm';
import { ALG, type PcrSelection } from '@nemea/tpm/structures';
import { toPem } from '../pem.ts';
import { openTpmAt } from '../tpm-address.ts';

export class MakeError extends CodedError<
  'AK_HANDLE_INVALID' | 'BANK_UNSUPPORTED' | 'QUOTE_UNSTABLE' | 'QUOTE_REFUSED'
> {}

export interface MakeOptions {
  readonly tpm: string;
  readonly pcrs: string;
  readonly nonce: string;
  readonly out: string;
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
    mkdirSync(options.out, { recursive: true });
    const paths = Object.entries(files).map(([name, content]) => {
      const path = join(options.out, name);
      writeFileSync(path, content);
      return [name, path] as const;
    });
    return Object.fromEntries(paths);
  } finally {
    await tpm.close();
  }
}

/** A persistent key, or the endorsement hierarchy's own: the same one each time on the same TPM. */
async function attestationKey(tpm: Tpm, handle: string | undefined): Promise<TpmKey> {
  if (handle === undefined)
    return await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
  if (!/^0x81[0-9a-f]{6}$/i.test(handle)) {
    throw new MakeError(
      'AK_HANDLE_INVALID',
      `handle: got ${handle}, want a persistent one such as 0x81010002`,
    );
  }
  return await tpm.readPublic(Number(handle));
}

/** Quotes and reads until both are of one moment, and verifies the quote as a stranger would. */
async function quoteOf(
  tpm: Tpm,
  ak: TpmKey,
  nonce: Uint8Array,
  selection: readonly PcrSelection[],
): Promise<Files> {
  const [bank, ...others] = selection;
  if (bank?.hashAlg !== ALG.sha256 || others.length > 0) {
    throw new MakeError('BANK_UNSUPPORTED', `got ${describeSelection(selection)}, want one bank, sha256`);
  }
  const key = parseSigningKey(ak.publicArea);
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const values = await tpm.pcrRead(bank.pcrs);
    const pcrs = values.map(({ pcr, value }) => ({ bank: 'sha256' as const, pcr, value }));
    const { attest, signature } = await tpm.quote(ak, { qualifyingData: nonce, pcrs: bank.pcrs });
    const verdict = verifyQuote({ attest, signature, key, nonce, pcrs, selection });
    if (verdict.ok) {
      const json = { sha256: Object.fromEntries(values.map(({ pcr, value }) => [pcr, toHex(value)])) };
      return {
        'quote.attest': attest,
        'quote.signature': signature,
        'pcrs.json': `${JSON.stringify(json, null, 2)}\n`,
        'ak.pub': ak.publicArea,
        'ak.pem': toPem('PUBLIC KEY', key.spki),
      };
    }
    if (verdict.error.code !== 'PCR_DIGEST_WRONG')
      throw new MakeError('QUOTE_REFUSED', verdict.error.message);
  }
  throw new MakeError('QUOTE_UNSTABLE', `the PCRs changed during each of ${TRIES_MAX} quotes`);
}
