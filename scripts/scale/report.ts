import { contractAbis } from '@nemea/sdk';
import { encodeFunctionData, type Hex } from 'viem';
import { bytesPerNode, drawEpoch, type EpochDraw, forEachSeat, openField, stepField } from './field.ts';
import { cpuSeconds, type SignedEpoch } from './signed.ts';

/** Tables of docs/scale.md. Counts follow from seeds; times are of the machine. */

const EXPECTED = 3;
const SIZES = [100, 1_000, 10_000, 100_000, 1_000_000];
/** Epochs enough for as many nodes in all as the largest network has in one. */
const NODE_EPOCHS = 1_000_000;
/** Signatures that a certificate takes: of all members while a roster has no more, of a committee beyond. */
const CERTIFICATE_SIGNATURES = 22;

export interface SizeRow {
  readonly nodes: number;
  readonly meanAsked: number;
  readonly mostAsked: number;
  readonly bytes: number;
  readonly epochS: number;
  readonly layer1Bytes: number;
}

export function measureSize(nodes: number): SizeRow {
  const field = openField(nodes);
  const epochs = Math.max(1, NODE_EPOCHS / nodes);
  let [asked, mostAsked] = [0, 0];
  const totalS = cpuSeconds(() => {
    for (let epoch = 1; epoch <= epochs; epoch++) {
      stepField(field, { seed: 'scale', epoch, expected: EXPECTED }, () => true);
      for (const it of field.asked) {
        asked += it;
        if (it > mostAsked) mostAsked = it;
      }
    }
  });
  return {
    nodes,
    meanAsked: asked / nodes / epochs,
    mostAsked,
    bytes: bytesPerNode(field),
    epochS: totalS / epochs,
    layer1Bytes: layer1Bytes(nodes),
  };
}

/** Bytes of the transaction that records an epoch, with numbers as large as the network is. */
export function layer1Bytes(nodes: number): number {
  const root: Hex = `0x${'11'.repeat(32)}`;
  const record = {
    epoch: BigInt(nodes),
    seed: root,
    rosterRoot: root,
    attestationRoot: root,
    creditRoot: root,
    admissions: nodes,
    evictions: nodes,
    policyVersion: BigInt(nodes),
    boundaryBlock: BigInt(nodes),
  };
  const signatures = Array.from({ length: CERTIFICATE_SIGNATURES }, (): Hex => `0x${'22'.repeat(65)}`);
  const call = encodeFunctionData({
    abi: contractAbis.epochLog,
    functionName: 'record',
    args: [record, signatures],
  });
  return (call.length - 2) / 2;
}

export function sizeTable(tell: (line: string) => void): { table: string; rows: SizeRow[] } {
  const rows = SIZES.map((nodes) => {
    const row = measureSize(nodes);
    tell(`${nodes} nodes: ${row.epochS.toFixed(2)} s`);
    return row;
  });
  const most = rows.at(-1) as SizeRow;
  const lines = rows.map(
    (row) =>
      `| ${row.nodes} | ${row.meanAsked.toFixed(3)} (${percent(row.meanAsked / most.meanAsked)}) | ${row.mostAsked} | ${row.bytes} | ${row.epochS.toFixed(3)} | ${row.layer1Bytes} |`,
  );
  const head = [
    '| nodes | attestations of a node in an epoch: mean (of the largest network) | most, of a million | bytes of state a node | CPU s an epoch | layer-1 bytes an epoch |',
    '|---|---|---|---|---|---|',
  ];
  return { table: [...head, ...lines].join('\n'), rows };
}

/** Epochs until the first honest attestor is drawn for a tampered node that answers, by jury size and attackers' weight. */
export function catchTable(nodes: number, tell: (line: string) => void): string {
  const shares = [0, 0.1, 0.2, 0.33];
  const lines = [1, 2, 3, 5, 8].map((expected) => {
    const cells = shares.map((share) => catchTime(nodes, expected, share));
    tell(`jury of ${expected}: ${cells.join(', ')}`);
    return `| ${expected} | ${cells.join(' | ')} |`;
  });
  return [
    `| expected jury | ${shares.map((share) => `attackers ${percent(share)}`).join(' | ')} |`,
    `|---|${shares.map(() => '---|').join('')}`,
    ...lines,
  ].join('\n');
}

/** Mean and 99.9 % of the epochs; and the mean that independent draws give. */
export function catchTime(nodes: number, expected: number, share: number): string {
  const field = openField(nodes);
  const attackers = Math.floor(nodes * share);
  const tampered = Math.floor(nodes / 10);
  const caught = new Uint16Array(tampered);
  let left = tampered;
  for (let epoch = 1; left > 0 && epoch < 1_000; epoch++) {
    const draw: EpochDraw = { seed: 'catch', epoch, expected };
    drawEpoch(field, draw);
    forEachSeat(field, expected, (attestor, targets) => {
      if (attestor < attackers) return;
      for (const target of targets) {
        if (target >= tampered || caught[target] !== 0) continue;
        caught[target] = epoch;
        left--;
      }
    });
  }
  const rising = [...caught].sort((a, b) => a - b);
  const mean = rising.reduce((sum, it) => sum + it, 0) / tampered;
  const chance = 1 - Math.exp((-expected * (nodes - attackers)) / nodes);
  const high = rising[Math.ceil(tampered * 0.999) - 1] as number;
  return `${mean.toFixed(2)} (${(1 / chance).toFixed(2)}) / ${high}`;
}

export function signedTable(of: SignedEpoch): string {
  const limitS = of.signaturesS + of.proofsS;
  return [
    '| nodes | results | VRF proofs | signatures | CPU s an epoch | raw checks of signatures + proofs, CPU s | ratio | ratio to the signatures alone |',
    '|---|---|---|---|---|---|---|---|',
    `| ${of.nodes} | ${of.results} | ${of.proofs} | ${of.signatures} | ${of.epochS.toFixed(2)} | ${of.signaturesS.toFixed(2)} + ${of.proofsS.toFixed(2)} | ${(of.epochS / limitS).toFixed(2)} | ${(of.epochS / of.signaturesS).toFixed(2)} |`,
  ].join('\n');
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
