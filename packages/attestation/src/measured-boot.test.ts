import { fromHex, fromUtf8, sha256 } from '@nemea/core';
import { type LoadedKey, TEMPLATES } from '@nemea/tpm';
import { PCR_Extend, PCR_Read, Quote } from '@nemea/tpm/commands';
import { ALG, encodeSignature, type PcrSelection } from '@nemea/tpm/structures';
import { startTestTpm } from '@nemea/tpm/testing';
import { afterAll, describe, expect, test } from 'vitest';
import type { AkProfile } from './ak-profile.ts';
import { appraise } from './appraise.ts';
import { parseEventLog } from './eventlog/index.ts';
import {
  action,
  authority,
  certificateOf,
  filePath,
  grubText,
  imageLoad,
  secureBootVariable,
  separator,
  signatureList,
  type WrittenEvent,
  writeAgileLog,
  X509_LIST,
} from './eventlog/testing.ts';
import type { Evidence, PcrValue } from './evidence.ts';
import { learnPolicy } from './learn.ts';
import { LEVEL } from './level.ts';
import { parsePolicy } from './policy.ts';
import { parseReferenceValues } from './reference-values.ts';
import { failedClaims } from './result.ts';

/** Attestation keys in the endorsement hierarchy, as templates of TPMT_PUBLIC. */
const AK_TEMPLATES: Readonly<Record<AkProfile, Uint8Array>> = {
  'ecdsa-p256': TEMPLATES.ak,
  'ecdsa-p384': fromHex('0023000c00050472000000100018000c0004001000000000'),
  'rsassa-2048': fromHex('0001000b00050472000000100014000b0800000000000000'),
  'rsapss-2048': fromHex('0001000b00050472000000100016000b0800000000000000'),
};

const NUMBERS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const SELECTION: readonly PcrSelection[] = [
  { hashAlg: ALG.sha256, pcrs: NUMBERS },
  { hashAlg: ALG.sha384, pcrs: NUMBERS },
];
const NONCE = sha256(fromUtf8('nonce'));
const CMDLINE = '/vmlinuz root=/dev/sda1 ro quiet ima_appraise=enforce';

const list = (fill: number): Uint8Array => signatureList(X509_LIST, [certificateOf(300, fill)]);
const shim = imageLoad(filePath('\\EFI\\BOOT\\BOOTX64.EFI'), fromUtf8('shim image'));
const on = secureBootVariable('SecureBoot', Uint8Array.of(1));
const off = secureBootVariable('SecureBoot', Uint8Array.of(0));
const kernelLine = (text: string): WrittenEvent => grubText('kernel_cmdline: ', text);

const line = kernelLine(CMDLINE);
const EVIL = `${CMDLINE} init=/bin/sh`;

/** What a machine with Secure Boot, shim and GRUB measures, but for what a test says otherwise. */
function bootOf(
  change: (events: readonly WrittenEvent[]) => readonly WrittenEvent[] = (it) => it,
): WrittenEvent[] {
  const firmware: WrittenEvent = { pcr: 0, type: 'EV_S_CRTM_VERSION', data: fromUtf8('1.0\0') };
  return [
    ...change([
      firmware,
      on,
      ...(['PK', 'KEK', 'db', 'dbx'] as const).map((name, i) => secureBootVariable(name, list(i))),
      ...[0, 1, 2, 3, 4, 5, 6, 7].map((pcr) => separator(pcr)),
      action(4, 'Calling EFI Application from Boot Option'),
      authority('db', certificateOf(300, 2)),
      shim,
      line,
    ]),
  ];
}

const log = (events: readonly WrittenEvent[]): Uint8Array => writeAgileLog(['sha256', 'sha384'], events);

