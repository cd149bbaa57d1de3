import { bankBytes, bankHash, type HashInto } from './hash.ts';
import type { ImaBank, ImaEntry, ImaList, PcrBanks } from './list.ts';

/** The register that the kernel's default policy measures into. */
export const IMA_PCR = 10;

/**
 * What the kernel extended other banks than SHA-1 with: `template` hashes the template data again (Linux 5.8 and later);
 * `padded` is the SHA-1 template hash followed by zeros (older kernels, and banks whose hash the kernel lacks). [IMA-12]
 */
export type ImaExtension = 'template' | 'padded';

export interface ReplayImaOptions {
  readonly extension?: ImaExtension;
}

/**
 * Replays a list, so that the result can be compared with a quote: the values per bank of PCR 10 and of every other PCR
 * that the list touches. Throws `IMA_BANK_UNSUPPORTED`.
 */
export function replayIma(
  list: ImaList,
  banks: readonly ImaBank[] = ['sha1', 'sha256'],
  options: ReplayImaOptions = {},
): PcrBanks {
  const registers = banks.map((bank) => openBank(bank, list, options.extension ?? 'template'));
  for (const entry of list.entries) for (const bank of registers) extendBank(bank, entry);
  return new Map(registers.map((bank) => [bank.bank, valuesOf(bank)]));
}

/** The registers of one bank while a list is replayed. */
export interface BankReplay {
  readonly bank: ImaBank;
  readonly bytes: number;
  readonly hash: HashInto;
  /** How to get from an entry to what its bank was extended with. */
  readonly source: 'recorded' | 'template' | 'padded' | 'padded from data';
  readonly sha1: HashInto;
  /** By PCR: its value, and behind it room for the digest that comes next, so that one hash takes both. */
  readonly blocks: Map<number, Uint8Array>;
}

export function openBank(
  bank: ImaBank,
  list: Pick<ImaList, 'templateHashAlgorithm'>,
  extension: ImaExtension,
  values: ReadonlyMap<number, Uint8Array> = new Map(),
): BankReplay {
  const replay: BankReplay = {
    bank,
    bytes: bankBytes(bank),
    hash: bankHash(bank),
    source: sourceOf(bank, list.templateHashAlgorithm, extension),
    sha1: bankHash('sha1'),
    blocks: new Map(),
  };
  blockOf(replay, IMA_PCR);
  for (const [pcr, value] of values) blockOf(replay, pcr).set(value);
  return replay;
}

function sourceOf(bank: ImaBank, recorded: ImaBank, extension: ImaExtension): BankReplay['source'] {
  if (bank === recorded) return 'recorded';
  if (extension === 'template' || bank === 'sha1') return 'template';
  return recorded === 'sha1' ? 'padded' : 'padded from data';
}

/** PCR = H(PCR || digest). Returns the register: its first `bytes` bytes are the new value. */
export function extendBank(replay: BankReplay, entry: ImaEntry): Uint8Array {
  const block = blockOf(replay, entry.pcr);
  const { bytes } = replay;
  if (entry.violation) {
    // Older kernels filled 20 bytes with ones, whatever the bank.
    block.fill(0, bytes);
    block.fill(0xff, bytes, bytes + (replay.source.startsWith('padded') ? bankBytes('sha1') : bytes));
  } else if (replay.source === 'template') {
    replay.hash(entry.templateData, block, bytes);
  } else {
    block.fill(0, bytes);
    if (replay.source === 'padded from data') replay.sha1(entry.templateData, block, bytes);
    else block.set(entry.templateHash, bytes);
  }
  replay.hash(block, block, 0);
  return block;
}

export function valuesOf(replay: BankReplay): ReadonlyMap<number, Uint8Array> {
  return new Map([...replay.blocks].map(([pcr, block]) => [pcr, block.slice(0, replay.bytes)]));
}

/** A register that the list has not touched holds zeros, as after a reset of the TPM. */
function blockOf(replay: BankReplay, pcr: number): Uint8Array {
  const existing = replay.blocks.get(pcr);
  if (existing !== undefined) return existing;
  const block = new Uint8Array(2 * replay.bytes);
  replay.blocks.set(pcr, block);
  return block;
}
