import { concatBytes, fromUtf8, sha256 } from '@nemea/core';
import { encodePcrSelection, pcrDigest } from '@nemea/tpm/structures';
import { describe, expect, test } from 'vitest';
import { appraise } from './appraise.ts';
import type { PcrValue } from './evidence.ts';
import {
  bufferEntry,
  digestField,
  fileEntry,
  nameField,
  pcr10After,
  type WrittenEntry,
  writeBinary,
} from './ima/testing.ts';
import { type Lesson, learnPolicy } from './learn.ts';
import { LEVEL } from './level.ts';
import { parseReferenceValues } from './reference-values.ts';
import { failedClaims } from './result.ts';
import { encodeQuote, softwareAk } from './testing.ts';

const NONCE = sha256(fromUtf8('nonce'));
const ak = softwareAk('golden');
const ZERO = new Uint8Array(32);

/** Of a machine whose firmware measured nothing; `content` is what its kernel hashed instead of PCR 0 to 9. */
function aggregate(content = concatBytes(...Array.from({ length: 10 }, () => ZERO))): WrittenEntry {
  return { template: 'ima-ng', fields: [digestField(sha256(content)), nameField('boot_aggregate')] };
}

/** A kernel, and another one that kexec started with the list of the first. */
const carried = (first: WrittenEntry, second: WrittenEntry): readonly WrittenEntry[] => [
  ...[first, fileEntry('/init'), bufferEntry('kexec-cmdline', fromUtf8('quiet'))],
  ...[second, fileEntry('/init'), fileEntry('/bin/sh')],
];

function machineOf(entries: readonly WrittenEntry[], registers: readonly number[]) {
  const pcrs = registers.map((pcr): PcrValue => {
    return { pcr, value: pcr === 10 ? pcr10After(entries, 'sha256') : ZERO };
  });
  return { level: LEVEL.development, pcrs, imaList: writeBinary(entries) };
}

function reasonsOf({ pcrs, imaList }: ReturnType<typeof machineOf>, lesson: Lesson): string[] {
  const attest = encodeQuote({
    ...{ magic: 0xff544347, type: 0x8018, extraData: NONCE, trailing: new Uint8Array(0) },
    ...{ clock: 1n, resetCount: 1, restartCount: 0, safe: 1 },
    selection: encodePcrSelection(pcrs.map(({ pcr }) => pcr)),
    pcrDigest: pcrDigest(pcrs.map(({ value }) => value)),
  });
  const result = appraise({
    evidence: { version: 2, attest, signature: ak.sign(attest), pcrs, log: [], binding: ZERO, imaList },
    endorsements: { akPublic: ak.akPublic, level: LEVEL.development },
    policy: lesson.policy,
    referenceValues: parseReferenceValues(lesson.referenceValues),
    expected: { nonce: NONCE },
    nowMs: 0,
  });
  return failedClaims(result).map(({ reason }) => reason);
}

const filesOf = ({ referenceValues }: Lesson): string[] =>
  (referenceValues.components ?? []).filter(({ kind }) => kind === 'file').map(({ name }) => name);

const WITH_LOADERS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const WITHOUT_LOADERS = [0, 1, 2, 3, 4, 5, 6, 7, 10];

describe('a golden machine with an IMA list [ATT-29]', () => {
  test('that kexec carried over meets what it teaches; no boot_aggregate is taught where registers show it', () => {
    const machine = machineOf(carried(aggregate(), aggregate()), WITH_LOADERS);
    const lesson = learnPolicy(machine);
    expect(filesOf(lesson)).toEqual(['/bin/sh', '/init']);
    expect(reasonsOf(machine, lesson)).toEqual([]);
    const other = machineOf(carried(aggregate(), aggregate(fromUtf8('another boot'))), WITH_LOADERS);
    expect(reasonsOf(other, lesson)).toEqual(['IMA_FILE_UNKNOWN']);
  });

  test('teaches boot_aggregate where the registers of boot loaders are not quoted', () => {
    const start = (first: WrittenEntry) => machineOf([first, fileEntry('/init')], WITHOUT_LOADERS);
    const lesson = learnPolicy(start(aggregate()));
    expect(filesOf(lesson)).toEqual(['/init', 'boot_aggregate']);
    expect(reasonsOf(start(aggregate()), lesson)).toEqual([]);
    expect(reasonsOf(start(aggregate(fromUtf8('another boot'))), lesson)).toEqual(['IMA_FILE_UNKNOWN']);
  });
});