/** A TPM that was extended with every event of a log, as firmware and boot loader do it. */
async function boot(events: readonly WrittenEvent[]) {
  const machine = await startTestTpm();
  const eventLog = log(events);
  for (const { pcr, type, digests } of parseEventLog(eventLog).events) {
    if (type === 3) continue;
    const values = [
      { hashAlg: ALG.sha256, digest: digests.sha256 ?? new Uint8Array(32) },
      { hashAlg: ALG.sha384, digest: digests.sha384 ?? new Uint8Array(48) },
    ];
    await machine.tpm.run(PCR_Extend, { handles: { pcrHandle: pcr }, parameters: { digests: values } });
  }
  return { ...machine, eventLog };
}

type Booted = Awaited<ReturnType<typeof boot>>;

async function readBank({ tpm }: Booted, hashAlg: number): Promise<PcrValue[]> {
  const values: PcrValue[] = [];
  for (const pcr of NUMBERS) {
    const pcrSelectionIn = [{ hashAlg, pcrs: [pcr] }];
    const { pcrValues } = await tpm.run(PCR_Read, { parameters: { pcrSelectionIn } });
    values.push({ pcr, value: pcrValues[0] ?? new Uint8Array(0) });
  }
  return values;
}

async function evidenceOf(machine: Booted, key: LoadedKey): Promise<Evidence> {
  const { quoted, signature } = await machine.tpm.run(Quote, {
    handles: { signHandle: key.handle },
    parameters: { qualifyingData: NONCE, PCRselect: SELECTION },
  });
  return {
    version: 2,
    attest: quoted,
    signature: encodeSignature(signature),
    pcrs: await readBank(machine, ALG.sha256),
    pcrsSha384: await readBank(machine, ALG.sha384),
    log: [],
    binding: new Uint8Array(32),
    eventLog: machine.eventLog,
  };
}

function policyAndValues(machine: Booted, pcrs: readonly PcrValue[], more: object = {}) {
  const { policy, referenceValues } = learnPolicy({
    level: LEVEL.development,
    attestationKeys: ['ecdsa-p256', 'ecdsa-p384', 'rsassa-2048', 'rsapss-2048'],
    pcrs,
    eventLog: machine.eventLog,
  });
  return {
    // A bare software TPM was never shut down in order.
    policy: parsePolicy({
      ...policy,
      pcrs: { ...policy.pcrs, sha384: NUMBERS },
      clock: { unsafe: 'warn' },
      ...more,
    }),
    referenceValues: parseReferenceValues(referenceValues),
  };
}

const golden = await boot(bootOf());
const ak = await golden.tpm.createPrimary({ hierarchy: 'endorsement', template: AK_TEMPLATES['ecdsa-p256'] });
const honest = await evidenceOf(golden, ak);
const lesson = policyAndValues(golden, honest.pcrs);

afterAll(() => golden.stop());

function judge(evidence: Evidence, akPublic = ak.publicArea, policy = lesson.policy) {
  const result = appraise({
    evidence,
    endorsements: { akPublic, level: LEVEL.development },
    referenceValues: lesson.referenceValues,
    policy,
    expected: { nonce: NONCE },
    nowMs: 0,
  });
  return failedClaims(result).map(({ name, reason }) => `${name} ${reason}`);
}

describe('a TPM that was extended by a boot', () => {
  test('is trusted with the log of that boot, in both banks [ATT-24]', () => {
    expect(judge(honest)).toEqual([]);
  });

  test.each(Object.entries(AK_TEMPLATES))(
    'is trusted by a quote of %s, where the policy admits it [ATT-23]',
    async (profile, template) => {
      await using key = await golden.tpm.createPrimary({ hierarchy: 'endorsement', template });
      const evidence = await evidenceOf(golden, key);
      expect(judge(evidence, key.publicArea)).toEqual([]);
      const others = Object.keys(AK_TEMPLATES).filter((it) => it !== profile);
      const policy = parsePolicy({ ...lesson.policy, attestationKeys: others });
      expect(judge(evidence, key.publicArea, policy)).toEqual(['attestation-key AK_PUBLIC_INVALID']);
    },
  );
});

type Change = (events: readonly WrittenEvent[]) => readonly WrittenEvent[];

