import { sha1, sha3_256, sha3_384, sha3_512, sha256, sha384, sha512, sm3 } from '@nemea/core';

/** A PCR bank, by the name that tpm2-tools and the Linux kernel give it. */
export type Bank = 'sha1' | 'sha256' | 'sha384' | 'sha512' | 'sm3_256' | 'sha3_256' | 'sha3_384' | 'sha3_512';

export interface BankAlgorithm {
  readonly bank: Bank;
  readonly digestBytes: number;
  readonly hash: (...parts: readonly Uint8Array[]) => Uint8Array;
}

/** TPM_ALG_ID of every hash that a TPM can have a bank for (TCG Algorithm Registry). */
const BY_ID: ReadonlyMap<number, BankAlgorithm> = new Map([
  [0x0004, { bank: 'sha1', digestBytes: 20, hash: sha1 }],
  [0x000b, { bank: 'sha256', digestBytes: 32, hash: sha256 }],
  [0x000c, { bank: 'sha384', digestBytes: 48, hash: sha384 }],
  [0x000d, { bank: 'sha512', digestBytes: 64, hash: sha512 }],
  [0x0012, { bank: 'sm3_256', digestBytes: 32, hash: sm3 }],
  [0x0027, { bank: 'sha3_256', digestBytes: 32, hash: sha3_256 }],
  [0x0028, { bank: 'sha3_384', digestBytes: 48, hash: sha3_384 }],
  [0x0029, { bank: 'sha3_512', digestBytes: 64, hash: sha3_512 }],
]);

const BY_BANK: ReadonlyMap<Bank, BankAlgorithm> = new Map(
  [...BY_ID.values()].map((algorithm) => [algorithm.bank, algorithm]),
);

export function algorithmById(id: number): BankAlgorithm | undefined {
  return BY_ID.get(id);
}

export function algorithmOf(bank: Bank): BankAlgorithm {
  return BY_BANK.get(bank) as BankAlgorithm;
}

export const BANKS: readonly Bank[] = [...BY_BANK.keys()];

const ID_OF: ReadonlyMap<Bank, number> = new Map([...BY_ID].map(([id, { bank }]) => [bank, id]));

/** The TPM_ALG_ID of a bank. */
export function idOfBank(bank: Bank): number {
  return ID_OF.get(bank) as number;
}
