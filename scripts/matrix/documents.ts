import {
  appraise,
  type Cmw,
  EVIDENCE_MEDIA_TYPE,
  encodeClockRegistry,
  encodeResult,
  LEVEL,
  parseClockRegistry,
  parsePolicy,
  parseReferenceValues,
  parseResult,
  unwrapCmw,
  wrapCmw,
} from '@nemea/attestation';
import { appraisalOf } from '@nemea/attestation/testing';
import { type CborValue, concatBytes, decodeCbor, encodeCbor, fromHex } from '@nemea/core';
import { cuts, longer } from './bytes.ts';
import { accepts, type Row, rowsOf, type Tampering } from './row.ts';

type Plain = Readonly<Record<string, unknown>>;
const digest = 'ab'.repeat(32);
const changed =
  (change: Plain) =>
  (it: Plain): Plain => ({ ...it, ...change });

const policies: readonly Tampering<Plain>[] = [
  ['with an unknown field', 'POLICY_INVALID', 'ATT-22', changed({ secureBoot: 'required' })],
  ['with an unknown field inside', 'POLICY_INVALID', 'ATT-22', changed({ firmware: { secureboot: 'any' } })],
  ['with an unknown word', 'POLICY_INVALID', 'ATT-22', changed({ firmware: { secureBoot: 'off' } })],
  ['of another version', 'POLICY_INVALID', 'ATT-22', changed({ version: 2 })],
  ['without a level', 'POLICY_INVALID', 'ATT-22', changed({ levelMin: undefined })],
  [
    'that judges PCR 16 or 23, which any program resets',
    'POLICY_INVALID',
    'ATT-22',
    (it) => [16, 23].map((pcr) => ({ ...it, pcrs: { sha256: [0, 10, 14, pcr] } })),
  ],
  [
    'that judges a register which it does not ask for',
    'POLICY_INVALID',
    'ATT-22',
    changed({ pcrs: { sha256: [10, 14], exact: [7] } }),
  ],
  [
    'with a rule that does not compile',
    'POLICY_INVALID',
    'ATT-22',
    changed({ rules: [{ id: 'rule', expression: 'level >', why: 'why' }] }),
  ],
];

const references: readonly Tampering<Plain>[] = [
  ['with an unknown field', 'REFERENCE_VALUES_INVALID', 'ATT-6', changed({ kernels: [] })],
  ['without releases', 'REFERENCE_VALUES_INVALID', 'ATT-6', changed({ releases: undefined })],
  [
    'with a digest that is cut',
    'REFERENCE_VALUES_INVALID',
    'ATT-6',
    changed({ releases: [digest.slice(2)] }),
  ],
  [
    'with a digest in capitals',
    'REFERENCE_VALUES_INVALID',
    'ATT-6',
    changed({ images: [digest.toUpperCase()] }),
  ],
  [
    'with a component without digest',
    'REFERENCE_VALUES_INVALID',
    'ATT-6',
    changed({ components: [{ kind: 'file', name: '/bin/sh', digests: [] }] }),
  ],
  [
    'with a component whose digest names no hash',
    'REFERENCE_VALUES_INVALID',
    'ATT-6',
    changed({ components: [{ kind: 'file', name: '/bin/sh', digests: [digest] }] }),
  ],
  [
    'with a component of an unknown kind',
    'REFERENCE_VALUES_INVALID',
    'ATT-6',
    changed({ components: [{ kind: 'bios', name: 'a', digests: [`sha256:${digest}`] }] }),
  ],
];

const fields = (bytes: Uint8Array): Record<string, CborValue> =>
  decodeCbor(bytes) as Record<string, CborValue>;
const withFields =
  (change: Record<string, CborValue>) =>
  (it: Uint8Array): Uint8Array =>
    encodeCbor({ ...fields(it), ...change });

