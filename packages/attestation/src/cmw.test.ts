import { fromHex, fromUtf8, toHex, toUtf8 } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CMW_KIND, type Cmw, EVIDENCE_MEDIA_TYPE, isCmw, unwrapCmw, wrapCmw } from './cmw.ts';
import { AttestationError } from './errors.ts';

const value = fromHex('2347da55');

// The examples of draft-ietf-rats-msg-wrap: Content-Format 30001 and its media type.
test('the record and tag examples of the draft are read and written', () => {
  const json = '["application/vnd.example.rats-conceptual-msg","I0faVQ"]';
  const type = 'application/vnd.example.rats-conceptual-msg';
  expect(unwrapCmw(fromUtf8(json))).toEqual({ type, value });
  expect(toUtf8(wrapCmw({ type, value }, 'json'))).toBe(json);
  const record = '82197531442347da55';
  expect(unwrapCmw(fromHex(record))).toEqual({ type: 30001, value });
  expect(toHex(wrapCmw({ type: 30001, value }, 'cbor'))).toBe(record);
  // Tag 1668576935 = TN(30001), RFC 9277, appendix B.
  const tag = `da${(1668576935).toString(16)}442347da55`;
  expect(unwrapCmw(fromHex(tag))).toEqual({ type: 30001, value });
  expect(toHex(wrapCmw({ type: 30001, value }, 'tag'))).toBe(tag);
  const signed = '83781d6170706c69636174696f6e2f7369676e65642d636f72696d2b63626f7247d28443a10126a103';
  const corim = {
    type: 'application/signed-corim+cbor',
    value: fromHex('d28443a10126a1'),
    indicator: CMW_KIND.referenceValues | CMW_KIND.endorsements,
  };
  expect(unwrapCmw(fromHex(signed))).toEqual(corim);
  expect(toHex(wrapCmw(corim, 'cbor'))).toBe(signed);
});

const mediaType = fc.constantFrom(EVIDENCE_MEDIA_TYPE, 'application/eat+cwt; eat_profile="urn:x"', 'a/b');
const contentFormat = fc.integer({ min: 0, max: 65_024 });
const indicator = fc.option(fc.integer({ min: 1, max: 15 }), { nil: undefined });
const bytes = fc.uint8Array({ maxLength: 70_000, size: 'large' });

function cmwOf(type: string | number, content: Uint8Array, kinds: number | undefined): Cmw {
  return { type, value: content, ...(kinds === undefined ? {} : { indicator: kinds }) };
}

test('any message survives each wrapper, and each wrapper is recognised', () => {
  fc.assert(
    fc.property(mediaType, contentFormat, bytes, indicator, (text, number, content, kinds) => {
      const cases = [
        ['json', cmwOf(text, content, kinds)],
        ['cbor', cmwOf(text, content, kinds)],
        ['cbor', cmwOf(number, content, kinds)],
        ['tag', cmwOf(number, content, undefined)],
      ] as const;
      for (const [form, cmw] of cases) {
        const wrapped = wrapCmw(cmw, form);
        expect(isCmw(wrapped)).toBe(true);
        expect(unwrapCmw(wrapped)).toEqual(cmw);
      }
    }),
    { numRuns: 50 },
  );
});

test('unwrapping throws nothing but its own error', () => {
  const start = fc.constantFrom(
    '82',
    '83',
    '5b',
    'da63740101',
    'd8',
    '8219',
    '8278ff',
    '825bffffffffffffffff',
  );
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 60 }), (head, rest) => {
      const input = Uint8Array.of(...fromHex(head), ...rest);
      try {
        unwrapCmw(input);
      } catch (error) {
        expect(error).toBeInstanceOf(AttestationError);
      }
    }),
    { numRuns: 2000 },
  );
});

describe('a wrapper is refused [ATT-20]', () => {
  const rows: readonly (readonly [string, Uint8Array])[] = [
    ['empty', new Uint8Array(0)],
    ['with one item', fromHex('81197531')],
    ['with four items', fromHex('84197531400101')],
    ['with a length that is not the shortest', fromHex('8219753158042347da55')],
    ['with an indefinite byte string', fromHex('821975315f442347da55ff')],
    ['with bytes after its end', fromHex('82197531442347da5500')],
    ['with a value that is cut', fromHex('82197531442347da')],
    ['with a value of 4 GiB', fromHex('821975315affffffff')],
    ['with a 64-bit length', fromHex('821975315b0000000000000001ff')],
    ['with a text value', fromHex('821975316161')],
    ['with an indicator of zero', fromHex('831975314000')],
    ['with an indicator of another kind', fromHex('831975314010')],
    ['with a tag that no Content-Format maps to', fromHex('da637402004100')],
    ['with a tag below the range', fromHex('da637401004100')],
    ['with a tag of another standard', fromHex('d84141ff')],
    ['a collection', fromHex('a0')],
    ['with an empty media type', fromHex('826040')],
    ['with a media type that is none', fromHex('82616140')],
    ['in JSON with a Content-Format', fromUtf8('[30001,"I0faVQ"]')],
    ['in JSON with padding', fromUtf8('["a/b","I0faVQ=="]')],
    ['in JSON with the other base64 alphabet', fromUtf8('["a/b","+/+/"]')],
    ['in JSON with last bits set', fromUtf8('["a/b","I0faVR"]')],
    ['in JSON with one base64 character too many', fromUtf8('["a/b","I0fa1"]')],
    ['in JSON with an indicator that is text', fromUtf8('["a/b","","4"]')],
    ['in JSON that is cut', fromUtf8('["a/b","I0fa')],
    ['in JSON that is no UTF-8', fromHex('5bff')],
  ];
  test.each(rows)('%s', (_, input) => {
    expect(() => unwrapCmw(input)).toThrow(expect.objectContaining({ code: 'CMW_INVALID' }));
  });

  test.each([
    ['blanks', '["application/x", "Bw"]'],
    ['an escaped character', '["application\\/x","Bw"]'],
    ['a number in another form', '["application/x","Bw",4.0]'],
    ['a line end behind it', '["application/x","Bw"]\n'],
  ])('in JSON with %s, which is a second form of the same message', (_, text) => {
    expect(() => unwrapCmw(fromUtf8(text))).toThrow(/spelling/);
  });

  test('that cannot be made: a media type in a tag, a Content-Format in JSON', () => {
    for (const [cmw, form] of [
      [{ type: 'a/b', value }, 'tag'],
      [{ type: 1, value, indicator: 1 }, 'tag'],
      [{ type: 1, value }, 'json'],
      [{ type: 65_025, value }, 'cbor'],
      [{ type: 'a', value }, 'cbor'],
      [{ type: 'a/b', value, indicator: 16 }, 'cbor'],
    ] as const)
      expect(() => wrapCmw(cmw, form)).toThrow(expect.objectContaining({ code: 'CMW_INVALID' }));
  });
});
