import { expect, test } from 'vitest';
import { parseReferenceValues, type ReferenceComponent } from '../reference-values.ts';
import { encodeCorim } from './corim.ts';
import { parseCorim } from './parse.ts';
import { fromCorim, toCorim } from './reference.ts';

const A = `sha256:${'aa'.repeat(32)}`;
const B = `sha384:${'bb'.repeat(48)}`;
const COMPONENTS: readonly ReferenceComponent[] = [
  { kind: 'pcr', name: 'sha256:7', digests: [A] },
  { kind: 'boot-loader', name: '\\EFI\\BOOT\\BOOTX64.EFI', digests: [A, B] },
  { kind: 'file', name: '/usr/bin/node', digests: [A] },
];

test('reference values go through a corim and come back the same', () => {
  const { components, ignored } = fromCorim(parseCorim(encodeCorim(toCorim('golden', COMPONENTS))));
  expect(components).toEqual(COMPONENTS);
  expect(ignored).toEqual([]);
  expect(parseReferenceValues({ releases: [], images: [], components }).components?.get('file')?.size).toBe(
    1,
  );
});

test('a register measured in two banks becomes a reference value for each', () => {
  const both = { id: 'x', components: [], registers: toCorim('x', COMPONENTS).registers };
  const sha384 = toCorim('x', [{ kind: 'pcr', name: 'sha384:7', digests: [B] }]).registers;
  const merged = [
    { ...both.registers[0], digests: [...(both.registers[0]?.digests ?? []), ...(sha384[0]?.digests ?? [])] },
  ];
  const { components } = fromCorim(parseCorim(encodeCorim({ ...both, registers: merged as typeof sha384 })));
  expect(components.map(({ name }) => name)).toEqual(['sha256:7', 'sha384:7']);
});

test('components of others need a kind from the caller, and are said to be ignored without one', () => {
  const foreign = toCorim('y', COMPONENTS).components.map((component) => ({
    ...component,
    environment: { vendor: 'ACME' },
  }));
  const corim = parseCorim(encodeCorim({ id: 'y', registers: [], components: foreign }));
  expect(fromCorim(corim).components).toEqual([]);
  expect(fromCorim(corim).ignored).toHaveLength(2);
  expect(fromCorim(corim, 'boot-loader').components.map(({ kind }) => kind)).toEqual([
    'boot-loader',
    'boot-loader',
  ]);
});

test('a digest of SHA-1 has no place in a corim', () => {
  expect(() => toCorim('z', [{ kind: 'file', name: 'f', digests: [`sha1:${'00'.repeat(20)}`] }])).toThrow(
    /sha1/,
  );
});
