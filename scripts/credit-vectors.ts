/**
 * The credit tree's vectors, from the TypeScript side; forge checks the same file against CreditTree.sol.
 *
 *   node scripts/credit-vectors.ts            write vectors/credit/merkle.json
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ByteWriter, fromHex, merkleProof, merkleRoot, sha256, toHex } from '@nemea/core';

export const CREDIT_VECTORS_FILE = join(import.meta.dirname, '..', 'vectors', 'credit', 'merkle.json');

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

if (import.meta.main) writeFileSync(CREDIT_VECTORS_FILE, renderCreditVectors());
