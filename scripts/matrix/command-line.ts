import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeEvidenceFile, LEVEL } from '@nemea/attestation';
import { learnPolicy } from '@nemea/attestation/learn';
import { fromUtf8, toHex } from '@nemea/core';
import { parsePublicArea, toSpki } from '@nemea/tpm/structures';
import { flipped, longer, readVector, readVectorJson, spliced } from './bytes.ts';
import { type RecordedBoot, recordedMachine } from './machine.ts';
import { IDENTITY, recordedAttestation } from './recorded.ts';
import { type Row, rowsOf, type Tampering } from './row.ts';

const MAIN = join(import.meta.dirname, '../../apps/cli/src/main.ts');

/** Arguments of `nemea`, and the files that they name. */
interface Call {
  readonly args: readonly string[];
  readonly files: Readonly<Record<string, Uint8Array>>;
}

interface Answer {
  readonly ok: boolean;
  readonly error?: { readonly code: string };
  readonly claims?: readonly { readonly reason: string; readonly verdict: string }[];
}

/** Runs the command in a process of its own: `OK`, or the code that it prints and its exit code. */
async function nemea({ args, files }: Call): Promise<string> {
  const cwd = mkdtempSync(join(tmpdir(), 'matrix-'));
  try {
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(cwd, name), bytes);
    const child = spawn(process.execPath, [MAIN, ...args, '--json'], {
      cwd,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    const [exit] = await once(child, 'close');
    const answer = JSON.parse(Buffer.concat(chunks).toString()) as Answer;
    if (answer.ok && exit === 0) return 'OK';
    const refused = answer.claims?.filter(({ verdict }) => verdict === 'contraindicated') ?? [];
    const code = answer.error?.code ?? refused.map(({ reason }) => reason).join('+');
    return `${code} (exit ${exit})`;
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

const file =
  (name: string, change: (bytes: Uint8Array) => Uint8Array) =>
  (it: Call): Call => ({ ...it, files: { ...it.files, [name]: change(it.files[name] as Uint8Array) } });
const argument =
  (name: string, value: string) =>
  (it: Call): Call => ({ ...it, args: it.args.with(it.args.indexOf(name) + 1, value) });

function quote(): Call {
  const { attest, signature, qualifyingData, pcrs } = recordedAttestation('quote');
  const values = Object.fromEntries(pcrs.map(({ pcr, value }) => [pcr, toHex(value)]));
  return {
    files: {
      attest,
      signature,
      key: pem(IDENTITY.akPublic),
      pcrs: fromUtf8(JSON.stringify({ sha256: values })),
    },
    args: [
      ...'quote verify --attest attest --signature signature --key key --pcrs pcrs'.split(' '),
      '--nonce',
      toHex(qualifyingData),
    ],
  };
}

function pem(area: Uint8Array): Uint8Array {
  const text = Buffer.from(toSpki(parsePublicArea(area))).toString('base64');
  return fromUtf8(`-----BEGIN PUBLIC KEY-----\n${text}\n-----END PUBLIC KEY-----\n`);
}

const quotes: readonly Tampering<Call>[] = [
  [
    'with a bit of its clock flipped',
    'SIGNATURE_WRONG (exit 1)',
    'QUO-10',
    file('attest', (it) => flipped(it, 80)),
  ],
  ['with another magic', 'ATTEST_MAGIC_WRONG (exit 1)', 'QUO-10', file('attest', (it) => flipped(it, 0))],
  ['that is cut', 'ATTEST_MALFORMED (exit 1)', 'QUO-10', file('attest', (it) => it.slice(0, -1))],
  ['with a byte after its end', 'ATTEST_TRAILING (exit 1)', 'QUO-10', file('attest', longer)],
  ['with a byte after its signature', 'SIGNATURE_TRAILING (exit 1)', 'QUO-10', file('signature', longer)],
  [
    'with s zero',
    'SIGNATURE_OUT_OF_RANGE (exit 1)',
    'QUO-10',
    file('signature', (it) => it.slice().fill(0, 40)),
  ],
  ['for another nonce', 'QUALIFYING_DATA_WRONG (exit 1)', 'QUO-10', argument('--nonce', 'ab'.repeat(32))],
  [
    'with another PCR value',
    'PCR_DIGEST_WRONG (exit 1)',
    'QUO-10',
    file('pcrs', (it) => fromUtf8(new TextDecoder().decode(it).replace('000000', '000001'))),
  ],
  [
    'that is no such structure at all',
    'ATTEST_UNREADABLE (exit 2)',
    'QUO-10',
    file('attest', () => fromUtf8('no quote')),
  ],
];

const eventLog = (): Call => ({
  args: ['eventlog', 'log'],
  files: { log: readVector('eventlog/ovmf-kernel.bin') },
});
const eventLogs: readonly Tampering<Call>[] = [
  ['that is cut', 'EVENTLOG_TRUNCATED (exit 2)', 'LOG-4', file('log', (it) => it.slice(0, -1))],
  [
    'with a length of 4 GiB',
    'EVENTLOG_TOO_LARGE (exit 2)',
    'LOG-3',
    file('log', (it) => spliced(it, 28, 4, new Uint8Array(4).fill(0xff))),
  ],
];

const imaList = (): Call => {
  const { pcrs } = readVectorJson<RecordedBoot>('eventlog/ovmf-kernel.json');
  return {
    args: ['ima', 'list', '--pcr10', `sha256:${pcrs.sha256[10]}`],
    files: { list: readVector('eventlog/ovmf-kernel.ima.bin') },
  };
};
const imaLists: readonly Tampering<Call>[] = [
  [
    'with a bit of a template hash flipped',
    'BAD_ENTRIES (exit 1)',
    'IMA-11',
    file('list', (it) => flipped(it, 110)),
  ],
  [
    'against another value of PCR 10',
    'PCR_MISMATCH (exit 1)',
    'IMA-13',
    argument('--pcr10', `sha256:${'ab'.repeat(32)}`),
  ],
  ['that is cut', 'IMA_TRUNCATED (exit 2)', 'IMA-1', file('list', (it) => it.slice(0, -1))],
];

/** The recorded machine's evidence, with the policy and reference values that it teaches. */
function evidence(): Call {
  const machine = recordedMachine('ovmf-secure-boot');
  const { pcrs, eventLog: log, imaList: list } = machine.evidence;
  const { policy, referenceValues } = learnPolicy({
    level: LEVEL.development,
    pcrs,
    eventLog: log,
    imaList: list,
  });
  const { nonce } = readVectorJson<RecordedBoot>('eventlog/ovmf-secure-boot.json');
  return {
    args: [
      ...'attest evidence --policy policy.json --references references.json --ak ak --nonce'.split(' '),
      nonce,
    ],
    files: {
      evidence: encodeEvidenceFile(machine.evidence),
      ak: machine.endorsements.akPublic,
      'policy.json': fromUtf8(JSON.stringify(policy)),
      'references.json': fromUtf8(JSON.stringify(referenceValues)),
    },
  };
}

const evidences: readonly Tampering<Call>[] = [
  [
    'without its event log',
    'FIRMWARE_NO_EVENT_LOG (exit 1)',
    'ATT-24',
    (it) => ({ ...it, files: { ...it.files, evidence: withoutLog() } }),
  ],
  ['for another nonce', 'QUALIFYING_DATA_WRONG (exit 1)', 'ATT-4', argument('--nonce', 'ab'.repeat(32))],
  ['by another attestation key', 'SIGNATURE_WRONG (exit 1)', 'ATT-4', file('ak', () => IDENTITY.akPublic)],
  [
    'by a key that is not restricted',
    'AK_PUBLIC_INVALID (exit 1)',
    'ATT-23',
    file('ak', (it) => flipped(it, 5)),
  ],
  ['with a byte after its end', 'EVIDENCE_INVALID (exit 2)', 'ATT-1', file('evidence', longer)],
  [
    'by a policy with an unknown field',
    'POLICY_INVALID (exit 2)',
    'ATT-22',
    file('policy.json', (it) => fromUtf8(new TextDecoder().decode(it).replace('{', '{"secureBoot":1,'))),
  ],
];

function withoutLog(): Uint8Array {
  const { eventLog: _, ...rest } = recordedMachine('ovmf-secure-boot').evidence;
  return encodeEvidenceFile(rest);
}

export const commandLineRows: readonly Row[] = [
  ...rowsOf({ artefact: 'a quote in files', by: 'nemea quote verify', honest: quote, judge: nemea }, quotes),
  ...rowsOf(
    { artefact: 'an event log in a file', by: 'nemea eventlog', honest: eventLog, judge: nemea },
    eventLogs,
  ),
  ...rowsOf({ artefact: 'an IMA list in a file', by: 'nemea ima', honest: imaList, judge: nemea }, imaLists),
  ...rowsOf(
    { artefact: 'evidence in a file', by: 'nemea attest', honest: evidence, judge: nemea },
    evidences,
  ),
];
