import { readFile } from 'node:fs/promises';
import { fromHex, toHex } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import type { Appraisal } from './appraisal.ts';
import { appraise } from './appraise.ts';
import { parseEventLog } from './eventlog/index.ts';
import { bootEvents, separator, writeAgileLog } from './eventlog/testing.ts';
import type { Evidence } from './evidence.ts';
import { explainPolicy } from './explain.ts';
import { learnPolicy } from './learn.ts';
import { LEVEL } from './level.ts';
import { type AppraisalPolicy, parsePolicy } from './policy.ts';
import { parseReferenceValues, type ReferenceValuesDocument } from './reference-values.ts';
import { type AttestationResult, encodeResult, failedClaims, parseResult } from './result.ts';

interface Recorded {
  readonly cmdline: string;
  readonly pcrs: { readonly sha256: readonly string[] };
  readonly akPublic: string;
  readonly nonce: string;
  readonly attest: string;
  readonly signature: string;
}

const QUOTED = Array.from({ length: 16 }, (_, pcr) => pcr);

async function read(name: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(new URL(`../../../vectors/eventlog/${name}`, import.meta.url)));
}

async function machineOf(name: string) {
  const recorded = JSON.parse(new TextDecoder().decode(await read(`${name}.json`))) as Recorded;
  const evidence: Evidence = {
    version: 2,
    attest: fromHex(recorded.attest),
    signature: fromHex(recorded.signature),
    pcrs: QUOTED.map((pcr) => ({ pcr, value: fromHex(recorded.pcrs.sha256[pcr] ?? '') })),
    log: [],
    binding: new Uint8Array(32),
    eventLog: await read(`${name}.bin`),
    imaList: await read(`${name}.ima.bin`),
  };
  const lesson = learnPolicy({
    level: LEVEL.development,
    pcrs: evidence.pcrs,
    eventLog: evidence.eventLog,
    imaList: evidence.imaList,
  });
  return { recorded, evidence, ...lesson };
}

const secure = await machineOf('ovmf-secure-boot');
const insecure = await machineOf('ovmf-kernel');

type Machine = typeof secure;

interface Change {
  readonly evidence?: Partial<Evidence> | ((it: Evidence) => Evidence);
  readonly policy?: object;
  readonly values?: (it: ReferenceValuesDocument) => ReferenceValuesDocument;
  readonly nonce?: Uint8Array;
}

function appraisalOf(machine: Machine, change: Change = {}): Appraisal {
  const { evidence: its = {}, policy = {}, values = (it: ReferenceValuesDocument) => it } = change;
  const evidence = typeof its === 'function' ? its(machine.evidence) : { ...machine.evidence, ...its };
  return {
    evidence,
    endorsements: { akPublic: fromHex(machine.recorded.akPublic), level: LEVEL.development },
    referenceValues: parseReferenceValues(values(machine.referenceValues)),
    policy: parsePolicy(merge(machine.policy, policy)),
    expected: { nonce: change.nonce ?? fromHex(machine.recorded.nonce) },
    nowMs: 0,
  };
}

function merge(policy: AppraisalPolicy, change: object): unknown {
  return Object.fromEntries(
    Object.entries({ ...policy, ...change }).map(([name, value]) => {
      const before: unknown = Reflect.get(policy, name);
      const isNested = typeof before === 'object' && before !== null && !Array.isArray(before);
      return [name, isNested ? Object.assign({}, before, value) : value];
    }),
  );
}

function failuresOf(result: AttestationResult): string[] {
  return failedClaims(result).map(({ name, reason }) => `${name} ${reason}`);
}

function changed(bytes: Uint8Array | undefined, at: number): Uint8Array {
  return Uint8Array.from(bytes ?? [], (byte, i) => (i === at ? byte ^ 1 : byte));
}

