import { fromHex, toUtf8 } from '@nemea/core';
import { Quote } from '@nemea/tpm/commands';
import { hexHandle, makePersistent, type SharedTpm, startSharedTpm } from '@nemea/tpm/interop/testing';
import { encodeSignature, TEMPLATES } from '@nemea/tpm/structures';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parsePcrFile, parseSelection, readQuote, verifyQuote } from '../quote/index.ts';

const NONCE = '0badcafe00000001';
const EK = 0x81010001;
const FIRST_AK = 0x81010010;
const ONE_BANK = 'sha256:0,1,2,3,4,5,6,7,8,14,16';
const THREE_BANKS = 'sha1:0,3+sha256:0,16+sha384:5,6,7,8,9,10,11,12,13,16';

let shared: SharedTpm;

beforeAll(async () => {
  shared = await startSharedTpm();
  await shared.tool('pcrextend', `16:sha256=${'ab'.repeat(32)},sha384=${'cd'.repeat(48)}`);
  await shared.tool('createek', '-c', hexHandle(EK), '-G', 'ecc');
});

afterAll(() => shared.stop());

/** A quote by the tools in the files `attest`, `signature` and `pcrs`. */
async function quoteByTool(ak: number, pcrs: string, ...more: string[]): Promise<void> {
  const files = ['-m', 'attest', '-s', 'signature', '-o', 'pcrs'];
  await shared.tool('quote', '-c', hexHandle(ak), '-l', pcrs, '-q', NONCE, ...files, ...more);
}

/** What `nemea quote verify` does with those files. */
async function verify(pcrs: string, key: string | Uint8Array, nonce = NONCE) {
  const attest = await shared.read('attest');
  const quote = readQuote(attest);
  if ('code' in quote) throw new Error(quote.message);
  return verifyQuote({
    attest,
    signature: await shared.read('signature'),
    key,
    nonce: fromHex(nonce),
    selection: parseSelection(pcrs),
    pcrs: parsePcrFile(await shared.read('pcrs'), quote.pcrSelections),
  });
}

/** A quote by this client in the same files. */
async function quoteByClient(ak: number, pcrs: string): Promise<void> {
  const parameters = { qualifyingData: fromHex(NONCE), PCRselect: parseSelection(pcrs) };
  const { quoted, signature } = await shared.client((tpm) =>
    tpm.run(Quote, { handles: { signHandle: ak }, parameters }),
  );
  await shared.write('attest', quoted);
  await shared.write('signature', encodeSignature(signature));
  await shared.tool('pcrread', pcrs, '-o', 'pcrs', '-F', 'serialized');
}

const checkByTool = (key: string, hash: string, nonce = NONCE): Promise<string> =>
  shared.tool(
    'checkquote',
    '-u',
    key,
    '-m',
    'attest',
    '-s',
    'signature',
    '-f',
    'pcrs',
    '-g',
    hash,
    '-q',
    nonce,
  );

const KEYS = [
  { kind: 'RSA-2048 RSASSA SHA-256', type: 'rsa', scheme: 'rsassa', hash: 'sha256' },
  { kind: 'RSA-2048 RSASSA SHA-384', type: 'rsa', scheme: 'rsassa', hash: 'sha384' },
  { kind: 'RSA-2048 RSAPSS SHA-256', type: 'rsa', scheme: 'rsapss', hash: 'sha256' },
  { kind: 'RSA-2048 RSAPSS SHA-384', type: 'rsa', scheme: 'rsapss', hash: 'sha384' },
  { kind: 'ECC P-256 SHA-256', type: 'ecc', scheme: 'ecdsa', hash: 'sha256' },
  { kind: 'ECC P-384 SHA-384', type: 'ecc384', scheme: 'ecdsa', hash: 'sha384' },
  { kind: 'ECC P-521 SHA-512', type: 'ecc521', scheme: 'ecdsa', hash: 'sha512' },
].map((key, i) => ({ ...key, ak: FIRST_AK + i }));

