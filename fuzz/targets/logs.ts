import {
  decodeEvent,
  describeBoot,
  EventLogError,
  inspectEventLog,
  parseEventLog,
  replayEventLog,
  unverifiedEvents,
  verifyEventLog,
} from '@nemea/attestation/eventlog';
import {
  appraiseIma,
  ImaError,
  parseImaKeys,
  parseImaList,
  parseImaPolicy,
  parseImaSignature,
  parseImaState,
  replayIma,
  verifyFileSignature,
  verifyIma,
} from '@nemea/attestation/ima';
import { ByteWriter, concatBytes, fromUtf8 } from '@nemea/core';
import { afterParsing, type Target } from '../target.ts';
import { json, jsonText, readJson, readVector, readVectors } from './support.ts';

const BOOTS = ['ovmf-kernel', 'ovmf-secure-boot'];
const bootLogs = BOOTS.map((name) => readVector(`eventlog/${name}.bin`));

/** The same events in the registers of a confidential VM, of which there are five. */
const confidentialLogs = bootLogs.map((log) => {
  const copy = Uint8Array.from(log);
  const view = new DataView(copy.buffer);
  for (const { offset, pcr } of parseEventLog(log).events) view.setUint32(offset, pcr % 5, true);
  return copy;
});
const imaKey = fromUtf8(readJson<{ imaKey: string }>('eventlog/ovmf-kernel.json').imaKey);
const keyRing = parseImaKeys(imaKey);
const permissive = parseImaPolicy({ version: 1, exclude: ['/data/etc/*'], violations: 'accept' });

const binaryLists = readVectors('eventlog', '.ima.bin');
const lists = [...binaryLists, ...readVectors('eventlog', '.ima.txt')];

/** Everything that is asked of a log before it is believed, and that a log must agree with itself. */
function useEventLog(log: ReturnType<typeof parseEventLog>): void {
  inspectEventLog(log);
  describeBoot(unverifiedEvents(log));
  const quoted = [...replayEventLog(log)].flatMap(([bank, values]) =>
    [...values].map(([pcr, value]) => ({ bank, pcr, value })),
  );
  if (!verifyEventLog(log, quoted).ok) throw new Error('the log does not replay to its own registers');
}

function useImaList(list: ReturnType<typeof parseImaList>): void {
  const quoted = replayIma(list, ['sha1', 'sha256']);
  const verification = verifyIma(list, quoted);
  if (verification.state !== null) parseImaState(JSON.parse(JSON.stringify(verification.state)));
  if (verification.reason === 'PCR_MISMATCH') throw new Error('the list does not replay to its own register');
  appraiseIma(list, { policy: permissive, keys: keyRing, verification });
}

const events = bootLogs.flatMap((log) =>
  parseEventLog(log).events.map(({ pcr, type, data }) =>
    concatBytes(new ByteWriter().u8(pcr).u32(type).toBytes(), data),
  ),
);

export const targets: readonly Target[] = [
  {
    name: 'logs/event-log',
    seeds: bootLogs,
    run: afterParsing((input) => parseEventLog(input), useEventLog),
    refusals: [EventLogError],
    inputBytesMax: 16_384,
  },
  {
    name: 'logs/event-log-cc',
    seeds: confidentialLogs,
    run: afterParsing((input) => parseEventLog(input, { registers: 'cc' }), useEventLog),
    refusals: [EventLogError],
    inputBytesMax: 16_384,
  },
  {
    // PCR, type (big-endian), data: the decoders of bodies refuse nothing.
    name: 'logs/event-body',
    seeds: events,
    run(input) {
      if (input.length < 5) return;
      const type = new DataView(input.buffer, input.byteOffset).getUint32(1);
      decodeEvent({ pcr: input[0] ?? 0, type, data: input.subarray(5) });
    },
    refusals: [],
  },
  {
    name: 'logs/ima-list',
    seeds: lists,
    run: afterParsing((input) => parseImaList(input), useImaList),
    refusals: [ImaError],
  },
  {
    name: 'logs/ima-keys',
    seeds: [imaKey],
    run: (input) => void parseImaKeys(input),
    refusals: [ImaError],
  },
  {
    name: 'logs/ima-signature',
    seeds: binaryLists.flatMap((list) =>
      parseImaList(list).entries.flatMap(({ fields }) =>
        fields.kind === 'file' && fields.signature !== null ? [fields.signature] : [],
      ),
    ),
    run(input) {
      parseImaSignature(input);
      const digest = { type: 'ima', algorithm: 'sha256', value: new Uint8Array(32) } as const;
      const fields = { kind: 'file', digest, path: '/', modsig: null, evm: null } as const;
      verifyFileSignature({ ...fields, signature: input }, keyRing);
      verifyFileSignature({ ...fields, signature: null, modsig: { digest, pkcs7: input } }, keyRing);
    },
    refusals: [],
  },
  {
    name: 'logs/ima-policy',
    form: 'json',
    seeds: [
      json({
        version: 1,
        digests: { '/a': ['sha256:00'.padEnd(71, '0')] },
        exclude: ['/b*'],
        requireSignature: true,
      }),
      json({
        meta: { version: 1 },
        digests: { '/a': ['00'.padEnd(64, '0')] },
        excludes: ['/b.*'],
        keyrings: {},
      }),
      json({ '/a': ['sha256:'.padEnd(71, '0')] }),
    ],
    run: jsonText(parseImaPolicy),
    refusals: [ImaError],
  },
  {
    name: 'logs/ima-state',
    form: 'json',
    seeds: lists.map((bytes) => {
      const list = parseImaList(bytes);
      return json(verifyIma(list, replayIma(list, ['sha1', 'sha256'])).state);
    }),
    run: jsonText(parseImaState),
    refusals: [ImaError],
  },
];
