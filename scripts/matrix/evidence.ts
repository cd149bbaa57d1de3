import {
  type Appraisal,
  type Evidence,
  encodeEvidence,
  eventDigest,
  LEVEL,
  parseEvidence,
  QUOTED_PCRS,
  qualifyingData,
  startDigest,
} from '@nemea/attestation';
import type { Bank } from '@nemea/attestation/eventlog';
import {
  bootEvents,
  shimVariable,
  type WrittenEvent,
  writeAgileLog,
} from '@nemea/attestation/eventlog/testing';
import {
  appraisalOf,
  type Deviation,
  EXPECTED,
  IMAGE,
  NODE_POLICY,
  RELEASE,
  RUN,
} from '@nemea/attestation/testing';
import { type CborValue, concatBytes, decodeCbor, encodeCbor, fromHex, fromUtf8, sha256 } from '@nemea/core';
import { encodePcrSelection } from '@nemea/tpm/structures';
import { cuts, longer } from './bytes.ts';
import { bootedMachine, codeOfAppraisal } from './machine.ts';
import { accepts, type Row, rowsOf, type Tampering } from './row.ts';

const other = sha256(fromUtf8('other'));

/** A node whose TPM signs what the deviation says; honest else, and strict about its clock. */
function node(deviation: Deviation = {}): Appraisal {
  const policy = { ...NODE_POLICY, clock: { ...NODE_POLICY.clock, unsafe: 'refuse' as const } };
  const expected = { ...EXPECTED, deadlineMs: 10_000 };
  const clockBefore = { clock: 1000n, resetCount: 5, restartCount: 1 };
  return appraisalOf({ ...deviation, appraisal: { policy, expected, clockBefore, ...deviation.appraisal } });
}

const signed = (deviation: Deviation) => (): Appraisal => node(deviation);
const quoted = (quote: Deviation['quote']) => signed(quote === undefined ? {} : { quote });
const carried = (evidence: (honest: Evidence) => Partial<Evidence>) => signed({ evidence });

const mokList = shimVariable('MokList', fromUtf8('keys of the owner'));
const SHIM: readonly WrittenEvent[] = [mokList, shimVariable('MokListTrusted', Uint8Array.of(1))];
const FIRMWARE = bootEvents(30);
const START = startDigest();

/** A machine that shim booted, with an event log that says of PCR 14 what is given here. */
function shimmed(said: readonly WrittenEvent[], banks: readonly Bank[] = ['sha256']): Appraisal {
  const honest = node({ boot: [...FIRMWARE, ...SHIM] });
  const eventLog = writeAgileLog(banks, [...FIRMWARE, ...said]);
  return { ...honest, evidence: { ...honest.evidence, eventLog } };
}

