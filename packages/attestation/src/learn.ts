/** What one machine that somebody trusts as it stands teaches: a policy, and the reference values that it meets. */
import { bytesEqual, toHex } from '@nemea/core';
import type { AkProfile } from './ak-profile.ts';
import {
  type BootFacts,
  type BootMeasurement,
  bootFacts,
  LINE_PCRS,
  LOAD_OPTIONS_PCR,
} from './boot-facts.ts';
import { commandLineWords } from './command-line.ts';
import { AttestationError } from './errors.ts';
import {
  inspectEventLog,
  parseEventLog,
  type QuotedPcr,
  replayEventLog,
  verifyEventLog,
} from './eventlog/index.ts';
import { MEASURED_PCR, type MeasuredEvent, type PcrValue } from './evidence.ts';
import {
  BOOT_AGGREGATE,
  checkBootAggregate,
  findBootAggregate,
  IMA_PCR,
  type ImaEntry,
  parseImaList,
  pathOf,
  quotedPcr10,
  verifyIma,
} from './ima/index.ts';
import type { AssuranceLevel } from './level.ts';
import { type AppraisalPolicy, parsePolicy } from './policy.ts';
import {
  type ComponentKind,
  parseReferenceValuesDocument,
  type ReferenceComponent,
  type ReferenceValuesDocument,
} from './reference-values.ts';
import { replayBoot, replayLog } from './replay.ts';

/** A machine that somebody trusts as it stands. */
export interface GoldenMachine {
  readonly level: AssuranceLevel;
  readonly attestationKeys?: readonly AkProfile[] | undefined;
  /** SHA-256 registers; without them what the event log replays to is taken for them. */
  readonly pcrs?: readonly PcrValue[] | undefined;
  readonly eventLog?: Uint8Array | undefined;
  readonly imaList?: Uint8Array | undefined;
  /** What a node measured into PCR 14. */
  readonly log?: readonly MeasuredEvent[] | undefined;
}

/** What a golden machine teaches. */
export interface Lesson {
  readonly policy: AppraisalPolicy;
  readonly referenceValues: ReferenceValuesDocument;
}

const FIRMWARE_PCRS_MAX = 7;
/** Resettable registers, and those of a dynamic launch, teach nothing. */
const TAUGHT_PCRS_MAX = 15;
/** The firmware's own code: no other demand covers it. */
const CODE_PCR = 0;

/**
 * Demands of every machine what this one shows, no more and no less [ATT-29]. The result is in a stable order: two machines that measure the
 * same teach the same bytes. Throws `LEARNING_FAILED` when a log does not explain the registers, or what the parsers throw.
 */
export function learnPolicy(machine: GoldenMachine): Lesson {
  const pcrs = registersOf(machine);
  const boot = learnBoot(machine, pcrs);
  const ima = learnIma(machine, pcrs);
  const log = machine.log ?? [];
  const measured = pcrs.filter(
    ({ pcr, value }) => pcr <= FIRMWARE_PCRS_MAX && value.some((byte) => byte !== 0),
  );
  const commandLine = commandLineOf(boot, pcrs);
  const pinned = pinnedPcrs(boot, commandLine !== null);
  const exact = pcrs.filter(
    (it) => (it.pcr === CODE_PCR && measured.includes(it)) || (measured.length > 0 && pinned(it)),
  );
  const policy = parsePolicy({
    version: 1,
    levelMin: machine.level,
    ...(machine.attestationKeys === undefined ? {} : { attestationKeys: machine.attestationKeys }),
    pcrs: { sha256: pcrs.map(({ pcr }) => pcr), exact: exact.map(({ pcr }) => pcr) },
    firmware: {
      unmeasured: measured.length === 0 ? 'allow' : 'refuse',
      secureBoot: boot.secureBoot === true ? 'required' : 'any',
      commandLine,
      findings: sorted(boot.findings.map(({ quirk }) => quirk)),
      errorSeparators: boot.errorSeparators.length === 0 ? 'refuse' : 'allow',
    },
    ima: {
      list: ima === null ? 'not-demanded' : 'required',
      violations: ima?.some(({ violation }) => violation) === true ? 'allow' : 'refuse',
    },
    measuredLog: log.length === 0 ? 'not-demanded' : 'required',
  });
  return {
    policy,
    referenceValues: parseReferenceValuesDocument({
      version: 1,
      releases: digestsOf(log, 'release'),
      images: digestsOf(log, 'image'),
      components: inOrder([
        ...exact.map(({ pcr, value }) => component('pcr', `sha256:${pcr}`, `sha256:${toHex(value)}`)),
        ...boot.keys.map((it) => fromMeasurement('secure-boot-key', it)),
        ...boot.authorities.map((it) => fromMeasurement('boot-authority', it)),
        ...boot.loaders.map((it) => fromMeasurement('boot-loader', it)),
        ...(ima ?? []).flatMap(fromEntry),
      ]),
    }),
  };
}

