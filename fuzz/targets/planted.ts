import { bytesEqual, fromHex } from '@nemea/core';
import {
  allocatesWhatItIsTold,
  neverEnds,
  PlantedError,
  readNumber,
  takesQuadraticTime,
  throwsForeignError,
} from '../planted/parser.ts';
import { afterParsing, type Target } from '../target.ts';

const seeds = [fromHex('4e454d41000600010000ffff')];

function planted(name: string, run: Target['run'], more: Partial<Target> = {}): Target {
  return { name: `planted/${name}`, seeds, run, refusals: [PlantedError], ...more };
}

export const targets: readonly Target[] = [
  planted('error', throwsForeignError),
  planted('loop', neverEnds),
  planted('time', takesQuadraticTime, { budget: { cpuMs: 20, cpuMsPerKib: 5 } }),
  planted('memory', allocatesWhatItIsTold),
  planted(
    'codec',
    afterParsing(readNumber, (value, input) => {
      const bytes = fromHex(value.toString(16).padStart(10, '0'));
      if (!bytesEqual(bytes, input.subarray(8))) throw new Error('encodes to other bytes');
    }),
  ),
];
