/**
 * What contradicts what, as [CONS-5] and [CONS-21] say it, over payloads in hex: fields of fixed length compare as text. Shares
 * nothing with the product.
 */

const LENGTHS: Readonly<Record<string, readonly number[]>> = {
  '01': [53],
  '02': [53],
  '03': [53],
  '04': [49],
  '05': [22, 66],
  '06': [45],
};

/** The epoch of consensus that two payloads of one signer are about when they contradict each other. */
export function epochProven(first: string, second: string): number | undefined {
  const isReadable = [first, second].every((text) => LENGTHS[kindOf(text)]?.includes(text.length / 2));
  const isProven =
    isReadable && (fillsTwice(first, second) || forgets(first, second) || forgets(second, first));
  return isProven ? Math.max(epochOf(first), epochOf(second)) : undefined;
}

function kindOf(text: string): string {
  return text.slice(0, 2);
}

function epochOf(text: string): number {
  return Number(`0x${text.slice(2, 18)}`);
}

function fillsTwice(first: string, second: string): boolean {
  return slotOf(first).place === slotOf(second).place && slotOf(first).said !== slotOf(second).said;
}

/** Votes by epoch, view and sequence, whatever their kind; checkpoints by sequence; the rest by epoch and view. */
function slotOf(text: string): { place: string; said: string } {
  const kind = kindOf(text);
  if (kind === '04') return { place: `checkpoint ${text.slice(18, 34)}`, said: text.slice(34) };
  if (kind === '05' || kind === '06') return { place: `${kind} ${text.slice(2, 26)}`, said: text.slice(26) };
  return { place: `vote ${text.slice(2, 42)}`, said: text.slice(42) };
}

/** A commit, and a view change from a later view of the epoch that shows nothing as high. */
function forgets(commit: string, change: string): boolean {
  if (kindOf(commit) !== '03' || kindOf(change) !== '05' || epochOf(commit) !== epochOf(change)) return false;
  if (commit.slice(18, 26) >= change.slice(18, 26)) return false;
  const isWithoutTip = change.slice(42, 44) === '00';
  return isWithoutTip || change.slice(44, 68) < commit.slice(18, 42);
}