function registersOf(machine: GoldenMachine): readonly PcrValue[] {
  const { pcrs, eventLog } = machine;
  const all =
    pcrs ??
    [
      ...((eventLog === undefined ? undefined : replayEventLog(parseEventLog(eventLog)).get('sha256')) ?? []),
    ].map(([pcr, value]) => ({ pcr, value }));
  const taught = all.filter(({ pcr }) => pcr <= TAUGHT_PCRS_MAX).sort((a, b) => a.pcr - b.pcr);
  if (taught.length === 0) throw failed('no SHA-256 register, and no event log that extends one');
  return machine.log?.length ? beforeNode(taught, machine.log, eventLog) : taught;
}

/** PCR 14 of a node as the boot left it: what it measured since is told by its log [ATT-30]. */
function beforeNode(
  pcrs: readonly PcrValue[],
  log: readonly MeasuredEvent[],
  eventLog: Uint8Array | undefined,
): PcrValue[] {
  const boot = replayBoot(eventLog === undefined ? null : parseEventLog(eventLog));
  if ('problem' in boot) throw failed(boot.problem);
  const register = pcrs.find(({ pcr }) => pcr === MEASURED_PCR);
  if (register === undefined) throw failed(`a node's log, and no PCR ${MEASURED_PCR} that vouches for it`);
  if (!bytesEqual(register.value, replayLog(log, boot.value))) {
    throw failed(`the node's log does not replay to PCR ${MEASURED_PCR}`);
  }
  return pcrs.map((it) => (it === register ? { ...it, value: boot.value } : it));
}

function learnBoot({ eventLog }: GoldenMachine, pcrs: readonly PcrValue[]): BootFacts {
  if (eventLog === undefined) {
    const measured = pcrs.find(
      ({ pcr, value }) => pcr <= FIRMWARE_PCRS_MAX && value.some((byte) => byte !== 0),
    );
    if (measured !== undefined) throw failed(`PCR ${measured.pcr} is measured, and no event log explains it`);
    return bootFacts(null, []);
  }
  const log = parseEventLog(eventLog);
  const quoted: QuotedPcr[] = pcrs.map(({ pcr, value }) => ({ bank: 'sha256', pcr, value }));
  const firmware = quoted.filter(({ pcr }) => pcr <= FIRMWARE_PCRS_MAX);
  const verification = verifyEventLog(log, firmware);
  if (!verification.ok) {
    const which = verification.mismatches.map(({ pcr }) => pcr).join(', ');
    throw failed(`the event log does not replay to PCR ${which}`);
  }
  const others = quoted.filter((it) => it.pcr > FIRMWARE_PCRS_MAX && verifyEventLog(log, [it]).ok);
  const whole = verifyEventLog(log, [...firmware, ...others]);
  const boot = whole.ok ? whole.boot : verification.boot;
  return bootFacts(boot, [...boot.findings, ...inspectEventLog(log)]);
}

