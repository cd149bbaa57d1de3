import { type QuoteToVerify, verifyQuote } from '@nemea/attestation/quote';
import { softwareAk } from '@nemea/attestation/testing';
import { ALG } from '@nemea/tpm/structures';
import { cuts, flipped, flips, longer, spliced } from './bytes.ts';
import { IDENTITY, recordedAttestation } from './recorded.ts';
import { type Row, rowsOf, type Tampering } from './row.ts';

/** Where the fields of the recorded TPMS_ATTEST are: 34 bytes of signer, 32 of nonce, one bank (Part 2, 10.12.12). */
const AT = {
  magic: [0, 4],
  type: [4, 6],
  signerSize: [6, 8],
  signer: [8, 42],
  extraSize: [42, 44],
  extraData: [44, 76],
  clock: [76, 84],
  resetCount: [84, 88],
  restartCount: [88, 92],
  safe: [92, 93],
  firmwareVersion: [93, 101],
  bankCount: [101, 105],
  bank: [105, 107],
  bitmapSize: [107, 108],
  bitmap: [108, 111],
  digestSize: [111, 113],
  digest: [113, 145],
} as const;

export function codeOfQuote(quote: QuoteToVerify): string {
  const verdict = verifyQuote(quote);
  return verdict.ok ? 'OK' : verdict.error.code;
}

/** What a TPM quoted and signed, held against all that the verifier knows. */
export function recordedQuote(): QuoteToVerify {
  const { attest, signature, qualifyingData, pcrs } = recordedAttestation('quote');
  return {
    attest,
    signature,
    key: IDENTITY.akPublic,
    nonce: qualifyingData,
    pcrs,
    selection: [{ hashAlg: ALG.sha256, pcrs: [0, 7, 14] }],
    requireSafeClock: true,
  };
}

type QuoteTampering = Tampering<QuoteToVerify>;

/** Each bit of a field, one after another; `from` leaves out bits that another row has. */
function eachBit(field: keyof typeof AT, expected: string, rule = 'QUO-1'): QuoteTampering {
  const [start, end] = AT[field];
  return [
    `with any bit of its ${NAMES[field] ?? field} flipped`,
    expected,
    rule,
    (it) => flips(it.attest, start, end).map((attest) => ({ ...it, attest })),
  ];
}

const NAMES: Partial<Record<keyof typeof AT, string>> = {
  signer: 'qualifiedSigner',
  bank: 'PCR bank',
  bitmap: 'PCR selection',
  digest: 'PCR digest',
};

const withAttest =
  (change: (attest: Uint8Array) => Uint8Array) =>
  (it: QuoteToVerify): QuoteToVerify => ({ ...it, attest: change(it.attest) });

