import { fromUtf8, sha256, toHex } from '@nemea/core';
import { TEMPLATES, type TpmKey } from '@nemea/tpm';
import { startTestTpm } from '@nemea/tpm/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Appraisal } from './appraisal.ts';
import { appraise } from './appraise.ts';
import { collectEvidence, type Quoter } from './attester.ts';
import { parseEventLog } from './eventlog/index.ts';
import { bootEvents, shimVariable, type WrittenEvent, writeAgileLog } from './eventlog/testing.ts';
import { encodeEvidence, eventDigest, parseEvidence } from './evidence.ts';
import { learnPolicy } from './learn.ts';
import { LEVEL } from './level.ts';
import { MeasuredLog } from './measured-log.ts';
import { parseReferenceValues } from './reference-values.ts';
import { failedClaims } from './result.ts';
import { EXPECTED, IMAGE, NODE_POLICY, RELEASE, RUN } from './testing.ts';

let server: Awaited<ReturnType<typeof startTestTpm>>;
let ak: TpmKey;
let log: MeasuredLog;
let identity: Quoter;

beforeAll(async () => {
  server = await startTestTpm();
  ak = await server.tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
  identity = { quote: (request) => server.tpm.quote(ak, request) };
  log = await MeasuredLog.open({ tpm: server.tpm });
  for (const { kind, digest, name } of [RELEASE, IMAGE]) await log.measure({ kind, digest, name });
});

afterAll(async () => {
  await server.stop();
});

async function appraisal(challenge = EXPECTED.challenge): Promise<Appraisal> {
  const evidence = await collectEvidence({ tpm: server.tpm, identity, log, ...EXPECTED, challenge });
  return {
    evidence: parseEvidence(encodeEvidence(evidence)),
    endorsements: { akPublic: ak.publicArea, level: LEVEL.development },
    referenceValues: { releases: new Set([toHex(RELEASE.digest)]), images: new Set([toHex(IMAGE.digest)]) },
    policy: NODE_POLICY,
    expected: { ...EXPECTED, challenge },
    nowMs: 1,
  };
}

describe('evidence of a software TPM that shim booted', () => {
  const mok = shimVariable('MokList', fromUtf8('keys of the owner'));
  const shim = [
    mok,
    shimVariable('MokListTrusted', Uint8Array.of(1)),
    shimVariable('MokSBState', fromUtf8('0')),
  ];

  /** A TPM that was extended with every event of a log, as firmware and shim do it. */
  async function boot(events: readonly WrittenEvent[]) {
    const machine = await startTestTpm();
    const eventLog = writeAgileLog(['sha256'], events);
    for (const { pcr, type, digests } of parseEventLog(eventLog).events) {
      if (type !== 3 && digests.sha256 !== undefined) await machine.tpm.pcrExtend(pcr, digests.sha256);
    }
    return { ...machine, eventLog };
  }

  async function evidenceOf({ tpm, eventLog }: Awaited<ReturnType<typeof boot>>): Promise<Appraisal> {
    const key = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
    const measured = await MeasuredLog.open({ tpm, eventLog });
    for (const { kind, digest, name } of [RELEASE, IMAGE]) await measured.measure({ kind, digest, name });
    const evidence = await collectEvidence({
      ...{ tpm, log: measured, ...EXPECTED, eventLog: async () => eventLog },
      identity: { quote: (request) => tpm.quote(key, request) },
    });
    const endorsements = { akPublic: key.publicArea, level: LEVEL.development };
    return { ...(await appraisal()), evidence: parseEvidence(encodeEvidence(evidence)), endorsements };
  }

  test('is affirmed behind what shim measured, which a golden machine pins [ATT-30]', async () => {
    const [golden, other] = await Promise.all([
      boot([...FIRMWARE, ...shim]),
      boot([...FIRMWARE, ...shim.with(0, { ...mok, measured: fromUtf8('keys of somebody else') })]),
    ]);
    const [honest, foreign] = await Promise.all([evidenceOf(golden), evidenceOf(other)]);
    for (const input of [honest, foreign]) expect(failedClaims(appraise(input))).toEqual([]);
    const lesson = learnPolicy({ level: LEVEL.development, ...honest.evidence });
    expect(lesson.policy.pcrs.exact).toContain(14);
    const taught = {
      policy: { ...lesson.policy, clock: NODE_POLICY.clock },
      referenceValues: parseReferenceValues(lesson.referenceValues),
    };
    expect(failedClaims(appraise({ ...honest, ...taught }))).toEqual([]);
    const failed = failedClaims(appraise({ ...foreign, ...taught }));
    expect(failed.map(({ reason, source }) => `${reason} ${source}`)).toEqual([
      'PCR_VALUE_UNKNOWN evidence.pcrs PCR 14',
    ]);
    for (const change of [
      { log: [RELEASE] },
      { eventLog: writeAgileLog(['sha256'], FIRMWARE) },
      { pcrs: honest.evidence.pcrs.filter(({ pcr }) => pcr !== 14) },
    ]) {
      const machine = { level: LEVEL.development, ...honest.evidence, ...change };
      expect(() => learnPolicy(machine)).toThrow(expect.objectContaining({ code: 'LEARNING_FAILED' }));
    }
    const cut = writeAgileLog(['sha256'], FIRMWARE);
    const without = appraise({ ...honest, evidence: { ...honest.evidence, eventLog: cut } });
    expect(failedClaims(without).map(({ reason }) => reason)).toEqual(['MEASURED_LOG_REPLAY_WRONG']);
    expect(without.authentic).toBe(false);
    await Promise.all([golden.stop(), other.stop()]);
  });
});