const nodes: readonly Tampering<Appraisal>[] = [
  [
    'made for another challenge',
    'QUALIFYING_DATA_WRONG',
    'ATT-2',
    quoted({ extraData: qualifyingData({ ...EXPECTED, challenge: other }) }),
  ],
  [
    'made for another network',
    'QUALIFYING_DATA_WRONG',
    'ATT-2',
    quoted({ extraData: qualifyingData({ ...EXPECTED, networkId: other }) }),
  ],
  [
    'made for another purpose',
    'QUALIFYING_DATA_WRONG',
    'ATT-2',
    quoted({ extraData: qualifyingData({ ...EXPECTED, binding: other }) }),
  ],
  [
    'that names another purpose than was quoted',
    'QUALIFYING_DATA_WRONG',
    'ATT-2',
    carried(() => ({ binding: other })),
  ],
  ['answered after the deadline', 'EVIDENCE_STALE', 'ATT-4', signed({ appraisal: { nowMs: 10_001 } })],
  [
    'of an epoch that no longer counts',
    'QUALIFYING_DATA_WRONG',
    'ATT-21',
    signed({
      quote: { extraData: other },
      appraisal: {
        policy: { ...NODE_POLICY, freshness: { accept: ['epoch'], epochsMax: 2 } },
        expected: { epochs: [RELEASE.digest, IMAGE.digest, other] },
      },
    }),
  ],
  [
    'of any time, where the policy asks for a challenge',
    'QUALIFYING_DATA_UNCHECKED',
    'ATT-21',
    signed({ appraisal: { expected: { anyTime: true } } }),
  ],
  ['with a clock that went back', 'CLOCK_BACKWARDS', 'ATT-7', quoted({ clock: 999n })],
  [
    'with a resetCount lower than recorded',
    'CLOCK_RESET_COUNT_DECREASED',
    'ATT-7',
    quoted({ resetCount: 4, clock: 1n << 40n }),
  ],
  [
    'with a restartCount lower than recorded',
    'CLOCK_RESTART_COUNT_DECREASED',
    'ATT-7',
    quoted({ restartCount: 0, clock: 1n << 40n }),
  ],
  ['with an unsafe clock', 'CLOCK_UNSAFE', 'ATT-7', quoted({ safe: 0 })],
  [
    'of a key without record, where the policy asks for one',
    'CLOCK_NOT_RECORDED',
    'ATT-7',
    signed({
      appraisal: {
        clockBefore: undefined,
        policy: { ...NODE_POLICY, clock: { unsafe: 'warn', recordRequired: true } },
      },
    }),
  ],
  [
    'whose quote leaves out PCR 0',
    'PCR_SELECTION_WRONG',
    'ATT-4',
    quoted({ selection: encodePcrSelection(QUOTED_PCRS.filter((pcr) => pcr !== 0)) }),
  ],
  [
    'whose quote leaves out PCR 14',
    'PCR_SELECTION_WRONG',
    'ATT-4',
    quoted({ selection: encodePcrSelection(QUOTED_PCRS.filter((pcr) => pcr !== 14)) }),
  ],
  [
    'whose quote has PCR 16 or 23 besides',
    'PCR_SELECTION_WRONG',
    'ATT-4',
    () => [16, 23].map((pcr) => node({ quote: { selection: encodePcrSelection([...QUOTED_PCRS, pcr]) } })),
  ],
  [
    'whose quote is of the SHA-1 bank',
    'PCR_SELECTION_WRONG',
    'ATT-4',
    quoted({ selection: fromHex('00000001000403ff4000') }),
  ],
  [
    'whose quote is of the SHA-1 bank besides',
    'PCR_SELECTION_WRONG',
    'ATT-4',
    quoted({ selection: fromHex('00000002000b03ff4000000403ff4000') }),
  ],
  [
    'whose quote has its bank twice',
    'PCR_SELECTION_WRONG',
    'ATT-4',
    quoted({ selection: fromHex('00000002000b03ff4000000b03ff4000') }),
  ],
  [
    'with a PCR value that was not quoted',
    'PCR_DIGEST_WRONG',
    'ATT-4',
    carried((it) => ({ pcrs: it.pcrs.with(-1, { pcr: 14, value: other }) })),
  ],
  [
    'with the value of another PCR',
    'PCR_LIST_WRONG',
    'ATT-4',
    carried((it) => ({ pcrs: it.pcrs.with(-1, { pcr: 15, value: it.pcrs.at(-1)?.value ?? other }) })),
  ],
  [
    'with values of a bank that was not quoted',
    'PCR_LIST_WRONG',
    'ATT-4',
    carried(() => ({ pcrsSha384: [{ pcr: 0, value: new Uint8Array(48) }] })),
  ],
  [
    'with an event of its own log left out',
    'MEASURED_LOG_REPLAY_WRONG',
    'ATT-3',
    carried((it) => ({ log: it.log.toSpliced(1, 1) })),
  ],
  [
    'with an event of its own log added',
    'MEASURED_LOG_REPLAY_WRONG',
    'ATT-3',
    carried((it) => ({ log: [...it.log, RUN] })),
  ],
  [
    'with events of its own log in another order',
    'MEASURED_LOG_REPLAY_WRONG',
    'ATT-3',
    carried(() => ({ log: [RELEASE, RUN, IMAGE] })),
  ],
  [
    'with an event of its own log under another name',
    'MEASURED_LOG_REPLAY_WRONG',
    'ATT-3',
    carried(() => ({ log: [{ ...RELEASE, name: 'nemea 9.9.9' }, IMAGE, RUN] })),
  ],
  [
    'of a node that measured another release',
    'RELEASE_NOT_APPROVED',
    'ATT-6',
    signed({ log: [{ ...RELEASE, digest: other }, IMAGE] }),
  ],
  ['of a node that measured no release', 'RELEASE_MISSING', 'ATT-6', signed({ log: [] })],
  [
    'of a node that measured something before its release',
    'RELEASE_NOT_FIRST',
    'ATT-6',
    signed({ log: [IMAGE, RELEASE] }),
  ],
  [
    'of a node that loaded another image',
    'IMAGE_NOT_APPROVED',
    'ATT-6',
    signed({ log: [RELEASE, { ...IMAGE, digest: other }] }),
  ],
  [
    'of a machine that shim booted, with what shim measured left out of the event log',
    'MEASURED_LOG_REPLAY_WRONG',
    'ATT-30',
    () => SHIM.map((_, i) => shimmed(SHIM.toSpliced(i, 1))),
  ],
  [
    'of a machine that shim booted, with keys in the event log that shim did not measure',
    'MEASURED_LOG_REPLAY_WRONG',
    'ATT-30',
    () => shimmed([...SHIM, shimVariable('MokListX', other)]),
  ],
  [
    'of a machine that shim booted, with lists of shim in another order',
    'MEASURED_LOG_REPLAY_WRONG',
    'ATT-30',
    () => shimmed(SHIM.toReversed()),
  ],
  [
    'of a machine that shim booted, with what shim measured without its SHA-256 digests',
    'FIRMWARE_LOG_REPLAY_WRONG+MEASURED_LOG_BOOT_WRONG',
    'ATT-30',
    () => shimmed(SHIM, ['sha384']),
  ],
  [
    'with its start and first events in the event log, as if shim had measured them',
    'MEASURED_LOG_BOOT_WRONG',
    'ATT-30',
    () => {
      const measured = [START, ...[RELEASE, IMAGE, RUN].map((event) => eventDigest(event))];
      const hidden = measured.map((sha256) => ({ ...mokList, digests: { sha256 } }));
      return hidden.map((_, i) => {
        const honest = shimmed([...SHIM, ...hidden.slice(0, i + 1)]);
        return { ...honest, evidence: { ...honest.evidence, log: [RELEASE, IMAGE, RUN].slice(i) } };
      });
    },
  ],
  [
    'with its events in the event log, and without its start',
    'MEASURED_LOG_REPLAY_WRONG',
    'ATT-30',
    () => {
      const hidden = { ...mokList, digests: { sha256: eventDigest(RELEASE) } };
      const honest = shimmed([...SHIM, hidden]);
      return { ...honest, evidence: { ...honest.evidence, log: [IMAGE, RUN] } };
    },
  ],
  [
    'of a machine whose PCR 14 something extended between shim and the node',
    'MEASURED_LOG_REPLAY_WRONG',
    'ATT-30',
    () => {
      const honest = node({ boot: [...FIRMWARE, ...SHIM, shimVariable('unlogged', other)] });
      const eventLog = writeAgileLog(['sha256'], [...FIRMWARE, ...SHIM]);
      return { ...honest, evidence: { ...honest.evidence, eventLog } };
    },
  ],
  [
    'of a machine whose shim trusts other keys, where the policy pins PCR 14',
    'PCR_VALUE_UNKNOWN',
    'ATT-30',
    () => {
      const policy = { ...NODE_POLICY, pcrs: { ...NODE_POLICY.pcrs, exact: [14] } };
      const boots = [[], SHIM.slice(1), [shimVariable('MokList', other), ...SHIM.slice(1)]];
      return boots.map((shim) => node({ boot: [...FIRMWARE, ...shim], appraisal: { policy } }));
    },
  ],
  [
    'of a level below the least',
    'LEVEL_TOO_LOW',
    'ATT-6',
    signed({ appraisal: { policy: { ...NODE_POLICY, levelMin: LEVEL.hardware } } }),
  ],
  [
    'with a measured boot that no log explains',
    'FIRMWARE_NO_EVENT_LOG',
    'ATT-24',
    signed({ firmware: other }),
  ],
  [
    'of a machine that measures nothing, where the policy asks for it',
    'FIRMWARE_UNMEASURED',
    'ATT-24',
    signed({
      appraisal: { policy: { ...NODE_POLICY, firmware: { ...NODE_POLICY.firmware, unmeasured: 'refuse' } } },
    }),
  ],
];

