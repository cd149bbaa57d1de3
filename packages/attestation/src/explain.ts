/** A policy in plain sentences: what it demands of a machine, and why that matters. */
import { LINE_PCRS } from './boot-facts.ts';
import { MEASURED_PCR } from './evidence.ts';
import { IMA_PCR } from './ima/index.ts';
import { levelName } from './level.ts';
import type { AppraisalPolicy } from './policy.ts';
import type { ComponentKind, ReferenceValuesDocument } from './reference-values.ts';

/** A field of a policy in words. */
export interface Sentence {
  /** The field of the policy that it explains. */
  readonly field: string;
  readonly demand: string;
  readonly why: string;
}

/** One sentence for each field, in the order of the document. */
export function explainPolicy(policy: AppraisalPolicy, values?: ReferenceValuesDocument): Sentence[] {
  return [
    ...explainKey(policy),
    ...explainTime(policy),
    ...explainRegisters(policy, values),
    ...explainFirmware(policy, values),
    ...explainIma(policy, values),
    ...explainSoftware(policy, values),
    ...policy.rules.map(({ id, expression, why }) =>
      sentence(`rules ${id}`, `This must be true: ${expression}`, why),
    ),
  ];
}

function explainKey({ levelMin, attestationKeys }: AppraisalPolicy): Sentence[] {
  return [
    sentence(
      'levelMin',
      `The machine's assurance level is at least ${levelName(levelMin)}.`,
      levelMin === 1
        ? 'A software TPM passes: its host can read every key in it, so this is good for development only.'
        : 'A TPM is as honest as whoever can open it; the level says who that is.',
    ),
    sentence(
      'attestationKeys',
      `The attestation key is one of ${attestationKeys.join(', ')}, made by the TPM, and signs only what the TPM says.`,
      'Any other key could sign an invented quote.',
    ),
  ];
}

function explainTime({ freshness, clock }: AppraisalPolicy): Sentence[] {
  const by = {
    challenge: "the verifier's nonce",
    epoch: `one of the newest ${freshness.epochsMax} epochs`,
    none: 'nothing',
  };
  return [
    sentence(
      'freshness',
      `The evidence is fresh by ${freshness.accept.map((it) => by[it]).join(' or ')}.`,
      freshness.accept.includes('none')
        ? 'Evidence of any age passes with a warning: it may show the machine as it was long ago.'
        : 'Old evidence shows the machine as it was, not as it is.',
    ),
    sentence(
      'clock',
      `The TPM's clock and counters did not go back${clock.recordRequired ? ', and were seen before' : ''}; a clock that may repeat ${clock.unsafe === 'refuse' ? 'is refused' : 'is a warning'}.`,
      'A clone or a rolled-back TPM shows here.',
    ),
  ];
}

function explainRegisters(policy: AppraisalPolicy, values?: ReferenceValuesDocument): Sentence[] {
  const { pcrs } = policy;
  const banks = [
    `SHA-256: ${pcrs.sha256.join(', ')}`,
    ...(pcrs.sha384.length > 0 ? [`SHA-384: ${pcrs.sha384.join(', ')}`] : []),
  ];
  const exact =
    pcrs.exact.length === 0
      ? 'No register must have a certain value.'
      : `PCR ${pcrs.exact.join(', ')} ${pcrs.exact.length === 1 ? 'has' : 'have'} a reference value (${count(values, 'pcr')}).`;
  return [
    sentence(
      'pcrs',
      `The quote selects ${banks.join('; ')}${pcrs.others === 'refuse' ? ', and nothing else' : ' at least'}.`,
      'What is not quoted is not known.',
    ),
    sentence('pcrs.exact', exact, whyExact(pcrs.exact)),
    ...unjudgedRegisters(policy),
  ];
}

const FIRMWARE_PCRS_MAX = 7;