const replace =
  (before: WrittenEvent, after: WrittenEvent): Change =>
  (events) =>
    events.map((event) => (event === before ? after : event));

const otherBoots: readonly (readonly [string, readonly string[], Change])[] = [
  ['with Secure Boot off', ['secure-boot SECURE_BOOT_OFF'], replace(on, off)],
  [
    'with Secure Boot off, and on once more behind the separator',
    ['secure-boot SECURE_BOOT_OFF', 'boot-chain BOOT_AUTHORITY_UNKNOWN'],
    (events) => [...replace(on, off)(events), on],
  ],
  [
    'that does not say whether Secure Boot was on',
    ['secure-boot SECURE_BOOT_UNKNOWN'],
    (events) => events.filter((it) => it !== on),
  ],
  [
    'of firmware in debug mode',
    ['secure-boot SECURE_BOOT_UNKNOWN'],
    (events) => [action(7, 'UEFI Debug Mode'), ...events],
  ],
  [
    'with a key more in KEK',
    ['secure-boot SECURE_BOOT_KEY_UNKNOWN'],
    (events) => [secureBootVariable('KEK', list(9)), ...events],
  ],
  [
    'of another loader',
    ['boot-chain BOOT_LOADER_UNKNOWN'],
    replace(shim, imageLoad(filePath('\\EFI\\BOOT\\BOOTX64.EFI'), fromUtf8('evil image'))),
  ],
  [
    'of another loader that the log calls an action',
    ['boot-chain BOOT_LOADER_UNKNOWN', 'firmware-events FIRMWARE_FINDING'],
    (events) => [
      ...events,
      { ...action(4, 'Returning from EFI Application'), measured: fromUtf8('evil image') },
    ],
  ],
  [
    'of a driver from a card',
    ['boot-chain BOOT_LOADER_UNKNOWN'],
    (events) => [
      ...events,
      imageLoad(filePath('x'), fromUtf8('option ROM'), 2, 'EV_EFI_BOOT_SERVICES_DRIVER'),
    ],
  ],
  [
    'of a loader by another key',
    ['boot-chain BOOT_AUTHORITY_UNKNOWN'],
    (events) => [...events, authority('db', certificateOf(300, 7))],
  ],
  [
    'of other firmware',
    ['pcr-values PCR_VALUE_UNKNOWN'],
    (events) => [{ pcr: 0, type: 'EV_S_CRTM_VERSION', data: fromUtf8('0.9\0') }, ...events],
  ],
  [
    'with another kernel command line',
    ['command-line COMMAND_LINE_UNKNOWN'],
    (events) => [...events, kernelLine(`${CMDLINE} init=/bin/sh`)],
  ],
  [
    'whose log shows another command line than was measured',
    ['command-line COMMAND_LINE_UNPROVEN'],
    (events) => [...events, { ...kernelLine(CMDLINE), measured: fromUtf8('init=/bin/sh') }],
  ],
  [
    'whose log calls its command line another command of GRUB',
    ['command-line COMMAND_LINE_UNKNOWN'],
    replace(line, { ...kernelLine(EVIL), data: fromUtf8(`grub_cmd: ${EVIL}\0`) }),
  ],
  [
    'whose log calls its command line an action, and shows a good one that root measured later',
    ['command-line COMMAND_LINE_UNKNOWN'],
    (events) => [...replace(line, { ...action(8, EVIL) })(events), line],
  ],
  [
    'whose log hides its command line, and shows a good one that root measured later',
    ['command-line COMMAND_LINE_UNPROVEN'],
    (events) => [...replace(line, { ...kernelLine('x'), measured: fromUtf8(EVIL) })(events), line],
  ],
  [
    'that shows a command line only where no loader measures one',
    ['command-line COMMAND_LINE_MISSING'],
    replace(line, { ...line, pcr: 9 }),
  ],
  [
    'whose firmware told an error',
    ['firmware-events FIRMWARE_ERROR_SEPARATOR'],
    (events) => [...events, separator(5, 1)],
  ],
];

