/** The claims about how the machine booted, from events that replay to the quoted registers. */
import type { Appraisal } from './appraisal.ts';
import { type BootFacts, type BootMeasurement, LINE_PCRS } from './boot-facts.ts';
import { affirm, claimOf, leaveOut, notDemanded, printable, refuse } from './claim.ts';
import { findCommandLineFault } from './command-line.ts';
import { type ComponentKind, countReferences, findReferences } from './reference-values.ts';
import type { AppraisedClaim } from './result.ts';

const UNMEASURED = 'no measured boot, which the policy allows';

/** Secure Boot was on, and its keys are known [ATT-25]. */
export function appraiseSecureBoot(
  input: Appraisal,
  firmware: AppraisedClaim,
  boot: BootFacts,
): AppraisedClaim {
  const { secureBoot, keys } = input.policy.firmware;
  const unknown =
    keys === 'any' ? undefined : boot.keys.find((key) => !isReference(input, 'secure-boot-key', key));
  const claim = claimOf(
    'secure-boot',
    sourceOf(unknown ?? boot.secureBootEvent),
    unknown?.digest ?? describe(boot.secureBoot),
    keys === 'any' ? null : `${countReferences(input.referenceValues, 'secure-boot-key')} keys`,
  );
  if (firmware.verdict !== 'affirming') return leaveOut(claim);
  if (!boot.isMeasured) return notDemanded(claim, UNMEASURED);
  if (secureBoot === 'required' && boot.secureBoot !== true) {
    return boot.secureBoot === null
      ? refuse(claim, 'SECURE_BOOT_UNKNOWN', 'no event says whether Secure Boot was on')
      : refuse(claim, 'SECURE_BOOT_OFF', 'Secure Boot was off');
  }
  if (unknown !== undefined) {
    return refuse(claim, 'SECURE_BOOT_KEY_UNKNOWN', `${printable(unknown.name)} is no reference value`);
  }
  if (secureBoot === 'any' && keys === 'any')
    return notDemanded(claim, `Secure Boot was ${describe(boot.secureBoot)}`);
  const which = keys === 'any' ? 'its keys are not judged' : `${boot.keys.length} key lists are known`;
  return affirm(claim, `Secure Boot was ${describe(boot.secureBoot)}; ${which}`);
}

/** Every image that was loaded, and what authorised it, is known [ATT-25]. */
export function appraiseBootChain(
  input: Appraisal,
  firmware: AppraisedClaim,
  boot: BootFacts,
): AppraisedClaim {
  const { loaders, authorities } = input.policy.firmware;
  const unknownLoader =
    loaders === 'any' ? undefined : boot.loaders.find((it) => !isReference(input, 'boot-loader', it));
  const unknownAuthority =
    authorities === 'any'
      ? undefined
      : boot.authorities.find((it) => !isReference(input, 'boot-authority', it));
  const unknown = unknownLoader ?? unknownAuthority;
  const claim = claimOf(
    'boot-chain',
    unknown === undefined ? rangeOf([...boot.loaders, ...boot.authorities]) : sourceOf(unknown),
    unknown?.digest ?? boot.loaders.length,
    `${countReferences(input.referenceValues, 'boot-loader')} loaders, ${countReferences(input.referenceValues, 'boot-authority')} authorities`,
  );
  if (firmware.verdict !== 'affirming') return leaveOut(claim);
  if (!boot.isMeasured) return notDemanded(claim, UNMEASURED);
  if (unknownLoader !== undefined) {
    return refuse(claim, 'BOOT_LOADER_UNKNOWN', `${printable(unknownLoader.name)} is no reference value`);
  }
  if (unknownAuthority !== undefined) {
    return refuse(
      claim,
      'BOOT_AUTHORITY_UNKNOWN',
      `${printable(unknownAuthority.name)} is no reference value`,
    );
  }
  if (loaders === 'any' && authorities === 'any') {
    return notDemanded(claim, `${boot.loaders.length} images were loaded; the policy does not judge them`);
  }
  if (loaders === 'reference' && boot.loaders.length === 0) {
    return refuse(claim, 'BOOT_LOADER_MISSING', 'no loaded image was measured');
  }
  return affirm(claim, `${boot.loaders.length} images and ${boot.authorities.length} authorities are known`);
}