/** A reader must not take a quoted register for a judged one. */
function unjudgedRegisters({ pcrs, firmware, ima, measuredLog, rules }: AppraisalPolicy): Sentence[] {
  const judged = new Set(pcrs.exact);
  if (firmware.unmeasured === 'refuse') for (let pcr = 0; pcr <= FIRMWARE_PCRS_MAX; pcr++) judged.add(pcr);
  if (firmware.commandLine !== null) for (const pcr of LINE_PCRS) judged.add(pcr);
  if (ima.list === 'required') judged.add(IMA_PCR);
  if (measuredLog === 'required') judged.add(MEASURED_PCR);
  const rest = pcrs.sha256.filter((pcr) => !judged.has(pcr));
  if (rest.length === 0) return [];
  const but = rules.length === 0 ? '' : ', unless a rule below does';
  return [
    sentence(
      'pcrs (not judged)',
      `PCR ${rest.join(', ')} may hold anything${but}.`,
      'They change for good reasons on many machines. To judge one, name it in pcrs.exact and give its value.',
    ),
  ];
}

const REGISTERS: Readonly<Record<number, string>> = {
  0: "PCR 0 is the firmware's own code",
  8: 'PCR 8 is what GRUB runs and passes to the kernel',
  9: 'PCR 9 is the initrd and the command line as the kernel measured them',
  12: 'PCR 12 is what somebody passed to the kernel of a unified image',
  14: 'PCR 14 is what shim trusts besides, such as keys of the owner (MOK), up to where a node starts its own log there',
};

function whyExact(exact: readonly number[]): string {
  const known = exact.flatMap((pcr) => REGISTERS[pcr] ?? []);
  const what = known.length === 0 ? '' : `${known.join('; ')}. `;
  return `${what}An exact value admits one state only: where it is not zero, it has to be learnt anew with each update.`;
}

function explainFirmware({ firmware, pcrs }: AppraisalPolicy, values?: ReferenceValuesDocument): Sentence[] {
  const { unmeasured, secureBoot, keys, authorities, loaders, commandLine, forbiddenEvents, findings } =
    firmware;
  const known = (mode: 'reference' | 'any', what: string, kind: ComponentKind): string =>
    mode === 'any'
      ? `${what} are not judged.`
      : `${what} are among the reference values (${count(values, kind)}).`;
  return [
    unmeasured === 'allow'
      ? sentence(
          'firmware.unmeasured',
          'A machine that measured nothing while it booted passes.',
          'Then nothing is known about its firmware and kernel.',
        )
      : sentence(
          'firmware.unmeasured',
          'The machine measured its boot, and its event log replays to PCR 0 to 7.',
          'The log says what the registers mean.',
        ),
    secureBoot === 'required'
      ? sentence(
          'firmware.secureBoot',
          'Secure Boot was on.',
          'With Secure Boot the firmware starts only what its keys allow.',
        )
      : sentence(
          'firmware.secureBoot',
          'Secure Boot may have been off.',
          'Then the firmware starts whatever it finds.',
        ),
    sentence(
      'firmware.keys',
      known(keys, 'PK, KEK, db and dbx', 'secure-boot-key'),
      keys === 'any'
        ? 'Then anybody may have decided what may start.'
        : 'Who owns these keys decides what may start.',
    ),
    sentence(
      'firmware.authorities',
      known(authorities, 'The keys that let each image start', 'boot-authority'),
      authorities === 'any'
        ? "Then anybody's software may have been started, if db allows it."
        : 'They say whose software was started.',
    ),
    sentence(
      'firmware.loaders',
      known(loaders, 'The images that were started', 'boot-loader'),
      loaders === 'any'
        ? 'Then an old one passes, too, that is signed but has known holes.'
        : 'A signed loader may still be an old one with known holes.',
    ),
    sentence(
      'firmware.commandLine',
      commandLineText(commandLine),
      commandLine === null ? whyNoCommandLine(pcrs.exact) : `Words such as ${UNDOING} undo what was signed.`,
    ),
    sentence(
      'firmware.forbiddenEvents',
      forbiddenEvents.length === 0
        ? 'No type of event is forbidden.'
        : `Events of these types are refused: ${forbiddenEvents.join(', ')}.`,
      'Some events tell of something that should not happen on this machine.',
    ),
    firmware.errorSeparators === 'refuse'
      ? sentence(
          'firmware.errorSeparators',
          'A separator that tells of an error is refused.',
          'With it the firmware says that it could not measure as it should.',
        )
      : sentence(
          'firmware.errorSeparators',
          'A separator that tells of an error passes.',
          'Then registers may lack what the firmware could not measure.',
        ),
    sentence(
      'firmware.findings',
      findings === 'any'
        ? 'Every oddity of firmware is tolerated.'
        : `Oddities of firmware are refused${findings.length === 0 ? '' : `, but for ${findings.join(', ')}`}.`,
      'Each is a place where the log says other things than its specification.',
    ),
  ];
}

