const DER_INTEGER = 0x02;
const DER_SEQUENCE = 0x30;
const DER_SHORT_MAX = 0x7f;

/** ECDSA-Sig-Value (RFC 3279, 2.2.3). No number here needs more than 67 bytes, so lengths take one byte or two. */
export function toDer({ r, s }: { readonly r: Uint8Array; readonly s: Uint8Array }): Uint8Array {
  const rStart = startOf(r);
  const sStart = startOf(s);
  const rBytes = integerBytes(r, rStart);
  const length = rBytes + integerBytes(s, sStart);
  const head = length > DER_SHORT_MAX ? 3 : 2;
  const der = new Uint8Array(head + length);
  der[0] = DER_SEQUENCE;
  if (head === 3) der[1] = 0x81;
  der[head - 1] = length;
  putInteger(der, head, r, rStart);
  putInteger(der, head + rBytes, s, sStart);
  return der;
}

/** Where the magnitude begins: at the first byte that is not zero, or at the last one. */
function startOf(value: Uint8Array): number {
  let start = 0;
  while (start < value.length - 1 && value[start] === 0) start++;
  return start;
}

/** Tag, length, a zero before a first bit that is set, and the magnitude. */
function integerBytes(value: Uint8Array, start: number): number {
  return 2 + ((value[start] as number) >= 0x80 ? 1 : 0) + value.length - start;
}

function putInteger(der: Uint8Array, at: number, value: Uint8Array, start: number): void {
  const bytes = integerBytes(value, start) - 2;
  der[at] = DER_INTEGER;
  der[at + 1] = bytes;
  const magnitudeBytes = value.length - start;
  der.set(start === 0 ? value : value.subarray(start), at + 2 + bytes - magnitudeBytes);
}