const clocks: readonly Tampering<Uint8Array>[] = [
  [
    'with a key twice',
    'CLOCK_REGISTRY_INVALID',
    'ATT-7',
    (it) =>
      encodeCbor({
        ...fields(it),
        clocks: (fields(it).clocks as CborValue[]).flatMap((clock) => [clock, clock]),
      }),
  ],
  ['with an unknown field', 'CLOCK_REGISTRY_INVALID', 'ATT-7', withFields({ note: '' })],
  ['cut at every byte', 'CLOCK_REGISTRY_INVALID', 'ATT-7', (it) => cuts(it)],
  ['with a byte after its end', 'CLOCK_REGISTRY_INVALID', 'ATT-7', longer],
];

function clockRegistry(): Uint8Array {
  return encodeClockRegistry(new Map([[`000b${digest}`, { clock: 1n, resetCount: 2, restartCount: 3 }]]));
}

const results: readonly Tampering<Uint8Array>[] = [
  ['with a verdict that there is not', 'RESULT_INVALID', 'ATT-5', withFields({ verdict: 'trusted' })],
  [
    'with a claim left out',
    'RESULT_INVALID',
    'ATT-5',
    (it) => encodeCbor({ ...fields(it), claims: (fields(it).claims as CborValue[]).slice(1) }),
  ],
  [
    'with claims in another order',
    'RESULT_INVALID',
    'ATT-5',
    (it) => encodeCbor({ ...fields(it), claims: [...(fields(it).claims as CborValue[])].reverse() }),
  ],
  ['with an unknown field', 'RESULT_INVALID', 'ATT-5', withFields({ note: '' })],
];

const cmw: Cmw = { type: EVIDENCE_MEDIA_TYPE, value: fromHex('0badcafe') };

/** Who reads evidence wants its media type. */
function unwrapEvidence(bytes: Uint8Array): string {
  const { type } = unwrapCmw(bytes);
  return type === EVIDENCE_MEDIA_TYPE ? 'OK' : 'MEDIA_TYPE_WRONG';
}

const wrappers: readonly Tampering<Uint8Array>[] = [
  [
    'of another type',
    'MEDIA_TYPE_WRONG',
    'ATT-20',
    () => wrapCmw({ ...cmw, type: 'application/other' }, 'cbor'),
  ],
  ['with a type that is no media type', 'CMW_INVALID', 'ATT-20', () => fromHex('8261614101')],
  [
    'with an indicator of a kind that there is not',
    'CMW_INVALID',
    'ATT-20',
    (it) => concatBytes(Uint8Array.of(0x83), it.subarray(1), Uint8Array.of(0x10)),
  ],
  ['with a value of 4 GiB', 'CMW_INVALID', 'ATT-20', () => fromHex('821975315affffffff')],
  ['cut at every byte', 'CMW_INVALID', 'ATT-20', (it) => cuts(it)],
  ['with a byte after its end', 'CMW_INVALID', 'ATT-20', longer],
  ['that is a collection', 'CMW_INVALID', 'ATT-20', () => fromHex('a0')],
];

export const documentRows: readonly Row[] = [
  ...rowsOf(
    {
      artefact: 'a policy',
      by: 'parsePolicy',
      honest: (): Plain => ({ version: 1, levelMin: LEVEL.development }),
      judge: accepts(parsePolicy),
    },
    policies,
  ),
  ...rowsOf(
    {
      artefact: 'reference values',
      by: 'parseReferenceValues',
      honest: (): Plain => ({ releases: [digest], images: [] }),
      judge: accepts(parseReferenceValues),
    },
    references,
  ),
  ...rowsOf(
    {
      artefact: 'a clock registry',
      by: 'parseClockRegistry',
      honest: clockRegistry,
      judge: accepts(parseClockRegistry),
    },
    clocks,
  ),
  ...rowsOf(
    {
      artefact: 'an attestation result',
      by: 'parseResult',
      honest: () => encodeResult(appraise(appraisalOf())),
      judge: accepts(parseResult),
    },
    results,
  ),
  ...rowsOf(
    {
      artefact: 'a wrapper (CMW)',
      by: 'unwrapCmw',
      honest: () => wrapCmw(cmw, 'cbor'),
      judge: unwrapEvidence,
    },
    wrappers,
  ),
];