const UNDOING = 'init= or module.sig_enforce=0';
/** Where boot loaders, the kernel and stubs measure command lines. */
const COMMAND_LINE_PCRS: readonly number[] = [8, 9, 12];

function whyNoCommandLine(exact: readonly number[]): string {
  return COMMAND_LINE_PCRS.every((pcr) => exact.includes(pcr))
    ? `The exact values of PCR ${COMMAND_LINE_PCRS.join(', ')} admit no other line than the one that was learnt.`
    : `Then words such as ${UNDOING} pass, which undo what was signed.`;
}

function commandLineText(demand: AppraisalPolicy['firmware']['commandLine']): string {
  if (demand === null) return 'The words of the kernel command line are not judged.';
  const { required, allowed, forbidden } = demand;
  const parts = [
    ...(required.length > 0 ? [`has ${required.join(' ')}`] : []),
    ...(allowed === null ? [] : [`has no other words than ${[...allowed, ...required].join(' ')}`]),
    ...(forbidden.length > 0 ? [`has none of ${forbidden.join(' ')}`] : []),
  ];
  return `A kernel command line was measured${parts.length === 0 ? '' : ', and each '}${parts.join(', and ')}.`;
}

function explainIma({ ima }: AppraisalPolicy, values?: ReferenceValuesDocument): Sentence[] {
  if (ima.list === 'not-demanded') {
    return [
      sentence(
        'ima',
        'No IMA list is asked for.',
        'Nothing is known about the files that ran after the kernel started.',
      ),
    ];
  }
  const files =
    ima.files === 'any'
      ? 'Its files are not judged.'
      : `Every file and buffer in it is among the reference values (${count(values, 'file')}, ${count(values, 'ima-buffer')} of buffers) or signed by an endorsed key.`;
  return [
    sentence(
      'ima.list',
      `The kernel shows an IMA list that replays to PCR 10. ${files}`,
      'It names the files that the kernel was told to measure, each with its digest: demand that telling, such as ima_policy=tcb, among the words of the command line.',
    ),
    ...(ima.requireSignature
      ? [
          sentence(
            'ima.requireSignature',
            'Every file is signed.',
            'A digest alone says what, a signature also from whom.',
          ),
        ]
      : []),
    ...(ima.excluded.length > 0
      ? [
          sentence(
            'ima.excluded',
            `These paths are not judged: ${ima.excluded.join(', ')}.`,
            'Whoever may write there may run anything.',
          ),
        ]
      : []),
    ima.violations === 'refuse'
      ? sentence(
          'ima.violations',
          'A file that changed while it was measured is refused.',
          'Its digest is not what was read.',
        )
      : sentence(
          'ima.violations',
          'A file that changed while it was measured passes.',
          'Then nothing is known of what was read from such files.',
        ),
  ];
}

function explainSoftware(
  { measuredLog, pcrs }: AppraisalPolicy,
  values?: ReferenceValuesDocument,
): Sentence[] {
  if (measuredLog === 'not-demanded') {
    return [
      sentence(
        'measuredLog',
        'No log that a node keeps of PCR 14 is asked for.',
        'That is for machines that are no nodes of a Nemea network.',
      ),
    ];
  }
  const known =
    values === undefined
      ? 'approved'
      : `approved (${values.releases.length} releases, ${values.images.length} images)`;
  return [
    sentence(
      'measuredLog',
      `The node measured its own release first, behind ${pcrs.exact.includes(MEASURED_PCR) ? 'what' : 'whatever'} the boot left in PCR 14, and every release and image that it measured is ${known}.`,
      'It is the software that handles the data.',
    ),
  ];
}

function count(values: ReferenceValuesDocument | undefined, kind: ComponentKind): string {
  if (values === undefined) return 'not given here';
  const digests = (values.components ?? []).filter((it) => it.kind === kind).flatMap((it) => it.digests);
  return `${digests.length} known`;
}

function sentence(field: string, demand: string, why: string): Sentence {
  return { field, demand, why };
}