describe('a machine that boots as the golden one did is trusted', () => {
  test.each([
    ['with Secure Boot', secure],
    ['without Secure Boot', insecure],
  ])('%s', (_, machine) => {
    const result = appraise(appraisalOf(machine));
    expect(failuresOf(result)).toEqual([]);
    expect(result.verdict).toBe('affirming');
    expect(parseResult(encodeResult(result))).toEqual(result);
  });

  test('and each claim says from which bytes, event or entry it comes', () => {
    const { claims } = appraise(appraisalOf(secure));
    const sourceOf = (name: string) => claims.find((claim) => claim.name === name)?.source;
    expect(sourceOf('firmware')).toMatch(/^evidence\.eventLog, \d+ bytes$/);
    expect(sourceOf('secure-boot')).toMatch(/^evidence\.eventLog event \d+$/);
    expect(sourceOf('boot-chain')).toMatch(/^evidence\.eventLog events \d+ to \d+$/);
    expect(sourceOf('ima')).toMatch(/^evidence\.imaList, \d+ bytes$/);
  });

  test('and the golden machine teaches the same twice, whatever stands in its policy [ATT-29]', () => {
    const { eventLog, imaList, pcrs } = secure.evidence;
    const again = learnPolicy({ level: LEVEL.development, pcrs, eventLog, imaList });
    expect(JSON.stringify(again)).toBe(
      JSON.stringify({ policy: secure.policy, referenceValues: secure.referenceValues }),
    );
    expect(secure.policy.firmware.secureBoot).toBe('required');
    expect(insecure.policy.firmware.secureBoot).toBe('any');
  });

  test('and its policy can be explained in sentences', () => {
    const sentences = explainPolicy(secure.policy, secure.referenceValues);
    const demand = (field: string) => sentences.find((it) => it.field === field)?.demand;
    expect(demand('firmware.secureBoot')).toBe('Secure Boot was on.');
    expect(demand('firmware.loaders')).toMatch(
      /^The images that were started are among the reference values/,
    );
    for (const { demand: text, why } of sentences) expect(`${text} ${why}`).toMatch(/\.|true/);
  });

  test('and what a policy lets pass is never explained by the reason to refuse it', () => {
    const { firmware, ima } = secure.policy;
    const lax = explainPolicy({
      ...secure.policy,
      pcrs: { ...secure.policy.pcrs, exact: [0] },
      firmware: {
        ...firmware,
        ...{ unmeasured: 'allow', secureBoot: 'any', keys: 'any', authorities: 'any', loaders: 'any' },
        ...{ commandLine: null, errorSeparators: 'allow' },
      },
      ima: { ...ima, violations: 'allow' },
    });
    const strict = explainPolicy({
      ...secure.policy,
      firmware: { ...firmware, commandLine: { required: ['quiet'], allowed: null, forbidden: [] } },
      ima: { ...ima, violations: 'refuse' },
    });
    const whyOf = new Map(strict.map(({ field, why }) => [field, why]));
    const laxer = lax.filter(
      ({ field, demand }) =>
        !field.startsWith('pcrs') && !strict.some((it) => it.field === field && it.demand === demand),
    );
    expect(laxer).toHaveLength(8);
    for (const { field, why } of laxer) expect(why, field).not.toBe(whyOf.get(field));
    const pinned = explainPolicy({ ...secure.policy, pcrs: { ...secure.policy.pcrs, exact: [8, 9, 12] } });
    expect(pinned.find(({ field }) => field === 'firmware.commandLine')?.why).toMatch(/admit no other line/);
  });
});

const otherDigest = `sha256:${'00'.repeat(32)}`;
const replaceKind = (kind: string) => (it: ReferenceValuesDocument) => ({
  ...it,
  components: (it.components ?? []).map((component) =>
    component.kind === kind ? { ...component, digests: [otherDigest] } : component,
  ),
});

