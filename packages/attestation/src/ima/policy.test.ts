import { fromUtf8, toHex } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matchesGlob, parseGlob } from './glob.ts';
import {
  appraiseIma,
  type ImaAppraisal,
  ImaError,
  parseImaList,
  parseImaPolicy,
  quotedPcr10,
  verifyIma,
} from './index.ts';
import {
  bufferEntry,
  digestField,
  digestOf,
  fileEntry,
  nameField,
  pcr10After,
  signedEntry,
  type WrittenEntry,
  writeBinary,
} from './testing.ts';

const BOOT: WrittenEntry = {
  template: 'ima-ng',
  fields: [digestField(digestOf('firmware')), nameField('boot_aggregate')],
};
const hex = (content: string, algorithm = 'sha256'): string => toHex(digestOf(content, algorithm));
const sha256 = (content: string): string => `sha256:${hex(content)}`;

function judge(entries: readonly WrittenEntry[], policy: unknown): ImaAppraisal {
  return appraiseIma(parseImaList(writeBinary(entries)), { policy: parseImaPolicy(policy) });
}

function reasons(entries: readonly WrittenEntry[], policy: unknown): string[] {
  return judge(entries, policy).verdicts.map(({ accepted, reason }) => `${accepted ? 'ok' : 'no'} ${reason}`);
}

describe('an allow-list', () => {
  const policy = {
    version: 1,
    digests: { '/bin/a': [sha256('a'), sha256('a2')], boot_aggregate: [sha256('firmware')] },
  };

  test('accepts listed digests under their path and nothing else [IMA-21]', () => {
    const entries = [
      BOOT,
      fileEntry('/bin/a', 'a'),
      fileEntry('/bin/a', 'a2'),
      fileEntry('/bin/a', 'b'),
      fileEntry('/bin/b', 'a'),
    ];
    expect(reasons(entries, policy)).toEqual([
      'ok DIGEST_LISTED',
      'ok DIGEST_LISTED',
      'ok DIGEST_LISTED',
      'no DIGEST_NOT_LISTED',
      'no PATH_NOT_LISTED',
    ]);
    expect(judge(entries, policy)).toMatchObject({ ok: false, counts: { DIGEST_LISTED: 3 } });
    expect(judge(entries.slice(0, 3), policy).ok).toBe(true);
  });

  test('may be a bare object of paths, with or without names of hashes', () => {
    expect(reasons([fileEntry('/bin/a', 'a')], { '/bin/a': [sha256('a')] })).toEqual(['ok DIGEST_LISTED']);
    expect(reasons([fileEntry('/bin/a', 'a')], { '/bin/a': [hex('a')] })).toEqual(['ok DIGEST_LISTED']);
    expect(reasons([fileEntry('/bin/a', 'a')], { '/bin/a': [`sha512:${hex('a', 'sha512')}`] })).toEqual([
      'no DIGEST_NOT_LISTED',
    ]);
    expect(reasons([fileEntry('/bin/a', 'a')], { '/bin/a': [`verity:${sha256('a')}`] })).toEqual([
      'no DIGEST_NOT_LISTED',
    ]);
  });

  test('does not know paths that are names of object properties', () => {
    expect(reasons([fileEntry('__proto__'), fileEntry('constructor')], policy)).toEqual([
      'no PATH_NOT_LISTED',
      'no PATH_NOT_LISTED',
    ]);
  });

  test('can ask for a signature besides', () => {
    const strict = { ...policy, requireSignature: true };
    const signed = signedEntry('/bin/a', Uint8Array.of(3, 2, 4, 1, 2, 3, 4, 0, 1, 0), 'a');
    expect(reasons([BOOT, fileEntry('/bin/a', 'a'), signed], strict)).toEqual([
      'ok DIGEST_LISTED',
      'no SIGNATURE_MISSING',
      'no KEY_UNKNOWN',
    ]);
    expect(reasons([signedEntry('/bin/z', Uint8Array.of(3))], policy)).toEqual(['no SIGNATURE_MALFORMED']);
  });
});

