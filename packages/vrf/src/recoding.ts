/**
 * A scalar as digits that are zero or odd and smaller than 2^(width - 1), the lowest power of two first: of `width`
 * neighbours at most one is not zero (the width-w non-adjacent form: Hankerson, Menezes and Vanstone 2004, 3.3.1). Takes as
 * long as the scalar asks for, so the scalar must be public.
 */
export function signedDigits(scalar: bigint, width: number): Int8Array {
  const bits = bitsOf(scalar, width);
  const digits = new Int8Array(bits.length);
  let carry = 0;
  for (let at = 0; at + width <= bits.length; ) {
    if (bits[at] === carry) {
      at++;
      continue;
    }
    let digit = carry;
    for (let i = 0; i < width; i++) digit += (bits[at + i] as number) << i;
    carry = digit >> (width - 1);
    digits[at] = digit - (carry << width);
    at += width;
  }
  return digits;
}

/** The lowest first, and zeros where the last carry goes. */
function bitsOf(scalar: bigint, width: number): Uint8Array {
  const nibbles = scalar.toString(16);
  const bits = new Uint8Array(4 * nibbles.length + width);
  for (let i = 0; i < nibbles.length; i++) {
    const nibble = Number.parseInt(nibbles.charAt(nibbles.length - 1 - i), 16);
    for (let bit = 0; bit < 4; bit++) bits[4 * i + bit] = (nibble >> bit) & 1;
  }
  return bits;
}
