import { contractAbis } from '@nemea/sdk';
import { encodeFunctionData, type Hex } from 'viem';
import { type Plot, renderPlots } from '../economics/plot.ts';
import { bytesPerNode, drawEpoch, type EpochDraw, forEachSeat, openField, stepField } from './field.ts';
import { cpuSeconds, type SignedEpoch } from './signed.ts';

/** Tables and plot of docs/scale.md. Counts follow from seeds; times are of the machine. */

const EXPECTED = 3;
const SIZES = [100, 1_000, 10_000, 100_000, 1_000_000];
const JURIES = [1, 2, 3, 5, 8];
/** Of the weight, attackers'. */
const SHARES = [0, 0.1, 0.2, 0.33];
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

export function measureSizes(tell: (line: string) => void): SizeRow[] {
  return SIZES.map((nodes) => {
    const row = measureSize(nodes);
    tell(`${nodes} nodes: ${row.epochS.toFixed(2)} s`);
    return row;
  });
}

export function sizeTable(rows: readonly SizeRow[]): string {
  const most = rows.at(-1) as SizeRow;
  const lines = rows.map(
    (row) =>
      `| ${row.nodes} | ${row.meanAsked.toFixed(3)} (${percent(row.meanAsked / most.meanAsked)}) | ${row.mostAsked} | ${row.bytes} | ${row.epochS.toFixed(3)} | ${row.layer1Bytes} |`,
  );
  const head = [
    '| nodes | attestations of a node in an epoch: mean (of the largest network) | most, of a million | bytes of state a node | CPU s an epoch | layer-1 bytes an epoch |',
    '|---|---|---|---|---|---|',
  ];
  return [...head, ...lines].join('\n');
}

/** Epochs until a tampered node that answers is caught. */
export interface CatchRow {
  /** Jury size. */
  readonly expected: number;
  /** Of the weight, attackers'. */
  readonly share: number;
  readonly mean: number;
  /** The mean that independent draws give. */
  readonly theory: number;
  /** Of 99.9 %, at most. */
  readonly high: number;
}

export function measureCatches(nodes: number, tell: (line: string) => void): CatchRow[] {
  return JURIES.flatMap((expected) =>
    SHARES.map((share) => {
      const row = measureCatch(nodes, expected, share);
      tell(`jury of ${expected}, ${percent(share)} attackers: ${row.mean.toFixed(2)}`);
      return row;
    }),
  );
}

export function catchTable(rows: readonly CatchRow[]): string {
  const lines = JURIES.map((expected) => {
    const cells = rows
      .filter((row) => row.expected === expected)
      .map(({ mean, theory, high }) => `${mean.toFixed(2)} (${theory.toFixed(2)}) / ${high}`);
    return `| ${expected} | ${cells.join(' | ')} |`;
  });
  return [
    `| expected jury | ${SHARES.map((share) => `attackers ${percent(share)}`).join(' | ')} |`,
    `|---|${SHARES.map(() => '---|').join('')}`,
    ...lines,
  ].join('\n');
}

/** Until the first honest attestor is drawn for each of some tampered nodes. */
export function measureCatch(nodes: number, expected: number, share: number): CatchRow {
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
  const chance = 1 - Math.exp((-expected * (nodes - attackers)) / nodes);
  return {
    expected,
    share,
    mean: rising.reduce((sum, it) => sum + it, 0) / tampered,
    theory: 1 / chance,
    high: rising[Math.ceil(tampered * 0.999) - 1] as number,
  };
}

export function signedTable(of: SignedEpoch): string {
  const limitS = of.signaturesS + of.proofsS;
  return [
    '| nodes | results | VRF proofs | signatures | CPU s an epoch | raw checks of signatures + proofs, CPU s | ratio | ratio to the signatures alone |',
    '|---|---|---|---|---|---|---|---|',
    `| ${of.nodes} | ${of.results} | ${of.proofs} | ${of.signatures} | ${of.epochS.toFixed(2)} | ${of.signaturesS.toFixed(2)} + ${of.proofsS.toFixed(2)} | ${(of.epochS / limitS).toFixed(2)} | ${(of.epochS / of.signaturesS).toFixed(2)} |`,
  ].join('\n');
}

/** Drawn from what the tables say, digit for digit, so that the one can be checked by the other. */
export function scalePlot(
  sizes: readonly Pick<SizeRow, 'nodes' | 'meanAsked'>[],
  caught: readonly Pick<CatchRow, 'expected' | 'share' | 'mean'>[],
): string {
  return renderPlots([workPlot(sizes), catchPlot(caught)]);
}

function workPlot(sizes: readonly Pick<SizeRow, 'nodes' | 'meanAsked'>[]): Plot {
  const most = sizes.at(-1)?.meanAsked ?? Number.NaN;
  const line = (name: string, of: (meanAsked: number) => number) => ({
    name,
    points: sizes.map(({ nodes, meanAsked }) => [nodes, of(Number(meanAsked.toFixed(3)))] as const),
  });
  return {
    title: 'Work of a node does not grow with the network',
    x: { label: 'nodes', min: 100, max: 1_000_000, isLog: true, ticks: sizes.map(({ nodes }) => nodes) },
    y: {
      label: 'attestations of a node in an epoch, mean',
      min: 2.6,
      max: 3.4,
      isLog: false,
      ticks: [2.6, 2.8, 3, 3.2, 3.4],
    },
    lines: [
      line('measured', (meanAsked) => meanAsked),
      line('5 % more than in the largest network', () => 1.05 * Number(most.toFixed(3))),
      line('5 % less', () => 0.95 * Number(most.toFixed(3))),
    ],
  };
}

function catchPlot(caught: readonly Pick<CatchRow, 'expected' | 'share' | 'mean'>[]): Plot {
  return {
    title: 'Epochs until a tampered node is caught, mean',
    x: { label: 'expected jury', max: 8, ticks: JURIES },
    y: { label: 'epochs', min: 1, max: 2.2, isLog: false, ticks: [1, 1.2, 1.4, 1.6, 1.8, 2, 2.2] },
    lines: SHARES.map((share) => ({
      name: `attackers have ${percent(share)} of the weight`,
      points: caught
        .filter((row) => row.share === share)
        .map(({ expected, mean }) => [expected, Number(mean.toFixed(2))] as const),
    })),
  };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