function learnIma({ imaList }: GoldenMachine, pcrs: readonly PcrValue[]): readonly ImaEntry[] | null {
  if (imaList === undefined) return null;
  const pcr10 = pcrs.find(({ pcr }) => pcr === IMA_PCR);
  if (pcr10 === undefined) throw failed('an IMA list, and no PCR 10 that vouches for it');
  const list = parseImaList(imaList);
  const { ok, reason, from, to } = verifyIma(list, quotedPcr10({ sha256: pcr10.value }));
  if (!ok) throw failed(`the IMA list does not replay to PCR 10: ${reason}`);
  const aggregate = findBootAggregate(list);
  const quoted = new Map([['sha256' as const, new Map(pcrs.map(({ pcr, value }) => [pcr, value]))]]);
  // The judge compares aggregates, one for each kernel that kexec started, with the registers where those are quoted.
  const isTied = aggregate?.fields.kind === 'file' && checkBootAggregate(aggregate.fields.digest, quoted).ok;
  return list.entries.slice(from, to).filter((entry) => !isTied || pathOf(entry) !== BOOT_AGGREGATE);
}

/** Null where the machine does not show every line as text: then words cannot be demanded. */
function commandLineOf({ commandLines, unprovenTexts, explainedPcrs }: BootFacts, pcrs: readonly PcrValue[]) {
  const lines = pcrs.filter(({ pcr }) => LINE_PCRS.includes(pcr));
  const isShown = unprovenTexts.length === 0 && lines.every(({ pcr }) => explainedPcrs.includes(pcr));
  if (!isShown || !commandLines.some(({ pcr }) => LINE_PCRS.includes(pcr))) return null;
  return { allowed: sorted(commandLines.flatMap(({ text }) => commandLineWords(text))) };
}

/**
 * Registers of command lines that hold none stay so: nobody can pass a line to the kernel of a unified image, say. And
 * where only the kernel itself measured its line, as a digest, that register is the one thing to hold on to. PCR 14 is
 * what shim trusts; its events prove no names, so that only the whole says which list is which.
 */
function pinnedPcrs({ loadOptions, explainedPcrs }: BootFacts, hasText: boolean): (it: PcrValue) => boolean {
  const isDigestOnly = !hasText && loadOptions.length > 0 && explainedPcrs.includes(LOAD_OPTIONS_PCR);
  return ({ pcr, value }) =>
    pcr === MEASURED_PCR ||
    (LINE_PCRS.includes(pcr) && value.every((byte) => byte === 0)) ||
    (isDigestOnly && pcr === LOAD_OPTIONS_PCR);
}

function fromMeasurement(kind: ComponentKind, { name, digest }: BootMeasurement): ReferenceComponent {
  return component(kind, name, digest);
}

function fromEntry(entry: ImaEntry): ReferenceComponent[] {
  const { fields, violation } = entry;
  if (violation || fields.kind === 'unknown') return [];
  const digest = `${fields.digest.algorithm}:${toHex(fields.digest.value)}`;
  return [component(fields.kind === 'file' ? 'file' : 'ima-buffer', pathOf(entry), digest)];
}

function component(kind: ComponentKind, name: string, digest: string): ReferenceComponent {
  return { kind, name, digests: [digest] };
}

/** One component for each kind and name, with all its digests. */
function inOrder(components: readonly ReferenceComponent[]): ReferenceComponent[] {
  const merged = new Map<string, ReferenceComponent>();
  for (const it of components) {
    const id = `${it.kind} ${it.name}`;
    merged.set(id, { ...it, digests: sorted([...(merged.get(id)?.digests ?? []), ...it.digests]) });
  }
  return [...merged].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, it]) => it);
}

function digestsOf(log: readonly MeasuredEvent[], kind: MeasuredEvent['kind']): string[] {
  return sorted(log.filter((event) => event.kind === kind).map(({ digest }) => toHex(digest)));
}

function sorted<T extends string>(values: readonly T[]): T[] {
  return [...new Set(values)].sort();
}

function failed(message: string): AttestationError {
  return new AttestationError('LEARNING_FAILED', message);
}