/** Words of each measured kernel command line are allowed [ATT-26]. */
export function appraiseCommandLine(
  input: Appraisal,
  firmware: AppraisedClaim,
  boot: BootFacts,
): AppraisedClaim {
  const demand = input.policy.firmware.commandLine;
  const fault = demand === null ? null : findCommandLineFault(boot.commandLines, boot.texts, demand);
  const line = fault?.line ?? boot.commandLines[0];
  const claim = claimOf(
    'command-line',
    line === undefined ? 'evidence.eventLog' : sourceOf(line),
    line === undefined ? null : printable(line.text, 500),
    fault === null ? null : printable(fault.word),
  );
  if (firmware.verdict !== 'affirming') return leaveOut(claim);
  if (!boot.isMeasured) return notDemanded(claim, UNMEASURED);
  if (demand === null) return notDemanded(claim, 'the policy does not judge the kernel command line');
  if (fault !== null)
    return refuse(claim, fault.reason, `${fault.why} ${JSON.stringify(printable(fault.word))}`);
  const isExact = (pcr: number): boolean => input.policy.pcrs.exact.includes(pcr);
  const unexplained = unexplainedLinePcr(input, boot);
  if (unexplained !== undefined && !isExact(unexplained)) {
    const why = `the log does not explain PCR ${unexplained}, where another command line may be`;
    return refuse({ ...claim, source: `evidence.pcrs PCR ${unexplained}` }, 'COMMAND_LINE_UNPROVEN', why);
  }
  const unproven = boot.unprovenTexts.find(({ pcr }) => !isExact(pcr));
  if (unproven !== undefined) {
    const why = 'the log does not show the text that was measured';
    return refuse({ ...claim, source: sourceOf(unproven) }, 'COMMAND_LINE_UNPROVEN', why);
  }
  // Whoever runs the machine can measure a harmless line elsewhere, so one in another register does not count as there.
  if (!boot.commandLines.some(({ pcr }) => LINE_PCRS.includes(pcr))) {
    return refuse(
      claim,
      'COMMAND_LINE_MISSING',
      `no kernel command line was measured into PCR ${LINE_PCRS.join(' or ')}`,
    );
  }
  return affirm(claim, `${boot.commandLines.length} kernel command lines have only allowed words`);
}

/** Nothing is in the log that the policy forbids: event types, error separators, oddities [ATT-27]. */
export function appraiseFirmwareEvents(
  input: Appraisal,
  firmware: AppraisedClaim,
  boot: BootFacts,
): AppraisedClaim {
  const { forbiddenEvents, errorSeparators, findings } = input.policy.firmware;
  const forbidden = boot.events.find(({ typeName }) => forbiddenEvents.includes(typeName));
  const separator = errorSeparators === 'refuse' ? boot.errorSeparators[0] : undefined;
  const isTolerated = (quirk: string): boolean =>
    findings === 'any' || findings.includes(quirk) || quirk === 'separator-error';
  const finding = boot.findings.find(({ quirk }) => !isTolerated(quirk));
  const number = forbidden?.number ?? separator?.number ?? finding?.event ?? null;
  const claim = claimOf(
    'firmware-events',
    number === null ? `evidence.eventLog, ${boot.events.length} events` : `evidence.eventLog event ${number}`,
    boot.events.length,
    null,
  );
  if (firmware.verdict !== 'affirming') return leaveOut(claim);
  if (!boot.isMeasured) return notDemanded(claim, UNMEASURED);
  if (forbidden !== undefined) {
    return refuse(
      claim,
      'FIRMWARE_EVENT_FORBIDDEN',
      `${printable(forbidden.typeName)} in PCR ${forbidden.pcr}`,
    );
  }
  if (separator !== undefined) {
    return refuse(claim, 'FIRMWARE_ERROR_SEPARATOR', `the firmware told an error in PCR ${separator.pcr}`);
  }
  if (finding !== undefined) {
    return refuse(claim, 'FIRMWARE_FINDING', `${finding.quirk}: ${printable(finding.message)}`);
  }
  return affirm(claim, `${boot.events.length} events, none that the policy forbids`);
}

function isReference(input: Appraisal, kind: ComponentKind, { digest, name }: BootMeasurement): boolean {
  const found = findReferences(input.referenceValues, kind, digest);
  // A key list is good in its own place only: the vendor's db is no KEK.
  return kind === 'secure-boot-key' ? found.some((it) => it.name === name) : found.length > 0;
}

/** A quoted register that a boot loader measures command lines into, and whose events are not believed. */
function unexplainedLinePcr({ evidence }: Appraisal, boot: BootFacts): number | undefined {
  return LINE_PCRS.find(
    (pcr) => evidence.pcrs.some((it) => it.pcr === pcr) && !boot.explainedPcrs.includes(pcr),
  );
}

function describe(secureBoot: boolean | null): string {
  return secureBoot === null ? 'not measured' : secureBoot ? 'on' : 'off';
}

function sourceOf(measurement: { readonly event: number } | null): string {
  return measurement === null ? 'evidence.eventLog' : `evidence.eventLog event ${measurement.event}`;
}

function rangeOf(measurements: readonly { readonly event: number }[]): string {
  const numbers = measurements.map(({ event }) => event);
  if (numbers.length === 0) return 'evidence.eventLog';
  return `evidence.eventLog events ${Math.min(...numbers)} to ${Math.max(...numbers)}`;
}
