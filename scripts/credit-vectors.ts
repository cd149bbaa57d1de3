/**
 * Credit's vectors, from the TypeScript side; forge checks the same files against CreditTree.sol, NodeRegistry.sol and
 * TaskEscrow.sol.
 *
 *   node scripts/credit-vectors.ts            write vectors/credit/merkle.json and weights.json
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ByteWriter, fromHex, merkleProof, merkleRoot, sha256, toHex } from '@nemea/core';
import {
  CREDIT_GENESIS,
  CREDIT_MAX,
  CREDIT_NEWCOMER,
  CREDIT_TASK_EXECUTED,
  CREDIT_TASK_VERIFIED,
  weightOf,
} from '@nemea/membership';

export const CREDIT_VECTORS_FILE = join(import.meta.dirname, '..', 'vectors', 'credit', 'merkle.json');
export const WEIGHT_VECTORS_FILE = join(import.meta.dirname, '..', 'vectors', 'credit', 'weights.json');

interface CreditProof {
  readonly what: string;
  readonly root: string;
  readonly account: string;
  readonly epoch: number;
  readonly credit: number;
  readonly proof: readonly string[];
}

const EPOCH = 7;
const TREE_SIZES = [1, 2, 3, 5, 8, 13];

export function renderCreditVectors(): string {
  const proofs = TREE_SIZES.flatMap((size) => proofsOfTree(size));
  return `${JSON.stringify({ proofs, forgeries: forgeriesOf(proofs.at(-2) as CreditProof) }, null, 2)}\n`;
}

/** The constants, and the weight at every square and on both sides of it. */
export function renderWeightVectors(): string {
  const credits = new Set<number>();
  for (let root = 0; root * root <= CREDIT_MAX; root++) {
    for (const credit of [root * root - 1, root * root, root * root + 1]) {
      if (credit >= 0 && credit <= CREDIT_MAX) credits.add(credit);
    }
  }
  const weights = [...credits].sort((a, b) => a - b).map((credit) => ({ credit, weight: weightOf(credit) }));
  const constants = {
    max: CREDIT_MAX,
    genesis: CREDIT_GENESIS,
    newcomer: CREDIT_NEWCOMER,
    executed: CREDIT_TASK_EXECUTED,
    verified: CREDIT_TASK_VERIFIED,
  };
  return `${JSON.stringify({ constants, weights }, null, 2)}\n`;
}

function proofsOfTree(size: number): CreditProof[] {
  const members = Array.from({ length: size }, (_, index) => ({
    account: hex(sha256(Uint8Array.of(size, index)).subarray(0, 20)),
    credit: (index * 997) % 10_001,
  }));
  const leaves = members.map(({ account, credit }) => creditLeaf(account, EPOCH, credit));
  const root = hex(merkleRoot(leaves));
  return members.map(({ account, credit }, index) => ({
    what: `leaf ${index} of ${size}`,
    root,
    account,
    epoch: EPOCH,
    credit,
    proof: merkleProof(leaves, index).map(hex),
  }));
}

function forgeriesOf(good: CreditProof): CreditProof[] {
  const zero = hex(new Uint8Array(32));
  return [
    { ...good, what: 'more credit', credit: good.credit + 1 },
    { ...good, what: 'another epoch', epoch: good.epoch + 1 },
    { ...good, what: 'another account', account: hex(new Uint8Array(20).fill(1)) },
    { ...good, what: 'another root', root: zero },
    { ...good, what: 'last sibling missing', proof: good.proof.slice(0, -1) },
    { ...good, what: 'one sibling too many', proof: [...good.proof, zero] },
    { ...good, what: 'siblings reversed', proof: good.proof.toReversed() },
    { ...good, what: 'the empty tree', root: zero, proof: [] },
  ];
}

/** abi.encodePacked(address account, uint64 epoch, uint32 credit). */
function creditLeaf(account: string, epoch: number, credit: number): Uint8Array {
  return new ByteWriter().bytes(fromHex(account)).u64(BigInt(epoch)).u32(credit).toBytes();
}

function hex(bytes: Uint8Array): string {
  return `0x${toHex(bytes)}`;
}

if (import.meta.main) {
  writeFileSync(CREDIT_VECTORS_FILE, renderCreditVectors());
  writeFileSync(WEIGHT_VECTORS_FILE, renderWeightVectors());
}