const received: readonly QuoteTampering[] = [
  eachBit('magic', 'ATTEST_MAGIC_WRONG'),
  eachBit('type', 'ATTEST_TYPE_WRONG'),
  [
    'with a qualifiedSigner that is said to be longer than any name',
    'ATTEST_MALFORMED',
    'QUO-1',
    withAttest((it) => it.with(AT.signerSize[0], 0xff)),
  ],
  eachBit('signer', 'SIGNATURE_WRONG'),
  [
    'with an extraData that is said to be longer than it can be',
    'ATTEST_MALFORMED',
    'QUO-1',
    withAttest((it) => it.with(AT.extraSize[1] - 1, 67)),
  ],
  eachBit('extraData', 'SIGNATURE_WRONG'),
  eachBit('clock', 'SIGNATURE_WRONG'),
  eachBit('resetCount', 'SIGNATURE_WRONG'),
  eachBit('restartCount', 'SIGNATURE_WRONG'),
  ['with its safe flag flipped', 'SIGNATURE_WRONG', 'QUO-1', withAttest((it) => flipped(it, AT.safe[0]))],
  [
    'with a safe flag that is no boolean',
    'ATTEST_MALFORMED',
    'QUO-1',
    (it) =>
      flips(it.attest, ...AT.safe)
        .slice(1)
        .map((attest) => ({ ...it, attest })),
  ],
  eachBit('firmwareVersion', 'SIGNATURE_WRONG'),
  [
    'with a count of banks that is too large',
    'ATTEST_MALFORMED',
    'QUO-1',
    (it) =>
      flips(it.attest, ...AT.bankCount)
        .filter((attest) => attest[AT.bankCount[1] - 1] !== 0)
        .map((attest) => ({ ...it, attest })),
  ],
  [
    'with a count of banks that is zero',
    'ATTEST_TRAILING',
    'QUO-1',
    withAttest((it) => it.with(AT.bankCount[1] - 1, 0)),
  ],
  eachBit('bank', 'SIGNATURE_WRONG'),
  [
    'with a PCR bitmap that is said to be a byte shorter',
    'ATTEST_TRAILING',
    'QUO-1',
    withAttest((it) => it.with(AT.bitmapSize[0], 2)),
  ],
  [
    'with a PCR bitmap that is said to be of any other size',
    'ATTEST_MALFORMED',
    'QUO-1',
    (it) => [0, 1, 4, 5, 255].map((size) => ({ ...it, attest: it.attest.with(AT.bitmapSize[0], size) })),
  ],
  eachBit('bitmap', 'SIGNATURE_WRONG'),
  [
    'with a PCR digest that is said to be longer',
    'ATTEST_MALFORMED',
    'QUO-1',
    withAttest((it) => it.with(AT.digestSize[1] - 1, 33)),
  ],
  [
    'with a PCR digest that is said to be shorter',
    'ATTEST_TRAILING',
    'QUO-1',
    withAttest((it) => it.with(AT.digestSize[1] - 1, 31)),
  ],
  eachBit('digest', 'SIGNATURE_WRONG'),
  [
    'cut at every byte',
    'ATTEST_MALFORMED',
    'QUO-1',
    (it) => cuts(it.attest).map((attest) => ({ ...it, attest })),
  ],
  ['with a byte after its end', 'ATTEST_TRAILING', 'QUO-1', withAttest(longer)],
  [
    'with a byte left out in its middle',
    'ATTEST_MALFORMED',
    'QUO-1',
    withAttest((it) => spliced(it, AT.clock[0], 1)),
  ],
  [
    'that is a GetTime by the same key',
    'ATTEST_TYPE_WRONG',
    'QUO-1',
    (it) => ({ ...it, ...signedBytes('get-time') }),
  ],
  [
    'that is a Certify by the same key',
    'ATTEST_TYPE_WRONG',
    'QUO-1',
    (it) => ({ ...it, ...signedBytes('certify') }),
  ],
  [
    'for another nonce',
    'QUALIFYING_DATA_WRONG',
    'QUO-1',
    (it) => flips(it.nonce, 0, it.nonce.length).map((nonce) => ({ ...it, nonce })),
  ],
  [
    'for a nonce that only begins alike',
    'QUALIFYING_DATA_WRONG',
    'QUO-1',
    (it) => [it.nonce.slice(0, -1), longer(it.nonce)].map((nonce) => ({ ...it, nonce })),
  ],
  ['for no nonce', 'QUALIFYING_DATA_WRONG', 'QUO-1', (it) => ({ ...it, nonce: new Uint8Array(0) })],
  [
    'by another attestation key',
    'SIGNATURE_WRONG',
    'QUO-1',
    (it) => ({ ...it, key: softwareAk('another TPM').akPublic }),
  ],
  [
    'of other PCRs than were asked for',
    'PCR_SELECTION_WRONG',
    'QUO-6',
    (it) =>
      [[0, 7], [0, 7, 14, 15], []].map((pcrs) => ({ ...it, selection: [{ hashAlg: ALG.sha256, pcrs }] })),
  ],
  [
    'of another bank than was asked for',
    'PCR_SELECTION_WRONG',
    'QUO-6',
    (it) => ({ ...it, selection: [{ hashAlg: ALG.sha384, pcrs: [0, 7, 14] }] }),
  ],
  [
    'with any bit of a PCR value flipped',
    'PCR_DIGEST_WRONG',
    'QUO-6',
    (it) => withValues(it, (value) => flips(value, 0, value.length)),
  ],
  [
    'with a PCR value that is cut',
    'PCR_LIST_WRONG',
    'QUO-6',
    (it) => withValues(it, (value) => [value.slice(1)]),
  ],
  [
    'with a PCR value left out',
    'PCR_LIST_WRONG',
    'QUO-6',
    (it) => ({ ...it, pcrs: (it.pcrs ?? []).slice(1) }),
  ],
  [
    'with a PCR value twice',
    'PCR_LIST_WRONG',
    'QUO-6',
    (it) => ({ ...it, pcrs: [...(it.pcrs ?? []), ...(it.pcrs ?? []).slice(0, 1)] }),
  ],
  [
    'with the value of a PCR that was not quoted',
    'PCR_LIST_WRONG',
    'QUO-6',
    (it) => ({ ...it, pcrs: [...(it.pcrs ?? []), { bank: 'sha256', pcr: 8, value: new Uint8Array(32) }] }),
  ],
  [
    'with its PCR values in another bank',
    'PCR_LIST_WRONG',
    'QUO-6',
    (it) => ({ ...it, pcrs: (it.pcrs ?? []).map((pcr) => ({ ...pcr, bank: 'sha3_256' as const })) }),
  ],
];

function signedBytes(name: 'get-time' | 'certify') {
  const { attest, signature } = recordedAttestation(name);
  return { attest, signature };
}

function withValues(it: QuoteToVerify, change: (value: Uint8Array) => Uint8Array[]): QuoteToVerify[] {
  const pcrs = it.pcrs ?? [];
  return pcrs.flatMap((entry, i) =>
    change(entry.value).map((value) => ({ ...it, pcrs: pcrs.with(i, { ...entry, value }) })),
  );
}

export const quoteRows: readonly Row[] = rowsOf(
  { artefact: 'a quote', by: 'verifyQuote', honest: recordedQuote, judge: codeOfQuote },
  received,
);
