/**
 * Credit's vectors, from the TypeScript side; forge checks the same files against CreditTree.sol, Credit.sol,
 * FeeSplit.sol, Forfeit.sol, NodeRegistry.sol and TaskEscrow.sol.
 *
 *   node scripts/credit-vectors.ts            write vectors/credit/merkle.json, weights.json and formula.json
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
  capByOwner,
  creditAfter,
  creditAfterAbsence,
  creditAfterAttesting,
  creditAfterEpoch,
  creditAfterFault,
  creditAfterMissedUpdate,
  creditAfterNeglect,
  creditAfterPass,
  divideFee,
  slash,
  standingOf,
  weightOf,
} from '@nemea/membership';

export const CREDIT_VECTORS_FILE = join(import.meta.dirname, '..', 'vectors', 'credit', 'merkle.json');
export const WEIGHT_VECTORS_FILE = join(import.meta.dirname, '..', 'vectors', 'credit', 'weights.json');

export const FORMULA_VECTORS_FILE = join(import.meta.dirname, '..', 'vectors', 'credit', 'formula.json');

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

const CREDITS = [
  ...[
    0, 1, 2, 3, 9, 10, 99, 100, 101, 199, 200, 201, 500, 999, 1_000, 1_001, 2_500, 4_999, 5_000, 5_001, 7_999,
  ],
  ...[
    8_000, 8_001, 8_999, 9_000, 9_001, 9_400, 9_899, 9_900, 9_901, 9_980, 9_994, 9_995, 9_996, 9_999, 10_000,
  ],
];
const JURIES = [
  { affirming: 0, seated: 0 },
  { affirming: 0, seated: 30 },
  { affirming: 15, seated: 30 },
  { affirming: 16, seated: 30 },
];
const DUTIES = [
  { isSilent: true, agreed: 0, neglected: 0 },
  { isSilent: false, agreed: 0, neglected: 0 },
  { isSilent: false, agreed: 4, neglected: 0 },
  { isSilent: false, agreed: 7, neglected: 0 },
  { isSilent: false, agreed: 3, neglected: 1 },
  { isSilent: false, agreed: 2, neglected: 2 },
  { isSilent: false, agreed: 1, neglected: 2 },
  { isSilent: false, agreed: 0, neglected: 8 },
];

/** Every rule of credit, epochs composed of them, the owner cap, and how forfeits and fees are shared out. */
export function renderFormulaVectors(): string {
  const rules = CREDITS.map((credit) => ({
    credit,
    pass: creditAfterPass(credit),
    absence: creditAfterAbsence(credit),
    attesting3: creditAfterAttesting(credit, 3),
    attesting9: creditAfterAttesting(credit, 9),
    neglect3: creditAfterNeglect(credit, 3),
    neglect9: creditAfterNeglect(credit, 9),
    fault: creditAfterFault(credit),
    missedUpdate: creditAfterMissedUpdate(credit),
    plus20: creditAfter(credit, 20),
    minus20: creditAfter(credit, -20),
    weight: weightOf(credit),
  }));
  const epochs = [0, 1, 5, 100, 2_000, 9_000, 9_998, 10_000].flatMap((credit) =>
    JURIES.flatMap((jury) =>
      DUTIES.map((duty) => ({
        credit,
        ...jury,
        silent: duty.isSilent ? 1 : 0,
        agreed: duty.agreed,
        neglected: duty.neglected,
        after: creditAfterEpoch(credit, standingOf(jury), duty),
      })),
    ),
  );
  const vectors = { rules, epochs, caps: capVectors(), slashes: slashVectors(), fees: feeVectors() };
  return `${JSON.stringify(vectors, null, 2)}\n`;
}

/** Owners by number, with the weights of their members. */
const OWNED: readonly (readonly [owner: number, weights: readonly number[]])[][] = [
  [
    [1, [100, 100]],
    [2, [10]],
  ],
  Array.from({ length: 9 }, (_, i) => [i + 1, [i === 0 ? 100 : 10]] as const),
  Array.from({ length: 10 }, (_, i) => [i + 1, [10]] as const),
  Array.from({ length: 10 }, (_, i) => [i + 1, [i === 0 ? 100 : 10]] as const),
  Array.from({ length: 11 }, (_, i) => [i + 1, i === 3 ? [40, 30, 31] : [10 + i]] as const),
  Array.from({ length: 12 }, (_, i) => [i + 1, i < 3 ? [100, 99, 7, 1] : [1 + i]] as const),
  Array.from({ length: 12 }, (_, i) => [i + 1, i < 11 ? [1] : [100, 100, 100]] as const),
  Array.from({ length: 20 }, (_, i) => [i + 1, [100, 1 + (i % 3)]] as const),
];

/** Members of one owner apart from each other, in whatever order accounts give. */
const SCATTERED = Array.from({ length: 36 }, (_, i) => ({
  owner: String(1 + ((5 * i) % 17)),
  weight: 1 + ((i * i) % 23),
}));

function capVectors() {
  const adjacent = OWNED.map((owners) =>
    owners.flatMap(([owner, weights]) => weights.map((weight) => ({ owner: String(owner), weight }))),
  );
  const fleet = SCATTERED.map((it, i) => (i % 3 === 0 ? { ...it, owner: '99' } : it));
  return [...adjacent, SCATTERED, fleet].map((members) => {
    const capped = capByOwner(members);
    return {
      count: members.length,
      members: members.map(({ owner, weight }, i) => ({ owner: Number(owner), weight, capped: capped[i] })),
    };
  });
}

const AMOUNTS = [
  0n,
  1n,
  2n,
  3n,
  7n,
  999n,
  1_000n,
  1_001n,
  10_001n,
  10n ** 18n,
  10n ** 18n + 7n,
  2n ** 96n - 1n,
];

/** Amounts are texts: they are larger than JSON's numbers. */
function slashVectors() {
  return AMOUNTS.map((deposit) => {
    const { forfeited, reward, reserve, deposit: kept } = slash(deposit);
    return texts({ deposit, forfeited, reward, reserve, kept });
  });
}

function feeVectors() {
  const parties = [
    [1, 0],
    [2, 1],
    [3, 2],
    [32, 16],
  ] as const;
  return AMOUNTS.flatMap((fee) =>
    parties.map(([verifiers, capsules]) => ({
      ...texts({ fee }),
      verifiers,
      capsules,
      ...texts({ ...divideFee(fee, verifiers, capsules) }),
    })),
  );
}

function texts(amounts: Record<string, bigint>): Record<string, string> {
  return Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, String(amount)]));
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
  writeFileSync(FORMULA_VECTORS_FILE, renderFormulaVectors());
}
