/** The task itself without anybody to distrust: both lists in one process. */
import { fileURLToPath } from 'node:url';
import { assert } from '@nemea/core';
import { commonNames, readNames } from '../apps/cli/src/demo/lists.ts';
import { race, type Samples } from './measure.ts';

const EXAMPLE = new URL('../examples/private-set-intersection/', import.meta.url);
export const LIST_B = fileURLToPath(new URL('names-b.csv', EXAMPLE));
export const LIST_C = fileURLToPath(new URL('names-c.csv', EXAMPLE));
export const CODE = fileURLToPath(new URL('intersect.py', EXAMPLE));

/** Milliseconds to read and to intersect. Read anew each time: strings that were hashed before flatter a baseline. */
export async function nativeIntersectionMs(): Promise<Samples> {
  const { native } = await race(
    {
      native: () => {
        const common = commonNames(readNames(LIST_B), readNames(LIST_C));
        assert(common.length > 0, 'the lists have names in common');
        return 1;
      },
    },
    { clock: 'wall', repeats: 7, sampleMs: 100 },
  );
  return { median: 1000 / native.median, min: 1000 / native.max, max: 1000 / native.min };
}