const rows: readonly (readonly [string, string, Machine, Change])[] = [
  ['without its event log', 'firmware FIRMWARE_NO_EVENT_LOG', secure, { evidence: withoutLog }],
  [
    'with a log that is cut',
    'firmware FIRMWARE_LOG_MALFORMED',
    secure,
    { evidence: { eventLog: secure.evidence.eventLog?.slice(0, -3) ?? new Uint8Array(1) } },
  ],
  [
    'with a log of another machine',
    'firmware FIRMWARE_LOG_REPLAY_WRONG',
    secure,
    { evidence: { eventLog: insecure.evidence.eventLog ?? new Uint8Array(1) } },
  ],
  [
    'with a digest of its log changed',
    'firmware FIRMWARE_LOG_REPLAY_WRONG',
    secure,
    { evidence: { eventLog: changed(secure.evidence.eventLog, firstSha256()) } },
  ],
  [
    'that had Secure Boot off, where it must be on',
    'secure-boot SECURE_BOOT_OFF',
    insecure,
    { policy: { firmware: { secureBoot: 'required' } } },
  ],
  [
    'whose Secure Boot keys are others',
    'secure-boot SECURE_BOOT_KEY_UNKNOWN',
    secure,
    { values: replaceKind('secure-boot-key') },
  ],
  [
    'whose loader is another',
    'boot-chain BOOT_LOADER_UNKNOWN',
    secure,
    { values: replaceKind('boot-loader') },
  ],
  [
    'whose loader was allowed by another key',
    'boot-chain BOOT_AUTHORITY_UNKNOWN',
    secure,
    { values: replaceKind('boot-authority') },
  ],
  ['whose firmware is another', 'pcr-values PCR_VALUE_UNKNOWN', secure, { values: replaceKind('pcr') }],
  [
    'that measured no text of a command line, where one is demanded',
    'command-line COMMAND_LINE_MISSING',
    secure,
    { policy: { firmware: { commandLine: {} } } },
  ],
  [
    'with an event of a forbidden type',
    'firmware-events FIRMWARE_EVENT_FORBIDDEN',
    secure,
    { policy: { firmware: { forbiddenEvents: ['EV_EFI_BOOT_SERVICES_APPLICATION'] } } },
  ],
  ['without its IMA list', 'ima IMA_LIST_MISSING', secure, { evidence: withoutIma }],
  [
    'with an IMA list that is cut',
    'ima IMA_LIST_MALFORMED',
    secure,
    { evidence: { imaList: secure.evidence.imaList?.slice(0, -3) ?? new Uint8Array(1) } },
  ],
  [
    'with the IMA list of another machine',
    'ima IMA_REPLAY_WRONG',
    secure,
    { evidence: { imaList: insecure.evidence.imaList ?? new Uint8Array(1) } },
  ],
  ['that ran an unknown file', 'ima IMA_FILE_UNKNOWN', secure, { values: replaceKind('file') }],
  [
    'with a file that changed while it was measured',
    'ima IMA_VIOLATION',
    insecure,
    { policy: { ima: { violations: 'refuse' } } },
  ],
  [
    'with a PCR value changed',
    'pcr-digest PCR_DIGEST_WRONG',
    secure,
    {
      evidence: (it) => ({
        ...it,
        pcrs: it.pcrs.map((entry) => (entry.pcr === 4 ? { ...entry, value: new Uint8Array(32) } : entry)),
      }),
    },
  ],
  [
    'whose quote is for another nonce',
    'qualifying-data QUALIFYING_DATA_WRONG',
    secure,
    { nonce: new Uint8Array(32) },
  ],
  [
    'that quotes more than it is asked for',
    'pcr-selection PCR_SELECTION_WRONG',
    secure,
    { policy: { pcrs: { sha256: [0, 1, 2, 3, 4, 5, 6, 7, 10], exact: [0] } } },
  ],
  [
    'with a key that the policy does not admit',
    'attestation-key AK_PUBLIC_INVALID',
    secure,
    { policy: { attestationKeys: ['rsassa-2048', 'ecdsa-p384'] } },
  ],
  [
    'never seen before, where it must have been',
    'clock CLOCK_NOT_RECORDED',
    secure,
    { policy: { clock: { recordRequired: true } } },
  ],
  [
    'that breaks a rule',
    'rules RULE_BROKEN',
    secure,
    { policy: { rules: [{ id: 'two-loaders', expression: 'size(boot.loaders) >= 9', why: 'want nine' }] } },
  ],
  [
    'of which a rule knows nothing',
    'rules RULE_FAILED',
    secure,
    { policy: { rules: [{ id: 'tpm', expression: 'clock.vendor == "x"', why: 'the vendor' }] } },
  ],
];

