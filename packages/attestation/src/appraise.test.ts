import { fromHex, fromUtf8, sha256 } from '@nemea/core';
import { encodePcrSelection } from '@nemea/tpm/structures';
import { describe, expect, test } from 'vitest';
import { appraise } from './appraise.ts';
import { type Evidence, QUOTED_PCRS, qualifyingData } from './evidence.ts';
import { LEVEL } from './level.ts';
import { CLAIM_NAMES, type ClaimName, type ClaimReason, encodeResult, failedClaims } from './result.ts';
import {
  appraisalOf,
  type Deviation,
  EXPECTED,
  encodeSignature,
  IMAGE,
  NODE_POLICY,
  RELEASE,
  RUN,
  softwareAk,
} from './testing.ts';

const other = sha256(fromUtf8('other'));
const ORDER = fromHex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
const without = (pcr: number): Uint8Array => encodePcrSelection(QUOTED_PCRS.filter((it) => it !== pcr));
const sha1Bank = fromHex('00000001000403ff4000');
const twoBanks = fromHex('00000002000b03ff4000000403ff4000');
const vrfTemplate = fromHex('0023000b0004047200000010001a000b00000003001000200000');

function changed(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

function negated(signature: Uint8Array): Uint8Array {
  const hex = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  const s = (hex(ORDER) - hex(signature.slice(40))).toString(16).padStart(64, '0');
  return encodeSignature(signature.slice(6, 38), fromHex(s));
}

function signed(r: Uint8Array, s: Uint8Array): Deviation {
  return { evidence: () => ({ signature: encodeSignature(r, s) }) };
}

describe('appraise affirms', () => {
  test('honest evidence, with a claim for every step, in order [ATT-4]', () => {
    const result = appraise(appraisalOf());
    expect(result.verdict).toBe('affirming');
    expect(result.authentic).toBe(true);
    expect(result.claims.map(({ name }) => name)).toEqual([...CLAIM_NAMES]);
    expect(result.claims.every(({ reason }) => reason === 'OK' || reason === 'NOT_DEMANDED')).toBe(true);
    expect(result.release).toEqual(RELEASE.digest);
    expect(result.clock).toMatchObject({ clock: 1000n, resetCount: 5, restartCount: 1, safe: true });
    expect(result.quoteDigest).toEqual(sha256(appraisalOf().evidence.attest));
  });

  const fine: readonly (readonly [string, Deviation])[] = [
    [
      'a signature with the other s: TPMs give high and low',
      { evidence: (it) => ({ signature: negated(it.signature) }) },
    ],
    ['a log without images and runs', { log: [RELEASE] }],
    ['a second start of an approved release', { log: [RELEASE, IMAGE, RELEASE, RUN] }],
    [
      'the same clock as recorded',
      { appraisal: { clockBefore: { clock: 1000n, resetCount: 5, restartCount: 1 } } },
    ],
    [
      'an earlier clock after a reset',
      { appraisal: { clockBefore: { clock: 5000n, resetCount: 4, restartCount: 9 } } },
    ],
    ['an answer just in time', { appraisal: { expected: { ...EXPECTED, deadlineMs: 10_000 } } }],
    [
      'a level above the least',
      {
        appraisal: {
          endorsements: { akPublic: softwareAk('ak').akPublic, level: LEVEL.hardware },
          policy: { ...NODE_POLICY, levelMin: LEVEL.vouched },
        },
      },
    ],
  ];
  test.each(fine)('%s', (_, deviation) => {
    const result = appraise(appraisalOf(deviation));
    expect(failedClaims(result)).toEqual([]);
    expect(result.verdict).toBe('affirming');
  });
});

test('a clock that may repeat is a warning, because a power loss is no fault [ATT-7]', () => {
  const result = appraise(appraisalOf({ quote: { safe: 0 } }));
  expect(result.verdict).toBe('warning');
  expect(failedClaims(result).map(({ reason }) => reason)).toEqual(['CLOCK_UNSAFE']);
});

type Row = readonly [title: string, claim: ClaimName, reason: ClaimReason, deviation: Deviation];

const refused: readonly Row[] = [
  [
    'an attestation key of another TPM',
    'signature',
    'SIGNATURE_WRONG',
    { appraisal: { endorsements: { akPublic: softwareAk('other').akPublic, level: 1 } } },
  ],
  [
    'an attestation key that is not TPM-made',
    'attestation-key',
    'AK_PUBLIC_INVALID',
    { appraisal: { endorsements: { akPublic: changed(softwareAk('ak').akPublic, 7), level: 1 } } },
  ],
  [
    'an unrestricted attestation key',
    'attestation-key',
    'AK_PUBLIC_INVALID',
    { appraisal: { endorsements: { akPublic: changed(softwareAk('ak').akPublic, 5), level: 1 } } },
  ],
  [
    'an attestation key that may decrypt',
    'attestation-key',
    'AK_PUBLIC_INVALID',
    {
      appraisal: {
        endorsements: {
          akPublic: Uint8Array.from(softwareAk('ak').akPublic, (byte, i) => (i === 5 ? byte | 2 : byte)),
          level: 1,
        },
      },
    },
  ],
  [
    'a VRF key as attestation key',
    'attestation-key',
    'AK_PUBLIC_INVALID',
    { appraisal: { endorsements: { akPublic: vrfTemplate, level: 1 } } },
  ],
  [
    'an attestation key of a megabyte',
    'attestation-key',
    'AK_PUBLIC_INVALID',
    { appraisal: { endorsements: { akPublic: new Uint8Array(1 << 20), level: 1 } } },
  ],
  [
    'no attestation key',
    'attestation-key',
    'AK_PUBLIC_INVALID',
    { appraisal: { endorsements: { akPublic: new Uint8Array(0), level: 1 } } },
  ],
  [
    'an attestation key off the curve',
    'signature',
    'SIGNATURE_WRONG',
    { appraisal: { endorsements: { akPublic: changed(softwareAk('ak').akPublic, 60), level: 1 } } },
  ],
  ['a signature of zero r', 'signature', 'SIGNATURE_WRONG', signed(new Uint8Array(32), other)],
  ['a signature of zero s', 'signature', 'SIGNATURE_WRONG', signed(other, new Uint8Array(32))],
  ['a signature with r of the group order', 'signature', 'SIGNATURE_WRONG', signed(ORDER, other)],
  [
    'a signature that is cut',
    'signature',
    'SIGNATURE_MALFORMED',
    { evidence: (it) => ({ signature: it.signature.slice(0, -1) }) },
  ],
  [
    'a signature with bytes after it',
    'signature',
    'SIGNATURE_MALFORMED',
    { evidence: (it) => ({ signature: Uint8Array.of(...it.signature, 0) }) },
  ],
  [
    'a signature of an unknown scheme',
    'signature',
    'SIGNATURE_MALFORMED',
    { evidence: () => ({ signature: encodeSignature(other, other, 0x99) }) },
  ],
  [
    'a signature of the ECDAA scheme',
    'signature',
    'SIGNATURE_SCHEME_WRONG',
    { evidence: () => ({ signature: encodeSignature(other, other, 0x1a) }) },
  ],
  [
    'a signature over SHA-384',
    'signature',
    'SIGNATURE_SCHEME_WRONG',
    { evidence: () => ({ signature: encodeSignature(other, other, 0x18, 0x0c) }) },
  ],
  [
    'a statement that was not made in a TPM',
    'attest-structure',
    'ATTEST_MAGIC_WRONG',
    { quote: { magic: 0xff544346 } },
  ],
  [
    'an empty statement, signed',
    'attest-structure',
    'ATTEST_MAGIC_WRONG',
    { evidence: () => ({ attest: new Uint8Array(0), signature: softwareAk('ak').sign(new Uint8Array(0)) }) },
  ],
  ['a statement of an unknown type', 'attest-structure', 'ATTEST_MALFORMED', { quote: { type: 0x8013 } }],
  ['a GetTime in place of a quote', 'attest-structure', 'ATTEST_MALFORMED', { quote: { type: 0x8019 } }],
  [
    'a Certify in place of a quote',
    'attest-structure',
    'ATTEST_TYPE_WRONG',
    {
      quote: {
        type: 0x8017,
        selection: fromHex('0022'),
        pcrDigest: new Uint8Array(0),
        trailing: new Uint8Array(34),
      },
    },
  ],
  [
    'bytes after the quote, signed',
    'attest-structure',
    'ATTEST_MALFORMED',
    { quote: { trailing: Uint8Array.of(0) } },
  ],
  ['a safe flag that is no boolean', 'attest-structure', 'ATTEST_MALFORMED', { quote: { safe: 2 } }],
  [
    'a PCR digest that is cut, signed',
    'attest-structure',
    'ATTEST_MALFORMED',
    { quote: { selection: fromHex('00000001000b03ff40') } },
  ],
  [
    'the nonce of another challenge',
    'qualifying-data',
    'QUALIFYING_DATA_WRONG',
    { quote: { extraData: qualifyingData({ ...EXPECTED, challenge: other }) } },
  ],
  [
    'the quote of another network',
    'qualifying-data',
    'QUALIFYING_DATA_WRONG',
    { quote: { extraData: qualifyingData({ ...EXPECTED, networkId: other }) } },
  ],
  [
    'another binding, quoted',
    'qualifying-data',
    'QUALIFYING_DATA_WRONG',
    {
      quote: { extraData: qualifyingData({ ...EXPECTED, binding: other }) },
      evidence: () => ({ binding: other }),
    },
  ],
  [
    'another binding, only claimed',
    'qualifying-data',
    'QUALIFYING_DATA_WRONG',
    { evidence: () => ({ binding: other }) },
  ],
  [
    'no qualifying data',
    'qualifying-data',
    'QUALIFYING_DATA_WRONG',
    { quote: { extraData: new Uint8Array(0) } },
  ],
  [
    'a reset count below the record',
    'clock',
    'CLOCK_RESET_COUNT_DECREASED',
    { appraisal: { clockBefore: { clock: 1n, resetCount: 6, restartCount: 0 } } },
  ],
  [
    'a restart count below the record',
    'clock',
    'CLOCK_RESTART_COUNT_DECREASED',
    { appraisal: { clockBefore: { clock: 1n, resetCount: 5, restartCount: 2 } } },
  ],
  [
    'a clock that went backwards',
    'clock',
    'CLOCK_BACKWARDS',
    { appraisal: { clockBefore: { clock: 1001n, resetCount: 5, restartCount: 1 } } },
  ],
  ['a selection without PCR 0', 'pcr-selection', 'PCR_SELECTION_WRONG', { quote: { selection: without(0) } }],
  [
    'a selection without PCR 14',
    'pcr-selection',
    'PCR_SELECTION_WRONG',
    { quote: { selection: without(14) } },
  ],
  [
    'a selection with PCR 16 besides',
    'pcr-selection',
    'PCR_SELECTION_WRONG',
    { quote: { selection: encodePcrSelection([...QUOTED_PCRS, 16]) } },
  ],
  [
    'a selection of the SHA-1 bank',
    'pcr-selection',
    'PCR_SELECTION_WRONG',
    { quote: { selection: sha1Bank } },
  ],
  ['a selection of two banks', 'pcr-selection', 'PCR_SELECTION_WRONG', { quote: { selection: twoBanks } }],
  [
    'an empty selection',
    'pcr-selection',
    'PCR_SELECTION_WRONG',
    { quote: { selection: fromHex('00000000') } },
  ],
  [
    'a PCR value that was changed',
    'pcr-digest',
    'PCR_DIGEST_WRONG',
    {
      evidence: (it) => ({
        pcrs: it.pcrs.map((entry) => (entry.pcr === 14 ? { ...entry, value: other } : entry)),
      }),
    },
  ],
  [
    'a PCR value that is missing',
    'pcr-digest',
    'PCR_LIST_WRONG',
    { evidence: (it) => ({ pcrs: it.pcrs.slice(1) }) },
  ],
  [
    'PCR values under other numbers',
    'pcr-digest',
    'PCR_LIST_WRONG',
    {
      evidence: (it) => ({
        pcrs: it.pcrs.map((entry) => (entry.pcr === 14 ? { ...entry, pcr: 15 } : entry)),
      }),
    },
  ],
  ['a quoted digest of other values', 'pcr-digest', 'PCR_DIGEST_WRONG', { quote: { pcrDigest: other } }],
  [
    'a log with an event left out',
    'measured-log',
    'MEASURED_LOG_REPLAY_WRONG',
    { evidence: () => ({ log: [RELEASE, RUN] }) },
  ],
  [
    'a log with events in another order',
    'measured-log',
    'MEASURED_LOG_REPLAY_WRONG',
    { evidence: () => ({ log: [RELEASE, RUN, IMAGE] }) },
  ],
  [
    'a log with another digest',
    'measured-log',
    'MEASURED_LOG_REPLAY_WRONG',
    { evidence: () => ({ log: [{ ...RELEASE, digest: other }, IMAGE, RUN] }) },
  ],
  [
    'a log with another name',
    'measured-log',
    'MEASURED_LOG_REPLAY_WRONG',
    { evidence: () => ({ log: [{ ...RELEASE, name: 'nemea 0.1.1' }, IMAGE, RUN] }) },
  ],
  [
    'a log with another kind',
    'measured-log',
    'MEASURED_LOG_REPLAY_WRONG',
    { evidence: () => ({ log: [RELEASE, { ...IMAGE, kind: 'run' }, RUN] }) },
  ],
  ['no log', 'measured-log', 'MEASURED_LOG_REPLAY_WRONG', { evidence: () => ({ log: [] }) }],
  ['a measured boot that nothing explains', 'firmware', 'FIRMWARE_NO_EVENT_LOG', { firmware: other }],
  [
    'a release that is not approved',
    'release',
    'RELEASE_NOT_APPROVED',
    { log: [{ ...RELEASE, digest: other }] },
  ],
  [
    'a changed release loaded after the approved one',
    'release',
    'RELEASE_NOT_APPROVED',
    { log: [RELEASE, { ...RELEASE, digest: other }] },
  ],
  [
    'a changed release before the approved one',
    'release',
    'RELEASE_NOT_APPROVED',
    { log: [{ ...RELEASE, digest: other }, RELEASE] },
  ],
  ['something loaded before the release', 'release', 'RELEASE_NOT_FIRST', { log: [IMAGE, RELEASE] }],
  ['no release, honestly logged', 'release', 'RELEASE_MISSING', { log: [] }],
  [
    'an image that is not approved',
    'images',
    'IMAGE_NOT_APPROVED',
    { log: [RELEASE, IMAGE, { ...IMAGE, digest: other }] },
  ],
  [
    'an image with the digest of a release',
    'images',
    'IMAGE_NOT_APPROVED',
    { log: [RELEASE, { ...IMAGE, digest: RELEASE.digest }] },
  ],
  [
    'an answer after the deadline',
    'freshness',
    'EVIDENCE_STALE',
    { appraisal: { expected: { ...EXPECTED, deadlineMs: 9_999 } } },
  ],
  [
    'a level below the least',
    'level',
    'LEVEL_TOO_LOW',
    { appraisal: { policy: { ...NODE_POLICY, levelMin: LEVEL.hardware } } },
  ],
];

describe('appraise refuses [ATT-2] [ATT-6]', () => {
  test.each(refused)('%s', (_, claim, reason, deviation) => {
    const result = appraise(appraisalOf(deviation));
    expect(result.verdict).toBe('contraindicated');
    expect(failedClaims(result).map((it) => [it.name, it.reason])).toEqual([[claim, reason]]);
  });

  test('every flipped bit of the quote, by the signature', () => {
    const { attest } = appraisalOf().evidence;
    for (let bit = 0; bit < attest.length * 8; bit++) {
      const flipped = attest.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const result = appraise(appraisalOf({ evidence: () => ({ attest: flipped }) }));
      expect(result.verdict, `bit ${bit}`).toBe('contraindicated');
      expect(result.authentic).toBe(false);
      expect(result.clock).toBeNull();
    }
  });

  test('every flipped bit of the signature', () => {
    const { signature } = appraisalOf().evidence;
    for (let bit = 0; bit < signature.length * 8; bit++) {
      const flipped = signature.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const result = appraise(appraisalOf({ evidence: () => ({ signature: flipped }) }));
      expect(result.verdict, `bit ${bit}`).toBe('contraindicated');
    }
  });
});

describe('appraise believes nothing that is not authentic', () => {
  test('after a false signature no later claim about the quote has a verdict', () => {
    const result = appraise(appraisalOf({ evidence: (it) => ({ attest: changed(it.attest, 60) }) }));
    const verdicts = Object.fromEntries(result.claims.map(({ name, verdict }) => [name, verdict]));
    expect(verdicts).toMatchObject({
      signature: 'contraindicated',
      clock: 'none',
      release: 'none',
      images: 'none',
    });
  });

  test('after PCR values that were not quoted, the log has no verdict', () => {
    const forged = (it: Evidence) => ({ pcrs: it.pcrs.map((entry) => ({ ...entry, value: other })) });
    const result = appraise(appraisalOf({ evidence: forged }));
    expect(result.claims.find(({ name }) => name === 'measured-log')?.verdict).toBe('none');
    expect(result.release).toBeNull();
  });

  test('what a messenger may have changed is no proof against the node', () => {
    const tampered = appraise(appraisalOf({ evidence: () => ({ log: [{ ...RELEASE, digest: other }] }) }));
    expect(tampered).toMatchObject({ verdict: 'contraindicated', authentic: false });
    const faulty = appraise(appraisalOf({ log: [{ ...RELEASE, digest: other }] }));
    expect(faulty).toMatchObject({ verdict: 'contraindicated', authentic: true });
  });
});

test('several faults are all reported', () => {
  const result = appraise(
    appraisalOf({
      log: [RELEASE, { ...RELEASE, digest: other }, { ...IMAGE, digest: other }],
      firmware: other,
      quote: { extraData: other },
    }),
  );
  expect(failedClaims(result).map(({ name }) => name)).toEqual([
    'qualifying-data',
    'firmware',
    'release',
    'images',
  ]);
});

test('every result, good or bad, has canonical bytes [ATT-5]', () => {
  for (const [, , , deviation] of refused)
    expect(encodeResult(appraise(appraisalOf(deviation))).length).toBeGreaterThan(0);
});

test('a verifier that forgot its nonce is told so: an empty one is in every quote made for nobody', () => {
  const nonce = new Uint8Array(0);
  for (const expected of [{ nonce }, { epochs: [nonce] }]) {
    expect(() => appraise(appraisalOf({ quote: { extraData: nonce }, appraisal: { expected } }))).toThrow(
      /not empty/,
    );
  }
});

test('the name of a measured release cannot turn the text around it', () => {
  const named = { ...RELEASE, digest: other, name: 'nemea \u202e0.1.0' };
  const { claims } = appraise(appraisalOf({ log: [named] }));
  expect(claims.find(({ reason }) => reason === 'RELEASE_NOT_APPROVED')?.detail).toMatch(/u\{202e\}/);
});