describe('rules besides', () => {
  test('exclude paths by pattern, but neither a violation, whose path nothing covers, nor a bad entry [IMA-19]', () => {
    const entries = [
      fileEntry('/tmp/x'),
      fileEntry('/tmp/y', '', { violation: true }),
      fileEntry('/tmpx'),
      bufferEntry('/tmp/b', fromUtf8('x')),
    ];
    const policy = { version: 1, exclude: ['/tmp/**'] };
    expect(reasons(entries, policy)).toEqual([
      'ok EXCLUDED',
      'no VIOLATION',
      'no PATH_NOT_LISTED',
      'no BUFFER_NOT_LISTED',
    ]);
    const bytes = writeBinary(entries.slice(0, 1));
    bytes[10] = (bytes[10] as number) ^ 1;
    const changed = appraiseIma(parseImaList(bytes), { policy: parseImaPolicy(policy) });
    expect(changed.refused.map(({ reason }) => reason)).toEqual(['TEMPLATE_HASH_MISMATCH']);
  });

  test('say what becomes of violations', () => {
    const entries = [fileEntry('/x', '', { violation: true })];
    expect(reasons(entries, { version: 1 })).toEqual(['no VIOLATION']);
    expect(reasons(entries, { version: 1, violations: 'accept' })).toEqual(['ok VIOLATION_ACCEPTED']);
  });

  test('name measured buffers by pattern, with digests or any', () => {
    const entries = [
      bufferEntry('kexec-cmdline', fromUtf8('quiet')),
      bufferEntry('.ima', fromUtf8('key')),
      bufferEntry('x', fromUtf8('y')),
    ];
    const buffers = { 'kexec-*': [sha256('quiet')], '.ima': 'any' };
    expect(reasons(entries, { version: 1, buffers })).toEqual([
      'ok BUFFER_LISTED',
      'ok BUFFER_LISTED',
      'no BUFFER_NOT_LISTED',
    ]);
    expect(reasons(entries.slice(0, 1), { version: 1, buffers: { 'kexec-*': [sha256('x')] } })).toEqual([
      'no BUFFER_NOT_LISTED',
    ]);
  });

  test('refuse a buffer that its digest is not of', () => {
    const [digest, name] = bufferEntry('b', fromUtf8('x')).fields;
    const other = bufferEntry('b', fromUtf8('y')).fields[2];
    if (digest === undefined || name === undefined || other === undefined) throw new Error('three fields');
    const entry: WrittenEntry = { template: 'ima-buf', fields: [digest, name, other] };
    expect(reasons([entry], { version: 1, buffers: { '*': 'any' } })).toEqual(['no BUFFER_DIGEST_MISMATCH']);
  });

  test('refuse custom templates that the policy does not name: no hash covers the name of a template [IMA-22]', () => {
    const custom = { ...fileEntry('/bin/a', 'a'), template: 'd-ng|n-ng' };
    const policy = { version: 1, digests: { '/bin/a': [sha256('a')] } };
    expect(reasons([custom], policy)).toEqual(['no TEMPLATE_UNKNOWN']);
    expect(reasons([custom], { ...policy, templates: ['d-ng|n-ng'] })).toEqual(['ok DIGEST_LISTED']);
  });

  test('refuse unknown templates', () => {
    expect(reasons([{ template: 'vendor', fields: [nameField('x')] }], { version: 1 })).toEqual([
      'no TEMPLATE_UNKNOWN',
    ]);
  });

  test('judge only what a quote vouches for, and nothing when it vouches for nothing', () => {
    const entries = [BOOT, fileEntry('/bin/a', 'a'), fileEntry('/bin/evil')];
    const list = parseImaList(writeBinary(entries));
    const policy = parseImaPolicy({
      version: 1,
      digests: { '/bin/a': [sha256('a')] },
      exclude: ['boot_aggregate'],
    });
    const at = (count: number) =>
      verifyIma(list, quotedPcr10({ sha256: pcr10After(entries.slice(0, count), 'sha256') }));
    expect(appraiseIma(list, { policy, verification: at(2) })).toMatchObject({ ok: true });
    expect(appraiseIma(list, { policy, verification: at(3) })).toMatchObject({ ok: false });
    const none = verifyIma(list, quotedPcr10({ sha256: digestOf('x') }));
    expect(appraiseIma(list, { policy, verification: none })).toMatchObject({ ok: false, verdicts: [] });
  });
});

