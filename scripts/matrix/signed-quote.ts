import type { QuoteToVerify } from '@nemea/attestation/quote';
import { encodeQuote, type QuoteFields, softwareAk } from '@nemea/attestation/testing';
import { concatBytes, fromHex, fromUtf8, sha256 } from '@nemea/core';
import { ALG, encodePcrSelection, pcrDigest } from '@nemea/tpm/structures';
import { codeOfQuote } from './quote.ts';
import { type Row, rowsOf, type Tampering } from './row.ts';

const NONCE = sha256(fromUtf8('nonce'));
const VALUES = [0, 7, 14].map((pcr) => new Uint8Array(32).fill(pcr + 1));
const ak = softwareAk('matrix');

/** A quote by a key of this test, which signs what no TPM would. */
function signedQuote(fields: Partial<QuoteFields> = {}): QuoteToVerify {
  const attest = encodeQuote({
    magic: 0xff544347,
    type: 0x8018,
    extraData: NONCE,
    clock: 5000n,
    resetCount: 7,
    restartCount: 3,
    safe: 1,
    selection: encodePcrSelection([0, 7, 14]),
    pcrDigest: pcrDigest(VALUES),
    trailing: new Uint8Array(0),
    ...fields,
  });
  return {
    attest,
    signature: ak.sign(attest),
    key: ak.akPublic,
    nonce: NONCE,
    pcrs: [0, 7, 14].map((pcr, i) => ({ bank: 'sha256', pcr, value: VALUES[i] as Uint8Array })),
    selection: [{ hashAlg: ALG.sha256, pcrs: [0, 7, 14] }],
    clockBefore: { clock: 5000n, resetCount: 7, restartCount: 3 },
    requireSafeClock: true,
  };
}

const bank = encodePcrSelection([0, 7, 14]).slice(4);
const signed = (fields: Partial<QuoteFields>) => (): QuoteToVerify => signedQuote(fields);

const resigned: readonly Tampering<QuoteToVerify>[] = [
  [
    'with any bit of its magic flipped, signed by the key',
    'ATTEST_MAGIC_WRONG',
    'QUO-1',
    () => Array.from({ length: 32 }, (_, bit) => signedQuote({ magic: (0xff544347 ^ (1 << bit)) >>> 0 })),
  ],
  [
    'of any other type, signed by the key',
    'ATTEST_TYPE_WRONG',
    'QUO-1',
    () =>
      [0x8014, 0x8015, 0x8016, 0x8017, 0x8019, 0x801a, 0x801c, 0, 0xffff].map((type) =>
        signedQuote({ type }),
      ),
  ],
  [
    'with a byte after its end, signed by the key',
    'ATTEST_TRAILING',
    'QUO-1',
    signed({ trailing: Uint8Array.of(0) }),
  ],
  [
    'for another nonce, signed by the key',
    'QUALIFYING_DATA_WRONG',
    'QUO-1',
    signed({ extraData: sha256(NONCE) }),
  ],
  [
    'without a nonce, signed by the key',
    'QUALIFYING_DATA_WRONG',
    'QUO-1',
    signed({ extraData: new Uint8Array(0) }),
  ],
  ['without PCR 0', 'PCR_SELECTION_WRONG', 'QUO-6', signed({ selection: encodePcrSelection([7, 14]) })],
  [
    'with PCR 16 besides, which any program resets',
    'PCR_SELECTION_WRONG',
    'QUO-6',
    signed({ selection: encodePcrSelection([0, 7, 14, 16]) }),
  ],
  [
    'of the SHA-1 bank',
    'PCR_SELECTION_WRONG',
    'QUO-6',
    signed({ selection: concatBytes(fromHex('00000001'), bank.with(1, ALG.sha1)) }),
  ],
  [
    'of the SHA-1 bank besides',
    'PCR_SELECTION_WRONG',
    'QUO-6',
    signed({ selection: concatBytes(fromHex('00000002'), bank, bank.with(1, ALG.sha1)) }),
  ],
  [
    'that names its bank twice',
    'PCR_SELECTION_WRONG',
    'QUO-6',
    signed({ selection: concatBytes(fromHex('00000002'), bank, bank) }),
  ],
  [
    'of an unknown bank',
    'PCR_SELECTION_WRONG',
    'QUO-6',
    signed({ selection: concatBytes(fromHex('00000001'), bank.with(1, 0x99)) }),
  ],
  ['of no PCR', 'PCR_SELECTION_WRONG', 'QUO-6', signed({ selection: fromHex('00000000') })],
  [
    'with the digest of other PCR values',
    'PCR_DIGEST_WRONG',
    'QUO-6',
    signed({ pcrDigest: pcrDigest([...VALUES].reverse()) }),
  ],
  ['with an empty PCR digest', 'PCR_DIGEST_WRONG', 'QUO-6', signed({ pcrDigest: new Uint8Array(0) })],
  [
    'with a resetCount below the record, whatever its clock says',
    'CLOCK_RESET_COUNT_DECREASED',
    'QUO-7',
    signed({ resetCount: 6, clock: 1n << 60n }),
  ],
  [
    'with a restartCount below the record',
    'CLOCK_RESTART_COUNT_DECREASED',
    'QUO-7',
    signed({ restartCount: 2, clock: 1n << 60n }),
  ],
  ['with a clock that went back', 'CLOCK_BACKWARDS', 'QUO-7', signed({ clock: 4999n })],
  ['with a clock that may repeat', 'CLOCK_UNSAFE', 'QUO-7', signed({ safe: 0 })],
  [
    'after one more reset, with clock and restartCount at zero',
    'OK',
    'QUO-7',
    signed({ resetCount: 8, restartCount: 0, clock: 0n }),
  ],
];

export const signedQuoteRows: readonly Row[] = rowsOf(
  { artefact: 'a quote', by: 'verifyQuote', honest: signedQuote, judge: codeOfQuote },
  resigned,
);
