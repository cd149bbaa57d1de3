import type { TpmInfo } from '@nemea/tpm';
import { EK_TEMPLATES } from '@nemea/tpm/structures';
import { openTpmAt } from '../tpm-address.ts';

export async function inspectAt(address: string): Promise<TpmInfo> {
  const tpm = await openTpmAt(address);
  try {
    return await tpm.inspect();
  } finally {
    await tpm.close();
  }
}

export function toJson(info: TpmInfo): Record<string, unknown> {
  return {
    ...info,
    firmwareVersion: firmware(info),
    persistentHandles: info.persistentHandles.map((handle) => `0x${handle.toString(16)}`),
  };
}

export function toText(info: TpmInfo): string {
  const { specification: spec, dictionaryAttack: attack, passwordsSet, hierarchies } = info;
  const rows: readonly (readonly [string, string])[] = [
    ['maker', `${info.vendor} (${info.manufacturer})${info.model === '' ? '' : `, ${info.model}`}`],
    ['firmware', firmware(info)],
    ['specification', `TPM ${spec.family}, revision ${spec.revision} (${spec.year})`],
    ['banks', info.banks.map(({ bank, pcrs }) => `${bank} (${pcrs.length} PCRs)`).join(', ')],
    ['curves', info.curves.join(', ')],
    ['algorithms', info.algorithms.join(', ')],
    ['commands', String(info.commandCount)],
    ['VRF in the TPM', info.hasEcdaa ? 'yes: ECDAA and Commit' : 'no: a sealed key is the fallback'],
    [
      'EK certificates',
      info.ekCertificates.map((id) => `${id} (${EK_TEMPLATES[id].algorithm})`).join(', ') || 'none',
    ],
    [
      'persistent keys',
      info.persistentHandles.map((handle) => `0x${handle.toString(16)}`).join(', ') || 'none',
    ],
    ['passwords', `set for ${chosen(passwordsSet)}`],
    ['hierarchies', `on: ${chosen(hierarchies)}`],
    [
      'guessing',
      `${attack.failedTries} of ${attack.maxTries} tries failed, one forgotten each ${attack.recoveryTimeS} s${attack.inLockout ? '; LOCKED OUT' : ''}`,
    ],
    ['TPM2_Clear', info.clearDisabled ? 'disabled' : 'allowed'],
    ['last shutdown', info.orderly ? 'orderly' : 'not orderly'],
  ];
  return rows.map(([name, value]) => wrapped(name, value)).join('\n');
}

function firmware({ firmwareVersion }: TpmInfo): string {
  return `0x${firmwareVersion.toString(16).padStart(16, '0')}`;
}

function chosen(flags: Readonly<Record<string, boolean>>): string {
  return (
    Object.keys(flags)
      .filter((name) => flags[name])
      .join(', ') || 'none'
  );
}

const NAME_COLUMNS = 17;
const COLUMNS = 80;

/** Name and value, the value on as many lines as 80 columns need. */
function wrapped(name: string, value: string): string {
  const lines = [''];
  for (const word of value.split(' ')) {
    const last = lines.length - 1;
    const longer = lines[last] === '' ? word : `${lines[last]} ${word}`;
    if (longer.length > COLUMNS - NAME_COLUMNS && lines[last] !== '') lines.push(word);
    else lines[last] = longer;
  }
  return lines.map((line, i) => (i === 0 ? name : '').padEnd(NAME_COLUMNS) + line).join('\n');
}