describe('a TPM that was extended by another boot is refused [ATT-25] [ATT-26]', () => {
  test.each(otherBoots)('%s', async (_, failures, change) => {
    const machine = await boot(bootOf(change));
    const key = await machine.tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
    const evidence = await evidenceOf(machine, key);
    await machine.stop();
    expect(judge(evidence, key.publicArea)).toEqual(failures);
    // With the golden machine's log it is no better.
    expect(judge({ ...evidence, eventLog: golden.eventLog }, key.publicArea)).not.toEqual([]);
  });
});

const events = bootOf();
const swapped = (i: number, j: number): WrittenEvent[] =>
  events.map((event, at) => (at === i ? events[j] : at === j ? events[i] : event) as WrittenEvent);
const of = (event: WrittenEvent): number => events.indexOf(event);

const tamperedLogs: readonly (readonly [string, string, Uint8Array])[] = [
  [
    'with an event left out',
    'firmware FIRMWARE_LOG_REPLAY_WRONG',
    log(events.filter((event) => event !== on)),
  ],
  ['with an event added', 'firmware FIRMWARE_LOG_REPLAY_WRONG', log([...events, separator(7)])],
  ['with events in another order', 'firmware FIRMWARE_LOG_REPLAY_WRONG', log(swapped(of(on), of(on) + 1))],
  [
    'with an event in another register',
    'firmware FIRMWARE_LOG_REPLAY_WRONG',
    log(events.map((event) => (event === shim ? { ...event, pcr: 5 } : event))),
  ],
  [
    'with the digest of another bank only',
    'firmware FIRMWARE_LOG_REPLAY_WRONG',
    writeAgileLog(['sha256'], events),
  ],
  ['that is cut', 'firmware FIRMWARE_LOG_MALFORMED', log(events).slice(0, -1)],
  ['with bytes after its end', 'firmware FIRMWARE_LOG_MALFORMED', Uint8Array.of(...log(events), 1, 2, 3)],
  ['that is no log', 'firmware FIRMWARE_LOG_MALFORMED', fromUtf8('log')],
];

describe('a log that was changed on the way is refused, and proves no fault [ATT-24]', () => {
  test.each(tamperedLogs)('%s', (_, failure, eventLog) => {
    expect(judge({ ...honest, eventLog })).toEqual([failure]);
  });
});

test('a register of command lines that the log does not explain hides none [ATT-26]', async () => {
  const machine = await boot(bootOf((it) => [...it, kernelLine(EVIL)]));
  const key = await machine.tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
  const evidence = await evidenceOf(machine, key);
  await machine.stop();
  expect(judge({ ...evidence, eventLog: golden.eventLog }, key.publicArea)).toEqual([
    'command-line COMMAND_LINE_UNPROVEN',
  ]);
});

test('Secure Boot that was off is off whatever the log calls its event [ATT-25]', async () => {
  const wasOff = bootOf(replace(on, off));
  const machine = await boot(wasOff);
  const key = await machine.tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
  const evidence = await evidenceOf(machine, key);
  await machine.stop();
  for (const type of ['EV_EFI_ACTION', 'EV_EFI_VARIABLE_AUTHORITY', 'EV_SEPARATOR', 'EV_IPL'] as const) {
    const relabelled = log(wasOff.map((event) => (event === off ? { ...off, type } : event)));
    expect(judge({ ...evidence, eventLog: relabelled }, key.publicArea), type).toContain(
      'secure-boot SECURE_BOOT_OFF',
    );
  }
});

test('an image without a device path can be learnt as well', () => {
  const nameless = imageLoad(new Uint8Array(0), fromUtf8('kernel'));
  const { referenceValues } = learnPolicy({ level: LEVEL.development, eventLog: log([...events, nameless]) });
  const names = (referenceValues.components ?? []).map(({ name }) => name);
  expect(names).toContain(`EV_EFI_BOOT_SERVICES_APPLICATION ${events.length + 1}`);
});