const dynamic: readonly Tampering<Appraisal>[] = [
  [
    'with any one of PCR 17 to 22 all ones, as after a reset',
    'PCR_RESET_VALUE',
    'ATT-4',
    () =>
      [17, 18, 19, 20, 21, 22].map((reset) =>
        bootedMachine({ dynamic: (pcr) => new Uint8Array(32).fill(pcr === reset ? 0xff : pcr) }),
      ),
  ],
  [
    'with all of PCR 17 to 22 all ones',
    'PCR_RESET_VALUE',
    'ATT-4',
    () => bootedMachine({ dynamic: () => new Uint8Array(32).fill(0xff) }),
  ],
];

const honestBytes = (): Uint8Array => encodeEvidence(appraisalOf().evidence);
const fields = (bytes: Uint8Array): Record<string, CborValue> =>
  decodeCbor(bytes) as Record<string, CborValue>;
const withFields =
  (change: Record<string, CborValue>) =>
  (it: Uint8Array): Uint8Array =>
    encodeCbor({ ...fields(it), ...change });

const documents: readonly Tampering<Uint8Array>[] = [
  ['with an unknown field', 'EVIDENCE_INVALID', 'ATT-1', withFields({ note: 1 })],
  ['of another version', 'EVIDENCE_INVALID', 'ATT-1', withFields({ version: 1 })],
  [
    'without any one field',
    'EVIDENCE_INVALID',
    'ATT-1',
    (it) =>
      Object.keys(fields(it)).map((key) =>
        encodeCbor(Object.fromEntries(Object.entries(fields(it)).filter(([name]) => name !== key))),
      ),
  ],
  [
    'that is not canonical: a length in a longer form',
    'EVIDENCE_INVALID',
    'ATT-1',
    (it) => concatBytes(Uint8Array.of(0xb8, (it[0] ?? 0) & 0x1f), it.subarray(1)),
  ],
  [
    'that is not canonical: keys in another order',
    'EVIDENCE_INVALID',
    'ATT-1',
    (it) => mapOf(entriesOf(it).reverse()),
  ],
  [
    'with a key twice',
    'EVIDENCE_INVALID',
    'ATT-1',
    (it) => entriesOf(it).map((entry) => mapOf([...entriesOf(it), entry])),
  ],
  ['cut at every byte', 'EVIDENCE_INVALID', 'ATT-1', (it) => cuts(it)],
  ['with a byte after its end', 'EVIDENCE_INVALID', 'ATT-1', longer],
  ['larger than a peer may send', 'EVIDENCE_INVALID', 'ATT-1', () => new Uint8Array((1 << 20) + 1)],
  ['with a list of 4 G PCR values', 'EVIDENCE_INVALID', 'ATT-1', () => fromHex('a164706372739affffffff')],
  ['nested without end', 'EVIDENCE_INVALID', 'ATT-1', () => new Uint8Array(1 << 20).fill(0x81)],
  [
    'with PCR values out of order',
    'EVIDENCE_INVALID',
    'ATT-1',
    (it) => encodeCbor({ ...fields(it), pcrs: [...(fields(it).pcrs as CborValue[])].reverse() }),
  ],
  [
    'with PCR 24',
    'EVIDENCE_INVALID',
    'ATT-1',
    withFields({ pcrs: [{ pcr: 24, value: new Uint8Array(32) }] }),
  ],
  [
    'with a quote that is longer than any',
    'EVIDENCE_INVALID',
    'ATT-1',
    withFields({ attest: new Uint8Array(1025) }),
  ],
];

/** A map of these entries, in this order, whether or not there may be one. */
function mapOf(entries: readonly (readonly [string, CborValue])[]): Uint8Array {
  const items = entries.map(([key, value]) => concatBytes(encodeCbor(key), encodeCbor(value)));
  return concatBytes(Uint8Array.of(0xa0 | entries.length), ...items);
}

const entriesOf = (bytes: Uint8Array): [string, CborValue][] => Object.entries(fields(bytes));

export const evidenceRows: readonly Row[] = [
  ...rowsOf({ artefact: 'evidence', by: 'appraise', honest: () => node(), judge: codeOfAppraisal }, nodes),
  ...rowsOf({ artefact: 'evidence', by: 'appraise', honest: bootedMachine, judge: codeOfAppraisal }, dynamic),
  ...rowsOf(
    {
      artefact: 'an evidence document',
      by: 'parseEvidence',
      honest: honestBytes,
      judge: accepts(parseEvidence),
    },
    documents,
  ),
];
