import { fromUtf8 } from './bytes.ts';

/** Controls, formats such as a change of direction, breaks of a line, and what is no character at all. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;
const ELLIPSIS = '…';

/**
 * Text of a stranger as one line that can neither move the reader's cursor nor hide nor turn text: what does not print is
 * written as `\u{HEX}`. Of at most `bytesMax` bytes in UTF-8, an ellipsis included.
 */
export function printable(text: string, bytesMax = Number.POSITIVE_INFINITY): string {
  const whole = escaped(text);
  if (fromUtf8(whole).length <= bytesMax) return whole;
  let out = '';
  let size = fromUtf8(ELLIPSIS).length;
  for (const character of text) {
    const shown = escaped(character);
    size += fromUtf8(shown).length;
    if (size > bytesMax) break;
    out += shown;
  }
  return out + ELLIPSIS;
}

function escaped(text: string): string {
  return text.replace(UNPRINTABLE, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
