import { GetCapability } from './commands/capability.ts';
import { Commit } from './commands/ecc.ts';
import { run } from './commands/run.ts';
import type { TpmIo } from './executor.ts';
import { ALG } from './structures/algorithms.ts';
import { invalid } from './structures/buffer.ts';
import {
  type AnyCapabilityData,
  CAPABILITY,
  type CapabilityData,
  type CapabilityGroup,
  type CapabilityItem,
  PROPERTY,
} from './structures/capability-data.ts';
import { unsupported } from './structures/codec.ts';

/** First handle of each range (TPM 2.0 Part 2, 7.2); loaded and saved sessions are listed apart. */
const RANGE_FIRST = {
  nvIndex: 0x01000000,
  loadedSession: 0x02000000,
  savedSession: 0x03000000,
  permanent: 0x40000000,
  transient: 0x80000000,
  persistent: 0x81000000,
} as const;

/** A range of handles, as GetCapability lists it. */
export type HandleRange = keyof typeof RANGE_FIRST;

const PAGE_ITEMS = 128;
const PAGES_MAX = 16;
// TPMA_CC holds attributes around the command index and the vendor bit.
const COMMAND_CODE_MASK = 0x2000ffff;

/** Where the ranges of a group begin, if it is not one from 0 on: a TPM answers for one range at a time. */
const RANGES: Partial<Record<CapabilityGroup, readonly number[]>> = {
  handles: Object.values(RANGE_FIRST),
  properties: [PROPERTY.familyIndicator, PROPERTY.permanent],
  authPolicies: [RANGE_FIRST.permanent],
  act: [0x40000110],
};

/**
 * All that the TPM says of itself in one group, or only what stands from `first` on in that range: handles of one type,
 * fixed or variable properties. It takes as many TPM2_GetCapability as the TPM has pages.
 */
export async function capabilities<G extends CapabilityGroup>(
  io: TpmIo,
  group: G,
  first?: number,
): Promise<CapabilityItem<G>[]> {
  if (first !== undefined) return await capabilityRange(io, group, first);
  const items: CapabilityItem<G>[] = [];
  for (const start of RANGES[group] ?? [0]) items.push(...(await capabilityRange(io, group, start)));
  return items;
}

async function capabilityRange<G extends CapabilityGroup>(
  io: TpmIo,
  group: G,
  first: number,
): Promise<CapabilityItem<G>[]> {
  const items: CapabilityItem<G>[] = [];
  let property = first;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const { moreData, capabilityData } = await run(io, GetCapability, {
      parameters: { capability: CAPABILITY[group], property, propertyCount: PAGE_ITEMS },
    });
    if (capabilityData.capability === 'unknown')
      throw unsupported(`capability ${group}`, capabilityData.group);
    if (!isOf(capabilityData, group))
      throw invalid(`capability: got ${capabilityData.capability}, want ${group}`);
    items.push(...(capabilityData.items as readonly CapabilityItem<G>[]));
    const next = nextProperty(capabilityData);
    if (!moreData || next === undefined) return items;
    // A TPM that does not get on would be asked for ever.
    if (next <= property)
      throw invalid(`capability ${group}: page does not go beyond 0x${property.toString(16)}`);
    property = next;
  }
  throw invalid(`capability ${group}: got more than ${PAGES_MAX} pages`);
}

function isOf<G extends CapabilityGroup>(
  data: AnyCapabilityData,
  group: G,
): data is Extract<CapabilityData, { capability: G }> {
  return data.capability === group;
}

/** What follows the last item of a page; undefined where there is no next page. */
function nextProperty(data: CapabilityData): number | undefined {
  const last = data.items.at(-1);
  if (last === undefined) return undefined;
  if (typeof last === 'number') return 1 + (data.capability === 'commands' ? last & COMMAND_CODE_MASK : last);
  if ('algorithm' in last) return last.algorithm + 1;
  if ('property' in last) return last.property + 1;
  if ('handle' in last) return last.handle + 1;
  return undefined;
}

/** Every handle of a range that is in use. */
export async function listHandles(io: TpmIo, range: HandleRange): Promise<number[]> {
  return await capabilities(io, 'handles', RANGE_FIRST[range]);
}

/** The TPM_ALG_IDs the TPM implements. */
export async function listAlgorithms(io: TpmIo): Promise<number[]> {
  return (await capabilities(io, 'algorithms')).map(({ algorithm }) => algorithm);
}

/** TPMA_CC of every command the TPM implements: its code, and how its handles are laid out. */
export async function listCommands(io: TpmIo): Promise<number[]> {
  return await capabilities(io, 'commands');
}

/** Whether the TPM can hold the VRF key: ECDAA is optional in hardware. */
export async function supportsEcdaa(io: TpmIo): Promise<boolean> {
  if (!(await listAlgorithms(io)).includes(ALG.ecdaa)) return false;
  const commands = await capabilities(io, 'commands', Commit.code);
  return commands.some((attributes) => (attributes & COMMAND_CODE_MASK) === Commit.code);
}