/** Of a machine whose firmware starts TPM2_Startup as a software TPM does, from locality 0. */
const FIRMWARE = bootEvents(40).filter(({ type }) => type !== 'EV_NO_ACTION');

describe('evidence of a software TPM', () => {
  test('is affirmed, and again with its own clock as the record', async () => {
    const first = appraise(await appraisal());
    expect(failedClaims(first)).toEqual([]);
    const clockBefore = first.clock ?? undefined;
    const second = appraise({ ...(await appraisal(sha256(fromUtf8('second')))), clockBefore });
    expect(second.verdict).toBe('affirming');
    expect(second.akName).toEqual(ak.name);
  });

  test('is affirmed two hundred times, whichever way the signature falls', async () => {
    for (let i = 0; i < 200; i++)
      expect(appraise(await appraisal(sha256(Uint8Array.of(i)))).verdict).toBe('affirming');
  });

  test('is consistent while the node measures', async () => {
    const busy = Array.from({ length: 20 }, () => log.measure({ kind: 'run', digest: RUN.digest, name: '' }));
    const collected = Array.from({ length: 20 }, () => appraisal());
    await Promise.all(busy);
    for (const input of await Promise.all(collected)) expect(failedClaims(appraise(input))).toEqual([]);
  });

  test('is taken again when another process extends a register in between', async () => {
    let reads = 0;
    const disturbed = {
      pcrRead: async (pcrs: readonly number[]) => {
        const values = await server.tpm.pcrRead(pcrs);
        reads++;
        if (reads === 1) await server.tpm.pcrExtend(7, eventDigest(RUN));
        return values;
      },
    };
    const evidence = await collectEvidence({ tpm: disturbed, identity, log, ...EXPECTED });
    expect(reads).toBe(2);
    const result = appraise({ ...(await appraisal()), evidence });
    // PCR 7 is measured now, and nothing explains it. A messenger may have left out the log, so it proves no fault.
    expect(failedClaims(result).map(({ reason }) => reason)).toEqual(['FIRMWARE_NO_EVENT_LOG']);
    expect(result.authentic).toBe(false);
  });

  test('is given up when the registers never rest', async () => {
    const restless = {
      pcrRead: async (pcrs: readonly number[]) => {
        const values = await server.tpm.pcrRead(pcrs);
        await server.tpm.pcrExtend(7, eventDigest(RUN));
        return values;
      },
    };
    const collected = collectEvidence({ tpm: restless, identity, log, ...EXPECTED });
    await expect(collected).rejects.toMatchObject({ code: 'EVIDENCE_UNSTABLE' });
  });

  test('of a changed release is refused', async () => {
    await log.measure({ kind: 'release', digest: sha256(fromUtf8('tampered')), name: 'tampered' });
    const reasons = failedClaims(appraise(await appraisal())).map(({ reason }) => reason);
    expect(reasons).toContain('RELEASE_NOT_APPROVED');
  });
});