describe('a machine is refused, with the reason [ATT-27] [ATT-28]', () => {
  test.each(rows)('%s: %s', (_, failure, machine, change) => {
    const result = appraise(appraisalOf(machine, change));
    expect(failuresOf(result)).toEqual([failure]);
    expect(result.verdict).toBe('contraindicated');
    expect(parseResult(encodeResult(result))).toEqual(result);
  });

  test('and a log that a messenger may have changed proves no fault [ATT-24]', () => {
    for (const evidence of [withoutLog, withoutIma]) {
      expect(appraise(appraisalOf(secure, { evidence })).authentic).toBe(false);
    }
  });
});

test('a boot order of 0001, 0000, which measures like an error separator, is none [ATT-27]', () => {
  const eventLog = writeAgileLog(['sha256'], bootEvents(40));
  expect(learnPolicy({ level: LEVEL.development, eventLog }).policy.firmware.errorSeparators).toBe('refuse');
  const capped = writeAgileLog(['sha256'], [...bootEvents(40), separator(1, 1)]);
  const lesson = learnPolicy({ level: LEVEL.development, eventLog: capped });
  expect(lesson.policy.firmware.errorSeparators).toBe('allow');
});

test('rules read what the logs established', () => {
  const expression =
    'boot.secureBoot && boot.loaders.size() > 0 && ima.entries > 0 && ' +
    'boot.commandLines.all(c, c.contains("quiet")) && pcrs["sha256:8"].startsWith("0000")';
  const result = appraise(
    appraisalOf(secure, { policy: { rules: [{ id: 'all', expression, why: 'everything' }] } }),
  );
  expect(failuresOf(result)).toEqual([]);
});

test('evidence is fresh by an epoch that still counts, and by nothing only where the policy says so [ATT-21]', () => {
  const nonce = fromHex(secure.recorded.nonce);
  const other = new Uint8Array(32);
  const byEpoch = { freshness: { accept: ['epoch'], epochsMax: 2 } };
  const judged = (epochs: readonly Uint8Array[], policy: object) =>
    appraise({ ...appraisalOf(secure, { policy }), expected: { epochs } });
  expect(judged([other, nonce], byEpoch).verdict).toBe('affirming');
  expect(failuresOf(judged([other, other, nonce], byEpoch))).toEqual([
    'qualifying-data QUALIFYING_DATA_WRONG',
  ]);
  expect(failuresOf(judged([nonce], {}))).toEqual(['qualifying-data QUALIFYING_DATA_UNCHECKED']);
  const anyTime = (policy: object) =>
    appraise({ ...appraisalOf(secure, { policy }), expected: { anyTime: true } });
  expect(anyTime({}).verdict).toBe('contraindicated');
  expect(anyTime({ freshness: { accept: ['none'] } }).verdict).toBe('warning');
});

test('every flipped bit of the event log is refused or changes nothing that is claimed [ATT-25]', () => {
  const input = appraisalOf(secure);
  const honest = appraise(input);
  const log = secure.evidence.eventLog ?? new Uint8Array(0);
  // One bit of every seventh byte: each field of each record is hit.
  for (let at = 0; at < log.length; at += 7) {
    const result = appraise({ ...input, evidence: { ...input.evidence, eventLog: changed(log, at) } });
    if (result.verdict !== 'affirming') continue;
    const known = ['secure-boot', 'boot-chain', 'command-line'];
    const claimed = (it: AttestationResult) =>
      it.claims.filter(({ name }) => known.includes(name)).map(({ claimed }) => claimed);
    expect(claimed(result), `byte ${at}`).toEqual(claimed(honest));
  }
});

function withoutLog({ eventLog: _, ...rest }: Evidence): Evidence {
  return rest;
}

function withoutIma({ imaList: _, ...rest }: Evidence): Evidence {
  return rest;
}

/** Where the SHA-256 digest of the first event is. */
function firstSha256(): number {
  const log = secure.evidence.eventLog ?? new Uint8Array(0);
  const digest = toHex(parseEventLog(log).events[1]?.digests.sha256 ?? log);
  return toHex(log).indexOf(digest) / 2;
}