describe.each(KEYS)('quotes by $kind', ({ type, scheme, hash, ak }) => {
  beforeAll(async () => {
    const key = ['-G', type, '-s', scheme, '-g', hash];
    await shared.tool('createak', '-C', hexHandle(EK), '-c', 'ak', ...key);
    await shared.tool('evictcontrol', '-C', 'o', '-c', 'ak', hexHandle(ak));
    await shared.tool('readpublic', '-c', hexHandle(ak), '-f', 'pem', '-o', 'ak.pem');
    await shared.tool('readpublic', '-c', hexHandle(ak), '-f', 'tpmt', '-o', 'ak.pub');
  });

  describe.each([
    { of: 'one bank', pcrs: ONE_BANK },
    { of: 'three banks', pcrs: THREE_BANKS },
  ])('of $of:', ({ pcrs }) => {
    test('one of tpm2_quote is verified by verifyQuote', async () => {
      await quoteByTool(ak, pcrs, '-g', hash, '--scheme', scheme);
      for (const key of [await shared.read('ak.pub'), toUtf8(await shared.read('ak.pem'))]) {
        expect(await verify(pcrs, key)).toMatchObject({ ok: true, quote: { signature: { scheme } } });
        expect(await verify(pcrs, key, 'ff')).toMatchObject({ error: { code: 'QUALIFYING_DATA_WRONG' } });
      }
    });

    // tpm2_checkquote checks RSAPSS from 5.6 on only (tpm2-tools #3283); the TPM itself does it too.
    const checker = scheme === 'rsapss' ? 'tpm2_verifysignature' : 'tpm2_checkquote';
    test(`one of Quote is accepted by ${checker}`, async () => {
      await quoteByClient(ak, pcrs);
      if (scheme === 'rsapss') {
        const statement = ['-m', 'attest', '-s', 'signature', '-g', hash];
        await shared.tool('verifysignature', '-c', hexHandle(ak), ...statement);
      } else {
        await checkByTool('ak.pem', hash);
        await expect(checkByTool('ak.pem', hash, 'ff')).rejects.toThrow('nonce');
      }
    });
  });
});

describe('quotes by a key of createPrimary:', () => {
  const ak = 0x81010020;

  test('one of tpm2_quote is verified by verifyQuote, with PCR values in either form', async () => {
    const { publicArea } = await shared.client((tpm) =>
      makePersistent(tpm, { hierarchy: 'endorsement', template: TEMPLATES.ak }, ak),
    );
    for (const form of ['serialized', 'values']) {
      await quoteByTool(ak, THREE_BANKS, '-F', form);
      expect(await verify(THREE_BANKS, publicArea)).toMatchObject({ ok: true });
    }
  });

  test('one of Tpm.quote is accepted by tpm2_checkquote, and refused when a PCR was extended since', async () => {
    const pcrs = 'sha256:0,7,14,16';
    await shared.client(async (tpm) => {
      const key = await tpm.readPublic(ak);
      const request = { qualifyingData: fromHex(NONCE), pcrs: [0, 7, 14, 16] };
      const { attest, signature } = await tpm.quote(key, request);
      await shared.write('attest', attest);
      await shared.write('signature', signature);
    });
    await shared.tool('readpublic', '-c', hexHandle(ak), '-f', 'pem', '-o', 'ak.pem');
    await shared.tool('pcrread', pcrs, '-o', 'pcrs', '-F', 'serialized');
    await checkByTool('ak.pem', 'sha256');
    await shared.tool('pcrextend', `16:sha256=${'ef'.repeat(32)}`);
    await shared.tool('pcrread', pcrs, '-o', 'pcrs', '-F', 'serialized');
    await expect(checkByTool('ak.pem', 'sha256')).rejects.toThrow('pcr');
    const { publicArea } = await shared.client((tpm) => tpm.readPublic(ak));
    expect(await verify(pcrs, publicArea)).toMatchObject({ error: { code: 'PCR_DIGEST_WRONG' } });
  });
});
