import { bankBytes, bankHash, type HashInto } from './hash.ts';
import type { ImaBank, ImaEntry, ImaList, PcrBanks } from './list.ts';

/** The register that the kernel's default policy measures into. */
export const IMA_PCR = 10;

/**
 * What the kernel extended a bank other than SHA-1 with [IMA-12]. `template`: the template data, hashed for this bank.
 * `padded`: the SHA-1 template hash followed by zeros, and ones for violations; so do kernels that know the bank's hash
 * but have not loaded it. `padded-legacy`: the same, but 20 bytes of ones; kernels before 5.8, and unknown hashes.
 */
export const IMA_EXTENSIONS = ['template', 'padded', 'padded-legacy'] as const;
/** How a bank was extended [IMA-12]. */
export type ImaExtension = (typeof IMA_EXTENSIONS)[number];

/** How to replay, where the list does not say. */
export interface ReplayImaOptions {
  /** For all banks but that of the list's own template hashes; `template` when absent. */
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
  readonly extension: ImaExtension;
  readonly bytes: number;
  readonly hash: HashInto;
  /** Makes the digest of an entry, for the bank. */
  readonly digest: HashInto | 'recorded';
  readonly violationBytes: number;
  /** By PCR: its value, and behind it room for the digest that comes next, so that one hash takes both. */
  readonly blocks: Map<number, Uint8Array>;
}

export function openBank(
  bank: ImaBank,
  list: Pick<ImaList, 'templateHashAlgorithm'>,
  extension: ImaExtension,
  values: ReadonlyMap<number, Uint8Array> = new Map(),
): BankReplay {
  const hash = bankHash(bank);
  const source = extension === 'template' ? bank : 'sha1';
  const replay: BankReplay = {
    bank,
    extension,
    bytes: bankBytes(bank),
    hash,
    digest: source === list.templateHashAlgorithm ? 'recorded' : bankHash(source),
    violationBytes: bankBytes(extension === 'padded-legacy' ? 'sha1' : bank),
    blocks: new Map(),
  };
  blockOf(replay, IMA_PCR);
  for (const [pcr, value] of values) blockOf(replay, pcr).set(value);
  return replay;
}

/** PCR = H(PCR || digest). Returns the register: its first `bytes` bytes are the new value. */
export function extendBank(replay: BankReplay, entry: ImaEntry): Uint8Array {
  const block = blockOf(replay, entry.pcr);
  const { bytes, digest } = replay;
  block.fill(0, bytes);
  if (entry.violation) block.fill(0xff, bytes, bytes + replay.violationBytes);
  else if (digest === 'recorded') block.set(entry.templateHash, bytes);
  else digest(entry.templateData, block, bytes);
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
