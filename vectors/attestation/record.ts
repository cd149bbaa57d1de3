// Records evidence.json from a fresh software TPM: node vectors/attestation/record.ts
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concatBytes, fromUtf8, sha256, toHex } from '../../packages/core/src/index.ts';
import {
  type AppraisedClock,
  appraise,
  type ClockRecord,
  collectEvidence,
  type Evidence,
  encodeEvidence,
  eventDigest,
  failedClaims,
  MeasuredLog,
  type MeasuredEvent,
  QUOTED_PCRS,
  qualifyingData,
  resultDigest,
  startDigest,
} from '../../packages/attestation/src/index.ts';
import { parseEventLog } from '../../packages/attestation/src/eventlog/index.ts';
import { judgingPolicy } from '../../packages/membership/src/policy.ts';
import { type Attestation, type QuoteRequest, TEMPLATES } from '../../packages/tpm/src/index.ts';
import { openTpm } from '../../packages/node/src/adapters/tpm/open-tpm.ts';
import { startSoftwareTpm } from '../../packages/node/src/adapters/tpm/swtpm.ts';

type Event = Omit<MeasuredEvent, 'pcr'>;

interface Recording {
  readonly evidence: Evidence;
  readonly akPublic: Uint8Array;
  readonly clockBefore?: ClockRecord;
}

const digest = (text: string): Uint8Array => sha256(fromUtf8(text));
const expected = { networkId: digest('network'), challenge: digest('challenge'), binding: digest('binding') };
const release: Event = { kind: 'release', digest: digest('release 1'), name: 'nemea 0.1.0' };
const image: Event = { kind: 'image', digest: digest('image 1'), name: 'python' };
const run: Event = { kind: 'run', digest: digest('run 1'), name: '' };
const tampered: Event = { kind: 'release', digest: digest('tampered'), name: 'nemea 0.1.0' };
const unknownImage: Event = { kind: 'image', digest: digest('image 2'), name: 'unknown' };

/** A TPM with `measured` in its log. `firmware` extends PCR 0, `eventLog` what its events say; `pcrs` are what gets quoted. */
async function attest({
  measured = [release, image, run],
  firmware = false,
  pcrs = QUOTED_PCRS,
  nonce = expected,
  eventLog = undefined as Uint8Array | undefined,
}): Promise<Recording & { readonly time: Attestation }> {
  const dir = await mkdtemp(join(tmpdir(), 'evidence-'));
  const server = await startSoftwareTpm({ stateDir: dir, socketPath: join(dir, 'run', 'sock') });
  const tpm = await openTpm({ kind: 'swtpm', socketPath: server.socketPath });
  const ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
  if (firmware) await tpm.pcrExtend(0, digest('firmware'));
  for (const { pcr, digests } of eventLog === undefined ? [] : parseEventLog(eventLog).events.slice(1)) {
    if (digests.sha256 !== undefined) await tpm.pcrExtend(pcr, digests.sha256);
  }
  const log = await MeasuredLog.open({ tpm, eventLog });
  for (const event of measured) await log.measure(event);
  const identity = { quote: (request: QuoteRequest) => tpm.quote(ak, request) };
  let evidence = await collectEvidence({
    ...{ tpm, identity, log, ...nonce },
    eventLog: eventLog && (async () => eventLog),
  });
  if (pcrs !== QUOTED_PCRS) {
    const quote = await tpm.quote(ak, { pcrs, qualifyingData: qualifyingData(nonce) });
    evidence = { ...evidence, ...quote, pcrs: await tpm.pcrRead(pcrs) };
  }
  const time = await tpm.getTime(ak, qualifyingData(nonce));
  await tpm.close();
  await server.stop();
  await rm(dir, { recursive: true });
  return { evidence, akPublic: ak.publicArea, time };
}

/** As shim writes it into a crypto-agile log of four banks: the name of a variable, and digests of its content. */
function shimEvent(name: string, content: string, digests: { readonly sha256?: Uint8Array } = {}): Uint8Array {
  const hashes = [[0x04, 'sha1'], [0x0b, 'sha256'], [0x0c, 'sha384'], [0x0d, 'sha512']] as const;
  const data = fromUtf8(`${name}\0`);
  return concatBytes(
    ...[14, 0x0d, hashes.length].map(u32),
    ...hashes.flatMap(([id, algorithm]) => [
      Uint8Array.of(id, 0),
      (algorithm === 'sha256' ? digests.sha256 : undefined) ?? createHash(algorithm).update(content).digest(),
    ]),
    u32(data.length),
    data,
  );
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value, value >> 8, value >> 16, value >> 24);
}

