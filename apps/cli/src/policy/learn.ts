import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkAkProfile, type PcrValue } from '@nemea/attestation';
import { type GoldenMachine, learnPolicy } from '@nemea/attestation/learn';
import { CodedError, fromHex } from '@nemea/core';
import { z } from 'zod';
import { levelOf, readAk, readEvidence } from '../attest/file.ts';
import { makeFolder, readFile, readJson, writeFile } from '../files.ts';
import { openTpmAt } from '../tpm-address.ts';

export class LearnError extends CodedError<'PCRS_INVALID' | 'SOURCE_NEEDED'> {}

export interface LearnOptions {
  readonly out: string;
  readonly evidence?: string;
  readonly tpm?: string;
  readonly eventlog?: string;
  readonly ima?: string;
  readonly pcrs?: string;
  readonly ak?: string;
  readonly level?: string;
}

const KERNEL_EVENT_LOG = '/sys/kernel/security/tpm0/binary_bios_measurements';
const KERNEL_IMA_LIST = '/sys/kernel/security/ima/binary_runtime_measurements';
const TAUGHT_PCRS = Array.from({ length: 16 }, (_, pcr) => pcr);

/** Writes policy.json and reference-values.json; says where, and how many components they name. */
export async function learn(options: LearnOptions): Promise<{ files: string[]; components: number }> {
  const machine = await machineOf(options);
  const attestationKeys = options.ak === undefined ? undefined : [checkAkProfile(readAk(options)).profile];
  const { policy, referenceValues } = learnPolicy({
    ...machine,
    attestationKeys,
    level: levelOf(options.level),
  });
  makeFolder(options.out);
  const files = Object.entries({ 'policy.json': policy, 'reference-values.json': referenceValues }).map(
    ([name, value]) => {
      const path = join(options.out, name);
      writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
      return path;
    },
  );
  return { files, components: referenceValues.components?.length ?? 0 };
}

async function machineOf(options: LearnOptions): Promise<Omit<GoldenMachine, 'level'>> {
  const { evidence, tpm, eventlog, ima, pcrs } = options;
  if (evidence !== undefined) {
    const { pcrs: values, log, eventLog, imaList } = readEvidence(evidence);
    return { pcrs: values, log, eventLog, imaList };
  }
  if (tpm !== undefined) return await liveMachine(tpm, options);
  if (eventlog === undefined && pcrs === undefined) {
    throw new LearnError('SOURCE_NEEDED', 'name a golden machine: --evidence, --tpm, --eventlog or --pcrs');
  }
  return {
    pcrs: pcrs === undefined ? undefined : readPcrs(pcrs),
    eventLog: optional(eventlog),
    imaList: optional(ima),
  };
}

/** Registers first: a list that grows meanwhile is longer than its register explains, never shorter. */
async function liveMachine(address: string, options: LearnOptions): Promise<Omit<GoldenMachine, 'level'>> {
  const isDevice = address.startsWith('device:');
  const kernels = (path: string): string | undefined => (isDevice && existsSync(path) ? path : undefined);
  const tpm = await openTpmAt(address);
  try {
    const pcrs = await tpm.pcrRead(TAUGHT_PCRS);
    return {
      pcrs,
      eventLog: optional(options.eventlog ?? kernels(KERNEL_EVENT_LOG)),
      imaList: optional(options.ima ?? kernels(KERNEL_IMA_LIST)),
    };
  } finally {
    await tpm.close();
  }
}

function optional(file: string | undefined): Uint8Array | undefined {
  return file === undefined ? undefined : readFile(file);
}

const pcrsSchema = z.looseObject({
  sha256: z.record(z.string().regex(/^(?:0|[1-9]|1\d|2[0-3])$/), z.string().regex(/^[0-9a-f]{64}$/i)),
});

/** As `nemea quote make` writes them. */
export function readPcrs(file: string): PcrValue[] {
  const parsed = pcrsSchema.safeParse(readJson(file));
  if (!parsed.success) throw new LearnError('PCRS_INVALID', `${file}: ${z.prettifyError(parsed.error)}`);
  return Object.entries(parsed.data.sha256)
    .map(([pcr, value]) => ({ pcr: Number(pcr), value: fromHex(value) }))
    .sort((a, b) => a.pcr - b.pcr);
}
