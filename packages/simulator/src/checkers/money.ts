import { moneyTotal } from '../twins/layer-one/state.ts';
import type { Verdicts } from './checker.ts';

/** Nothing that nodes make layer 1 do creates or destroys money. */
export function checkMoney({ world, fail }: Verdicts): () => void {
  const before = moneyTotal(world.chain.state);
  return () => {
    const now = moneyTotal(world.chain.state);
    if (now !== before) fail('money', `there is ${now}, there was ${before}`);
  };
}