describe('a Keylime runtime policy', () => {
  const runtime = {
    meta: { version: 1, generator: 0 },
    release: 0,
    digests: { '/bin/a': [hex('a')] },
    excludes: ['boot_aggregate', '/tmp/.*', '^/var/log(/.*)?$', ''],
    keyrings: { '.ima': [hex('key')] },
    ima: { ignored_keyrings: ['.machine'], log_hash_alg: 'sha1', dm_policy: null },
    'ima-buf': { 'kexec-cmdline': [hex('quiet')] },
    'verification-keys': '',
  };

  test('is read where it is a list, exclusions and key rings [IMA-20]', () => {
    const entries = [
      BOOT,
      fileEntry('/bin/a', 'a'),
      fileEntry('/tmp/x'),
      fileEntry('/var/log/x'),
      bufferEntry('.ima', fromUtf8('key')),
      bufferEntry('.machine', fromUtf8('whatever')),
      bufferEntry('kexec-cmdline', fromUtf8('quiet')),
      fileEntry('/v', '', { violation: true }),
    ];
    expect(judge(entries, runtime)).toMatchObject({ ok: true, refused: [] });
    expect(reasons([fileEntry('/bin/a', 'b'), fileEntry('/bin/b', 'a')], runtime)).toEqual([
      'no DIGEST_NOT_LISTED',
      'no PATH_NOT_LISTED',
    ]);
  });

  test.each(['(a+)+$', '/tmp/[ab].*', '/a|/b', '\\d+', '/x{3}'])(
    'with an exclusion that no glob can say is refused: %s',
    (expression) => {
      expect(() => parseImaPolicy({ ...runtime, excludes: [expression] })).toThrow(ImaError);
    },
  );
});

describe('what is no policy', () => {
  test.each([
    ['nothing', null],
    ['a list', []],
    ['another version', { version: 2 }],
    ['an unknown rule', { version: 1, allow: [] }],
    ['a digest that is none', { version: 1, digests: { '/a': ['sha256:xyz'] } }],
    ['a digest of half a byte', { version: 1, digests: { '/a': [`sha256:${'0'.repeat(63)}`] } }],
    ['a pattern that ends in a backslash', { version: 1, exclude: ['/a\\'] }],
    ['too many patterns', { version: 1, exclude: Array.from({ length: 257 }, () => '/a') }],
  ])('is refused: %s', (_what, value) => {
    expect(() => parseImaPolicy(value)).toThrow(ImaError);
  });
});

describe('a pattern', () => {
  test.each([
    ['/tmp/**', '/tmp/a/b', true],
    ['/tmp/**', '/tmp/', true],
    ['/tmp/**', '/tmp', false],
    ['/tmp/*', '/tmp/a', true],
    ['/tmp/*', '/tmp/a/b', false],
    ['/*/b', '/a/b', true],
    ['/**/b', '/a/x/y/b', true],
    ['/**/b', '/a/x/y/c', false],
    ['/a?c', '/abc', true],
    ['/a?c', '/a/c', false],
    ['/a\\*', '/a*', true],
    ['/a\\*', '/ab', false],
    ['/a*b*c', '/aXbYc', true],
    ['/a*b*c', '/aXbY', false],
    ['*', '', true],
    ['/lib/*.so.?', '/lib/x.so.6', true],
  ])('%s on %s is %s', (pattern, path, expected) => {
    expect(matchesGlob(parseGlob(pattern), path)).toBe(expected);
  });

  test('says the same as a regular expression does', () => {
    const part = fc.constantFrom('*', '**', '?', 'a', 'b', '/', '.');
    fc.assert(
      fc.property(
        fc.array(part, { minLength: 1, maxLength: 8 }),
        fc.array(fc.constantFrom('a', 'b', '/', '.'), { maxLength: 10 }),
        (parts, path) => {
          const text = parts.join('');
          const expression = text.replace(
            /\*\*|\*|\?|\./g,
            (it) => ({ '**': '.*', '*': '[^/]*', '?': '[^/]', '.': '\\.' })[it] ?? '',
          );
          const expected = new RegExp(`^${expression}$`).test(path.join(''));
          expect(matchesGlob(parseGlob(text), path.join(''))).toBe(expected);
        },
      ),
    );
  });

  test('that makes matchers by backtracking loop is answered at once', () => {
    expect(matchesGlob(parseGlob('*a'.repeat(200)), 'a'.repeat(4000))).toBe(true);
    expect(matchesGlob(parseGlob(`${'**a'.repeat(200)}b`), 'a'.repeat(4000))).toBe(false);
  });
});
