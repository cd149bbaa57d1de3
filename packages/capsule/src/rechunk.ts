import { concatBytes } from '@nemea/core';

/** Cuts a stream into pieces of exactly `pieceBytes`, the last one shorter. Holds at most one piece and one input. */
export async function* rechunk(
  source: AsyncIterable<Uint8Array>,
  pieceBytes: number,
): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  for await (const input of source) {
    let offset = 0;
    while (heldBytes + input.length - offset >= pieceBytes) {
      const end = offset + pieceBytes - heldBytes;
      held.push(input.subarray(offset, end));
      yield concatBytes(...held);
      held = [];
      heldBytes = 0;
      offset = end;
    }
    if (offset < input.length) {
      // A copy: the source may reuse its buffer while this piece waits for more.
      held.push(input.slice(offset));
      heldBytes += input.length - offset;
    }
  }
  if (heldBytes > 0) yield concatBytes(...held);
}
