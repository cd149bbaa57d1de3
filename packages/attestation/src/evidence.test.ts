import { type CborValue, decodeCbor, encodeCbor, fromUtf8, sha256, toHex } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { AttestationError } from './errors.ts';
import {
  EVENTS_MAX,
  type Evidence,
  encodeEvidence,
  eventDigest,
  parseEvidence,
  qualifyingData,
} from './evidence.ts';
import { findRun, type RunOpening, runCommitment } from './run-commitment.ts';
import { appraisalOf, EXPECTED, RELEASE, RUN } from './testing.ts';

const honest = appraisalOf().evidence;
const fields = decodeCbor(encodeEvidence(honest)) as Record<string, CborValue>;

function codeOf(bytes: Uint8Array): string {
  try {
    parseEvidence(bytes);
  } catch (error) {
    if (error instanceof AttestationError) return error.code;
    throw error;
  }
  return 'OK';
}

test('evidence survives its encoding', () => {
  expect(parseEvidence(encodeEvidence(honest))).toEqual(honest);
});

describe('evidence is refused [ATT-1]', () => {
  const event = { ...RELEASE };
  const rows: readonly (readonly [string, Record<string, CborValue>])[] = [
    ['with a key too many', { extra: 1 }],
    ['of another version', { version: 1 }],
    ['without a quote', { attest: new Uint8Array(0) }],
    ['with a quote too long', { attest: new Uint8Array(1025) }],
    ['with a quote that is text', { attest: 'quote' }],
    ['without PCR values', { pcrs: [] }],
    ['with PCR values out of order', { pcrs: [...honest.pcrs].reverse() }],
    ['with a PCR value twice', { pcrs: [...honest.pcrs.slice(0, 1), ...honest.pcrs] }],
    ['with a PCR value of 20 bytes', { pcrs: [{ pcr: 0, value: new Uint8Array(20) }] }],
    ['with PCR 24', { pcrs: [{ pcr: 24, value: new Uint8Array(32) }] }],
    ['with an event in another PCR', { log: [{ ...event, pcr: 13 }] }],
    ['with an event of an unknown kind', { log: [{ ...event, kind: 'code' }] }],
    ['with an event digest of 31 bytes', { log: [{ ...event, digest: new Uint8Array(31) }] }],
    ['with a name of 129 bytes', { log: [{ ...event, name: 'ä'.repeat(65) }] }],
    ['with a control character in a name', { log: [{ ...event, name: 'nemea\n0.1' }] }],
    ['with too many events', { log: new Array<CborValue>(EVENTS_MAX + 1).fill(event) }],
    ['with a binding of 31 bytes', { binding: new Uint8Array(31) }],
  ];
  test.each(rows)('%s', (_, change) => {
    expect(codeOf(encodeCbor({ ...fields, ...change }))).toBe('EVIDENCE_INVALID');
  });

  test('when a key is missing', () => {
    for (const key of Object.keys(fields)) {
      const { [key]: _, ...rest } = fields;
      expect(codeOf(encodeCbor(rest)), key).toBe('EVIDENCE_INVALID');
    }
  });

  test('when it is no document, or longer than allowed', () => {
    expect(codeOf(new Uint8Array(0))).toBe('EVIDENCE_INVALID');
    expect(codeOf(encodeCbor([]))).toBe('EVIDENCE_INVALID');
    expect(codeOf(new Uint8Array((1 << 20) + 1))).toBe('EVIDENCE_INVALID');
  });

  test('with a field of another type', () => {
    for (const key of Object.keys(fields)) {
      for (const wrong of [-1, 'x\u0000', true, [1], new Uint8Array(0), {}, null]) {
        expect(codeOf(encodeCbor({ ...fields, [key]: wrong })), key).toBe('EVIDENCE_INVALID');
      }
    }
  });

  test('before it is encoded, too', () => {
    const wrong: Evidence = { ...honest, binding: new Uint8Array(1) };
    expect(() => encodeEvidence(wrong)).toThrow(AttestationError);
  });
});

test('the error names the field that is wrong', () => {
  const log = [RELEASE, { ...RELEASE, digest: new Uint8Array(1) }];
  expect(() => encodeEvidence({ ...honest, log })).toThrow('evidence: log.1.digest: want 32 bytes');
});

test('an event digest tells kind, digest and name apart', () => {
  const digests = [
    RELEASE,
    { ...RELEASE, kind: 'image' as const },
    { ...RELEASE, name: '' },
    { ...RELEASE, digest: sha256(RELEASE.digest) },
  ].map((event) => toHex(eventDigest(event)));
  expect(new Set(digests).size).toBe(4);
});

test('a remembered event digest cannot be changed by who got it', () => {
  eventDigest(RUN).fill(0);
  expect(eventDigest(RUN)).not.toEqual(new Uint8Array(32));
});

test('qualifying data takes three values of 32 bytes and depends on each', () => {
  const other = new Uint8Array(32);
  const all = [
    qualifyingData(EXPECTED),
    qualifyingData({ ...EXPECTED, networkId: other }),
    qualifyingData({ ...EXPECTED, challenge: other }),
    qualifyingData({ ...EXPECTED, binding: other }),
  ];
  expect(new Set(all.map(toHex)).size).toBe(4);
  expect(() => qualifyingData({ ...EXPECTED, challenge: new Uint8Array(20) })).toThrow(
    'challenge: got 20 bytes',
  );
});

describe('a run commitment', () => {
  const opening: RunOpening = {
    taskId: sha256(fromUtf8('task')),
    codeDigest: sha256(fromUtf8('code')),
    imageDigest: sha256(fromUtf8('image')),
    salt: sha256(fromUtf8('salt')),
  };
  const run = { ...RUN, digest: runCommitment(opening) };

  test('is found by its opening, the latest one first', () => {
    expect(findRun([RELEASE, run, RUN, run], opening)).toBe(3);
  });

  test('is not found by another opening, nor as another kind of event', () => {
    expect(findRun([RELEASE, RUN], opening)).toBeNull();
    expect(findRun([{ ...run, kind: 'image' }], opening)).toBeNull();
    for (const part of Object.keys(opening)) {
      expect(findRun([run], { ...opening, [part]: new Uint8Array(32) }), part).toBeNull();
    }
  });
});
