import { hash } from 'node:crypto';
import {
  CONFIDENCE_NEW,
  CREDIT_GENESIS,
  confidenceAfterEpoch,
  creditAfterEpoch,
  type Standing,
  standingOf,
  weightOf,
} from '@nemea/membership';
import { drawBound, indexesInArc } from '@nemea/vrf';

/**
 * A network of up to a million nodes as columns of numbers. Bounds, arcs, standings, credit and confidence are the product's own
 * functions; a hash stands for each VRF output, and accounts are indexes. Places and outputs are 64 bits of what the product
 * compares in 256, and the lowest 20 bits of a place name its node.
 */
const INDEX_BITS = 20n;
const INDEX_MASK = (1n << INDEX_BITS) - 1n;
const RING_BITS = 64;
const NODES_MAX = 2 ** Number(INDEX_BITS);

export interface Field {
  readonly size: number;
  readonly credit: Uint16Array;
  readonly confidence: Int8Array;
  /** This epoch: the ring, what each node drew, how its jury spoke, and what it did as an attestor. */
  readonly ring: BigUint64Array;
  readonly beta: BigUint64Array;
  readonly seated: Uint32Array;
  readonly affirming: Uint32Array;
  readonly asked: Uint16Array;
  readonly agreed: Uint8Array;
  readonly neglected: Uint8Array;
}

export function openField(size: number): Field {
  if (size > NODES_MAX) throw new Error(`nodes: got ${size}, want at most ${NODES_MAX}`);
  return {
    size,
    credit: new Uint16Array(size).fill(CREDIT_GENESIS),
    confidence: new Int8Array(size).fill(CONFIDENCE_NEW),
    ring: new BigUint64Array(size),
    beta: new BigUint64Array(size),
    seated: new Uint32Array(size),
    affirming: new Uint32Array(size),
    asked: new Uint16Array(size),
    agreed: new Uint8Array(size),
    neglected: new Uint8Array(size),
  };
}

/** Bytes of state that a node takes. */
export function bytesPerNode(field: Field): number {
  const { credit, confidence, ring, beta, seated, affirming, asked, agreed, neglected } = field;
  const columns = [credit, confidence, ring, beta, seated, affirming, asked, agreed, neglected];
  return columns.reduce((sum, column) => sum + column.byteLength, 0) / field.size;
}

/** Whether an attestor has a result that affirms a target; otherwise it has none. */
export type Affirms = (attestor: number, target: number) => boolean;

export interface EpochDraw {
  readonly seed: string;
  readonly epoch: number;
  /** Expected jury size. */
  readonly expected: number;
}

/** One epoch: draws, juries, standings, credit. */
export function stepField(field: Field, draw: EpochDraw, affirms: Affirms): void {
  drawEpoch(field, draw);
  countJuries(field, draw.expected, affirms);
  countDuties(field, draw.expected, affirms);
  settle(field);
}

/** Draws the ring and everybody's output of an epoch: one hash for each node. */
export function drawEpoch({ size, ring, beta }: Field, { seed, epoch }: Omit<EpochDraw, 'expected'>): void {
  for (let node = 0; node < size; node++) {
    const output = hash('sha256', `${seed}/${epoch}/${node}`, 'buffer');
    ring[node] = (output.readBigUInt64BE(0) & ~INDEX_MASK) | BigInt(node);
    beta[node] = output.readBigUInt64BE(8);
  }
  ring.sort();
}

/** Visits each attestor with the targets that it is drawn for. */
export function forEachSeat(
  { size, credit, ring, beta }: Field,
  expected: number,
  visit: (attestor: number, targets: readonly number[]) => void,
): void {
  const boundOf = boundsOf(credit, expected);
  for (let attestor = 0; attestor < size; attestor++) {
    const bound = boundOf(credit[attestor] as number);
    const targets = indexesInArc({ bits: RING_BITS, positions: ring }, beta[attestor] as bigint, bound)
      .map((index) => Number((ring[index] as bigint) & INDEX_MASK))
      .filter((target) => target !== attestor);
    visit(attestor, targets);
  }
}

function countJuries(field: Field, expected: number, affirms: Affirms): void {
  const { credit, seated, affirming, asked } = field;
  seated.fill(0);
  affirming.fill(0);
  forEachSeat(field, expected, (attestor, targets) => {
    const weight = weightOf(credit[attestor] as number);
    asked[attestor] = targets.length;
    for (const target of targets) {
      seated[target] = (seated[target] as number) + weight;
      if (affirms(attestor, target)) affirming[target] = (affirming[target] as number) + weight;
    }
  });
}

function countDuties(field: Field, expected: number, affirms: Affirms): void {
  const { agreed, neglected } = field;
  forEachSeat(field, expected, (attestor, targets) => {
    const passed = targets.filter((target) => standingIn(field, target) === 'passed');
    const affirmed = passed.filter((target) => affirms(attestor, target)).length;
    agreed[attestor] = Math.min(255, affirmed);
    neglected[attestor] = Math.min(255, passed.length - affirmed);
  });
}

function settle(field: Field): void {
  const { size, credit, confidence, agreed, neglected } = field;
  for (let node = 0; node < size; node++) {
    const standing = standingIn(field, node);
    const duty = { isSilent: false, agreed: agreed[node] as number, neglected: neglected[node] as number };
    credit[node] = creditAfterEpoch(credit[node] as number, standing, duty);
    confidence[node] = confidenceAfterEpoch(confidence[node] as number, standing);
  }
}

function standingIn({ seated, affirming }: Field, node: number): Standing {
  return standingOf({ seated: seated[node] as number, affirming: affirming[node] as number });
}

/** The draw bound for each credit, computed once for each weight. */
function boundsOf(credit: Uint16Array, expected: number): (credit: number) => bigint {
  let weightTotal = 0;
  for (const it of credit) weightTotal += weightOf(it);
  const bounds = new Map<number, bigint>();
  return (it) => {
    const weight = weightOf(it);
    const bound = bounds.get(weight) ?? drawBound({ weight, weightTotal, expected }, RING_BITS);
    bounds.set(weight, bound);
    return bound;
  };
}
