import { ByteWriter } from '@nemea/core';
import { COMMAND } from './command.ts';
import type { TpmIo } from './executor.ts';
import { ALG } from './structures/algorithms.ts';
import { invalid, parseWhole } from './structures/buffer.ts';

/** First handle of each range (TPM 2.0 Part 2, 7.2); loaded and saved sessions are listed apart. */
const RANGE_FIRST = {
  nvIndex: 0x01000000,
  loadedSession: 0x02000000,
  savedSession: 0x03000000,
  transient: 0x80000000,
  persistent: 0x81000000,
} as const;

export type HandleRange = keyof typeof RANGE_FIRST;

const CAP_ALGORITHMS = 0;
const CAP_HANDLES = 1;
const CAP_COMMANDS = 2;
const PAGE_ITEMS = 128;
const PAGES_MAX = 16;
const COMMAND_INDEX_MASK = 0xffff;

/** Every handle of a range that is in use. */
export async function listHandles(io: TpmIo, range: HandleRange): Promise<number[]> {
  return await list(io, CAP_HANDLES, RANGE_FIRST[range]);
}

/** The TPM_ALG_IDs the TPM implements. */
export async function listAlgorithms(io: TpmIo): Promise<number[]> {
  return await list(io, CAP_ALGORITHMS, 0);
}

/** TPMA_CC of every command the TPM implements: its code, and how its handles are laid out. */
export async function listCommands(io: TpmIo): Promise<number[]> {
  return await list(io, CAP_COMMANDS, 0);
}

/** Whether the TPM can hold the VRF key: ECDAA is optional in hardware. */
export async function supportsEcdaa(io: TpmIo): Promise<boolean> {
  if (!(await listAlgorithms(io)).includes(ALG.ecdaa)) return false;
  const commands = await list(io, CAP_COMMANDS, COMMAND.commit);
  return commands.some((attributes) => (attributes & COMMAND_INDEX_MASK) === COMMAND.commit);
}

async function list(io: TpmIo, capability: number, first: number): Promise<number[]> {
  const values: number[] = [];
  let property = first;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const page = await getCapability(io, capability, property);
    values.push(...page.values);
    const last = page.values.at(-1);
    if (!page.more || last === undefined) return values;
    // TPMA_CC carries attributes above the command index; the other lists hold plain numbers.
    property = (capability === CAP_COMMANDS ? last & COMMAND_INDEX_MASK : last) + 1;
  }
  throw invalid(`capability ${capability}: got more than ${PAGES_MAX} pages`);
}

async function getCapability(
  io: TpmIo,
  capability: number,
  property: number,
): Promise<{ more: boolean; values: number[] }> {
  const { parameters } = await io.send({
    name: 'getCapability',
    parameters: new ByteWriter().u32(capability).u32(property).u32(PAGE_ITEMS).toBytes(),
  });
  return parseWhole('capability', parameters, (reader) => {
    const more = reader.u8() !== 0;
    const answered = reader.u32();
    if (answered !== capability) throw invalid(`capability: got ${answered}, want ${capability}`);
    const count = reader.u32();
    if (count > PAGE_ITEMS) throw invalid(`capability list: got ${count} items, want at most ${PAGE_ITEMS}`);
    const values: number[] = [];
    for (let i = 0; i < count; i++) {
      if (capability !== CAP_ALGORITHMS) values.push(reader.u32());
      else {
        values.push(reader.u16());
        // TPMA_ALGORITHM.
        reader.u32();
      }
    }
    return { more, values };
  });
}