const firmwareLog = new Uint8Array(await readFile(new URL('../eventlog/ovmf-secure-boot.bin', import.meta.url)));
const mokList = shimEvent('MokList', 'keys of the owner');
const mokListTrusted = shimEvent('MokListTrusted', '\u0001');
const honest = await attest({});
const stranger = await attest({});
const booted = await attest({ eventLog: concatBytes(firmwareLog, mokList, mokListTrusted) });
const withLog = (events: readonly Uint8Array[], log = booted.evidence.log): Recording => ({
  ...booted,
  evidence: { ...booted.evidence, log, eventLog: concatBytes(firmwareLog, ...events) },
});
/** What a node measured, as if shim had. */
const hidden = [startDigest(), eventDigest(release)].map((sha256) => shimEvent('MokListX', '', { sha256 }));
const flip = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
const forge = (change: (honest: Evidence) => Partial<Evidence>): Recording => ({
  ...honest,
  evidence: { ...honest.evidence, ...change(honest.evidence) },
});
const clock = (change: (quoted: AppraisedClock) => Partial<ClockRecord>): Recording => {
  const quoted = judge(honest).clock;
  if (quoted === null) throw new Error('the honest evidence is not authentic');
  const { clock, resetCount, restartCount } = quoted;
  return { ...honest, clockBefore: { clock, resetCount, restartCount, ...change(quoted) } };
};

const referenceValues = {
  releases: new Set([toHex(release.digest)]),
  images: new Set([toHex(image.digest)]),
};
function judge({ evidence, akPublic, clockBefore }: Recording) {
  return appraise({
    evidence,
    endorsements: { akPublic, level: 1 },
    referenceValues,
    policy: judgingPolicy,
    expected,
    clockBefore,
    nowMs: 0,
  });
}

const other = { ...expected, challenge: digest('another challenge') };
const cases: Record<string, Recording> = {
  honest,
  'honest-clock-recorded': clock(() => ({})),
  'clock-behind-record': clock(({ clock }) => ({ clock: clock + 1n })),
  'reset-count-behind-record': clock(({ resetCount }) => ({ resetCount: resetCount + 1 })),
  'ak-of-another-tpm': { ...honest, akPublic: stranger.akPublic },
  'ak-unrestricted': { ...honest, akPublic: flip(honest.akPublic, 5) },
  'attest-magic-flipped': forge(({ attest }) => ({ attest: flip(attest, 3) })),
  'attest-clock-flipped': forge(({ attest }) => ({ attest: flip(attest, 85) })),
  'attest-trailing-byte': forge(({ attest }) => ({ attest: Uint8Array.of(...attest, 0) })),
  'signature-s-zero': forge(({ signature }) => ({ signature: signature.map((byte, i) => (i < 40 ? byte : 0)) })),
  'signature-trailing-byte': forge(({ signature }) => ({ signature: Uint8Array.of(...signature, 0) })),
  'get-time-for-quote': forge(() => honest.time),
  'replayed-for-another-challenge': await attest({ nonce: other }),
  'binding-changed': forge(() => ({ binding: digest('another binding') })),
  'selection-without-pcr-0': await attest({ pcrs: [1, 2, 3, 4, 5, 6, 7, 14] }),
  'selection-without-pcr-14': await attest({ pcrs: [0, 1, 2, 3, 4, 5, 6, 7] }),
  'pcr-value-changed': forge(({ pcrs }) => ({
    pcrs: pcrs.map((entry) => (entry.pcr === 14 ? { ...entry, value: digest('other') } : entry)),
  })),
  'log-event-left-out': forge(({ log }) => ({ log: log.slice(0, -1) })),
  'log-event-renamed': forge(({ log }) => ({
    log: log.map((event, i) => (i === 0 ? { ...event, name: 'nemea 0.1.1' } : event)),
  })),
  'firmware-measured': await attest({ firmware: true }),
  'shim-measured': booted,
  'shim-left-out': withLog([mokList]),
  'shim-invented': withLog([mokList, mokListTrusted, shimEvent('MokListX', 'other keys')]),
  'node-events-in-event-log': withLog([mokList, mokListTrusted, ...hidden], booted.evidence.log.slice(1)),
  'release-tampered': await attest({ measured: [release, tampered] }),
  'release-missing': await attest({ measured: [] }),
  'release-not-first': await attest({ measured: [image, release] }),
  'image-not-approved': await attest({ measured: [release, unknownImage] }),
};

const vectors = {
  networkId: toHex(expected.networkId),
  challenge: toHex(expected.challenge),
  binding: toHex(expected.binding),
  releases: [...referenceValues.releases],
  images: [...referenceValues.images],
  policy: judgingPolicy,
  cases: Object.entries(cases).map(([name, input]) => {
    const result = judge(input);
    const { clockBefore } = input;
    return {
      name,
      akPublic: toHex(input.akPublic),
      evidence: toHex(encodeEvidence(input.evidence)),
      clockBefore: clockBefore === undefined ? null : { ...clockBefore, clock: String(clockBefore.clock) },
      verdict: result.verdict,
      authentic: result.authentic,
      failed: failedClaims(result).map(({ name, reason }) => `${name} ${reason}`),
      resultDigest: toHex(resultDigest(result)),
    };
  }),
};
await writeFile(new URL('evidence.json', import.meta.url), `${JSON.stringify(vectors, undefined, 2)}\n`);
