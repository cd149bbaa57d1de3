import {
  appraiseIma,
  checkImaSignatures,
  findBadEntries,
  IMA_BANKS,
  IMA_BYTES_MAX,
  type ImaAppraisal,
  type ImaBadEntry,
  type ImaBank,
  type ImaKeyRing,
  type ImaList,
  type ImaPolicy,
  type ImaVerification,
  type PcrBanks,
  parseImaKeys,
  parseImaList,
  parseImaPolicy,
  quotedPcr10,
  replayIma,
  verifyIma,
} from '@nemea/attestation/ima';
import { CodedError, fromHex } from '@nemea/core';
import { readFile, readJson } from '../files.ts';

export class ImaCommandError extends CodedError<'IMA_EMPTY' | 'OPTION_INVALID'> {}

export interface ImaOptions {
  /** BANK:HEX */
  readonly pcr10: readonly string[];
  readonly bank: readonly string[];
  readonly policy?: string;
  readonly keys: readonly string[];
  readonly byteOrder?: string;
}

/** All that is found out about a list. */
export interface Findings {
  readonly ok: boolean;
  readonly list: ImaList;
  readonly pcr10: PcrBanks;
  readonly badEntries: readonly ImaBadEntry[];
  readonly verification: ImaVerification | null;
  readonly appraisal: ImaAppraisal | null;
}

export function examine(file: string, options: ImaOptions): Findings {
  const quoted = parseQuoted(options.pcr10);
  const banks = options.bank.map(parseBank);
  const list = parseImaList(readFile(file, { bytesMax: IMA_BYTES_MAX }), parseByteOrder(options.byteOrder));
  // The kernel writes boot_aggregate before anything else: no entry at all is a copy that went wrong.
  if (list.entries.length === 0) throw new ImaCommandError('IMA_EMPTY', `${file} has no entries`);
  const policy = options.policy === undefined ? null : parseImaPolicy(readJson(options.policy));
  const keys = options.keys.flatMap((name) => parseImaKeys(readFile(name)));
  const verification = quoted.size === 0 ? null : verifyIma(list, quoted);
  const badEntries = verification?.state != null ? verification.badEntries : findBadEntries(list);
  const appraisal = judge(list, policy, keys, verification);
  return {
    ok: badEntries.length === 0 && verification?.ok !== false && appraisal?.ok !== false,
    list,
    pcr10: replayIma(list, [...new Set<ImaBank>(['sha1', 'sha256', ...quoted.keys(), ...banks])]),
    badEntries,
    verification,
    appraisal,
  };
}

/** Keys without a policy check the signatures that there are. */
function judge(
  list: ImaList,
  policy: ImaPolicy | null,
  keys: ImaKeyRing,
  verification: ImaVerification | null,
): ImaAppraisal | null {
  if (policy !== null) return appraiseIma(list, { policy, keys, verification: verification ?? undefined });
  return keys.length === 0 ? null : checkImaSignatures(list, keys);
}

/** Values by bank; a bank that is named twice is a slip that must not go unseen. */
function parseQuoted(texts: readonly string[]): PcrBanks {
  const values: Partial<Record<ImaBank, Uint8Array>> = {};
  for (const text of texts) {
    const [name = '', hex = '', ...rest] = text.split(':');
    const bank = parseBank(name);
    if (rest.length > 0 || !/^(?:[0-9a-f]{2}){20,64}$/i.test(hex) || values[bank] !== undefined) {
      throw new ImaCommandError('OPTION_INVALID', `--pcr10: got ${text}, want BANK:HEX, each bank once`);
    }
    values[bank] = fromHex(hex);
  }
  return quotedPcr10(values);
}

function parseBank(text: string): ImaBank {
  const bank = IMA_BANKS.find((candidate) => candidate === text);
  if (bank === undefined)
    throw new ImaCommandError('OPTION_INVALID', `bank: got ${text}, want ${IMA_BANKS.join(', ')}`);
  return bank;
}

function parseByteOrder(text: string | undefined): { byteOrder?: 'little' | 'big' } {
  if (text === undefined) return {};
  if (text === 'little' || text === 'big') return { byteOrder: text };
  throw new ImaCommandError('OPTION_INVALID', `--byte-order: got ${text}, want little or big`);
}
