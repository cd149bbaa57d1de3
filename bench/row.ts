import type { Samples } from './measure.ts';

/** What a value counts; `perS` is a rate, so more is better, and everything else is a cost. */
export type Unit = 'perS' | 'gbPerS' | 'ms' | 's' | 'mb' | 'bytes' | 'gas';

export interface Measured {
  readonly name: string;
  readonly samples: Samples;
}

/** A bound on the ratio to the peer, or on the value itself. */
export interface Target {
  readonly of: 'ratio' | 'value';
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** One line of the table: what was measured, what stood beside it in the same run, and what was wanted. */
export interface Row {
  readonly group: string;
  readonly unit: Unit;
  readonly own: Measured;
  readonly peer: Measured | null;
  /** Own by peer: the share of a limit for rates, how many times the peer's cost otherwise. */
  readonly ratio: number | null;
  readonly target: Target | null;
  readonly isMet: boolean | null;
}

export function rowOf(options: {
  group: string;
  unit: Unit;
  own: Measured;
  peer?: Measured;
  target?: Target;
}): Row {
  const { peer = null, target = null, own } = options;
  const ratio = peer === null ? null : own.samples.median / peer.samples.median;
  return { ...options, peer, ratio, target, isMet: target === null ? null : meets(target, own, ratio) };
}

function meets(target: Target, own: Measured, ratio: number | null): boolean {
  const value = target.of === 'ratio' ? (ratio ?? Number.NaN) : own.samples.median;
  return value >= (target.atLeast ?? value) && value <= (target.atMost ?? value);
}
