import { concatBytes, fromUtf8, toUtf8 } from '@nemea/core';
import { type Material, mutateBytes } from './mutate.ts';
import type { Random } from './random.ts';
import type { Form } from './target.ts';

/**
 * A structured input taken apart just so far that it can be put together again after a change: CBOR items and DER
 * values. The readers are lenient and know nothing of the readers under test; what they cannot read is mutated as bytes.
 */
export interface Tree {
  /** CBOR major type, or DER identifier octet. */
  kind: number;
  /** CBOR: the integer, tag number or simple value. */
  value: bigint;
  content: Uint8Array;
  /** Present for what holds others: CBOR arrays, maps (key, value, key, value) and tags; constructed DER. */
  children: Tree[] | null;
}

interface Reader {
  readonly bytes: Uint8Array;
  at: number;
  depth: number;
}

interface TreeForm {
  readonly read: (input: Uint8Array) => Tree;
  readonly write: (tree: Tree, random: Random) => Uint8Array;
  readonly samples: readonly Tree[];
}

const DEPTH_MAX = 64;
const NOTHING: Uint8Array = new Uint8Array(0);
const CBOR = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, tag: 6, simple: 7 };
const CONSTRUCTED = 0x20;

/** A changed copy that is still of the form, most of the time; undefined when the input is not of the form. */
export function mutateTree(input: Uint8Array, form: Form, material: Material): Uint8Array | undefined {
  const treeForm = FORMS[form];
  if (treeForm === undefined) return undefined;
  let tree: Tree;
  try {
    tree = treeForm.read(input);
  } catch {
    return undefined; // not of the form: bytes are mutated instead
  }
  for (let changes = 1 + material.random.below(3); changes > 0; changes--) {
    change(tree, treeForm, material);
  }
  const written = treeForm.write(tree, material.random);
  return written.length > material.bytesMax ? undefined : written;
}

function change(root: Tree, form: TreeForm, material: Material): void {
  const { random } = material;
  const trees = allTrees(root);
  const tree = random.pick(trees) ?? root;
  const { children } = tree;
  switch (random.below(children === null ? 4 : 9)) {
    case 0:
      assign(tree, random.pick(form.samples) ?? root);
      return;
    case 1:
      assign(tree, donated(form, material) ?? random.pick(trees) ?? root);
      return;
    case 2:
      tree.value = changedInteger(tree.value, material);
      return;
    case 3:
      if (children === null) tree.content = mutateBytes(tree.content, material);
      else tree.kind = (random.pick(trees) ?? tree).kind;
      return;
    case 4:
    case 5: {
      children?.splice(random.below(children.length), 1 + random.below(2));
      return;
    }
    case 6:
      children?.splice(random.below(children.length + 1), 0, copyOf(random.pick(trees) ?? root));
      return;
    case 7: {
      const a = random.below(children?.length ?? 0);
      const b = random.below(children?.length ?? 0);
      const [left, right] = [children?.[a], children?.[b]];
      if (children && left && right) [children[a], children[b]] = [right, left];
      return;
    }
    default:
      children?.push(copyOf(random.pick(form.samples) ?? root), copyOf(random.pick(form.samples) ?? root));
  }
}

function changedInteger(value: bigint, { random, comparisons }: Material): bigint {
  const comparison = random.pick(comparisons);
  const side = comparison?.[random.below(2)];
  if (typeof side === 'bigint' && side >= 0n) return side;
  if (typeof side === 'number' && Number.isSafeInteger(side) && side >= 0 && random.once(2))
    return BigInt(side);
  const changed = random.once(2) ? value + BigInt(random.below(5) - 2) : 1n << BigInt(random.below(65));
  return changed < 0n ? 0n : changed;
}

function donated(form: TreeForm, { donor, random }: Material): Tree | undefined {
  try {
    return random.pick(allTrees(form.read(donor)));
  } catch {
    return undefined; // the donor is not of the form
  }
}

function allTrees(tree: Tree): Tree[] {
  return [tree, ...(tree.children ?? []).flatMap(allTrees)];
}

function assign(tree: Tree, from: Tree): void {
  Object.assign(tree, copyOf(from));
}

function copyOf({ kind, value, content, children }: Tree): Tree {
  return { kind, value, content, children: children === null ? null : children.map(copyOf) };
}

function whole(input: Uint8Array, read: (reader: Reader) => Tree): Tree {
  const reader: Reader = { bytes: input, at: 0, depth: 0 };
  const tree = read(reader);
  if (reader.at !== input.length) throw new RangeError('bytes after the end');
  return tree;
}

function take(reader: Reader, length: number): Uint8Array {
  const start = reader.at;
  if (!(start + length <= reader.bytes.length)) throw new RangeError('too short');
  reader.at += length;
  return reader.bytes.slice(start, reader.at);
}

function unsigned(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function readCbor(reader: Reader): Tree {
  const [initial = 0] = take(reader, 1);
  const kind = initial >> 5;
  const info = initial & 31;
  if (info > 27) throw new RangeError('reserved or of indefinite length');
  const argument = info < 24 ? NOTHING : take(reader, 1 << (info - 24));
  const value = info < 24 ? BigInt(info) : unsigned(argument);
  if (kind === CBOR.bytes || kind === CBOR.text) {
    return { kind, value: 0n, content: take(reader, Number(value)), children: null };
  }
  // Floats keep their width.
  if (kind === CBOR.simple) return { kind, value: BigInt(info), content: argument, children: null };
  if (kind < CBOR.array) return { kind, value, content: NOTHING, children: null };
  const count = kind === CBOR.tag ? 1 : Number(value) * (kind === CBOR.map ? 2 : 1);
  if (count > reader.bytes.length || ++reader.depth > DEPTH_MAX) throw new RangeError('too many');
  const children = Array.from({ length: count }, () => readCbor(reader));
  reader.depth--;
  return { kind, value: kind === CBOR.tag ? value : 0n, content: NOTHING, children };
}

function writeCbor(tree: Tree, random: Random): Uint8Array {
  const kind = tree.kind & 7;
  if (kind === CBOR.bytes || kind === CBOR.text) {
    return concatBytes(cborHead(kind, BigInt(tree.content.length)), tree.content);
  }
  if (kind === CBOR.simple) {
    const info = [20n, 21n, 22n, 23n, 25n, 26n, 27n].includes(tree.value) ? Number(tree.value) : 22;
    const width = info < 25 ? 0 : 1 << (info - 24);
    const argument = new Uint8Array(width);
    argument.set(tree.content.subarray(0, width));
    return concatBytes(Uint8Array.of((kind << 5) | info), argument);
  }
  if (kind < CBOR.array) return cborHead(kind, BigInt.asUintN(64, tree.value));
  const parts = (tree.children ?? []).map((child) => writeCbor(child, random));
  if (kind === CBOR.tag)
    return concatBytes(cborHead(kind, tree.value), parts[0] ?? cborHead(CBOR.simple, 22n));
  if (kind === CBOR.array) return concatBytes(cborHead(kind, BigInt(parts.length)), ...parts);
  const pairs = Array.from({ length: parts.length >> 1 }, (_, i) => parts.slice(2 * i, 2 * i + 2));
  // Now and then in another order than the canonical one.
  if (!random.once(32)) pairs.sort(([a = NOTHING], [b = NOTHING]) => Buffer.compare(a, b));
  return concatBytes(cborHead(kind, BigInt(pairs.length)), ...pairs.flat());
}

function cborHead(kind: number, argument: bigint): Uint8Array {
  const value = BigInt.asUintN(64, argument);
  if (value < 24n) return Uint8Array.of((kind << 5) | Number(value));
  const power = value < 0x100n ? 0 : value < 0x10000n ? 1 : value < 0x100000000n ? 2 : 3;
  const bytes = new Uint8Array(1 + (1 << power));
  bytes[0] = (kind << 5) | (24 + power);
  for (let i = 0; i < 1 << power; i++) bytes[bytes.length - 1 - i] = Number((value >> BigInt(8 * i)) & 0xffn);
  return bytes;
}

/** One DER value; throws `RangeError` for what is none, and for forms that nobody uses. */
export function readDer(input: Uint8Array): Tree {
  return whole(input, readDerItem);
}

function readDerItem(reader: Reader): Tree {
  const [kind = 0] = take(reader, 1);
  let [length = 0] = take(reader, 1);
  if ((kind & 0x1f) === 0x1f || length === 0x80 || length > 0x84)
    throw new RangeError('not of the DER in use');
  if (length > 0x80) length = Number(unsigned(take(reader, length & 0x7f)));
  const content = take(reader, length);
  const leaf: Tree = { kind, value: 0n, content, children: null };
  if ((kind & CONSTRUCTED) === 0) return leaf;
  if (++reader.depth > DEPTH_MAX) throw new RangeError('too deep');
  const inner: Reader = { bytes: content, at: 0, depth: reader.depth };
  const children: Tree[] = [];
  while (inner.at < content.length) children.push(readDerItem(inner));
  reader.depth--;
  return { ...leaf, content: NOTHING, children };
}

export function writeDer(tree: Tree): Uint8Array {
  const content = tree.children === null ? tree.content : concatBytes(...tree.children.map(writeDer));
  const { length } = content;
  if (length < 0x80) return concatBytes(Uint8Array.of(tree.kind, length), content);
  const head = length < 0x100 ? [0x81, length] : [0x82, (length >> 8) & 0xff, length & 0xff];
  return concatBytes(Uint8Array.of(tree.kind, ...head), content);
}

/** JSON is read into CBOR's kinds: that gives it the same changes. */
function fromJson(value: unknown): Tree {
  const leaf = (kind: number, number: bigint, content: Uint8Array = NOTHING): Tree => {
    return { kind, value: number, content, children: null };
  };
  if (typeof value === 'string') return leaf(CBOR.text, 0n, fromUtf8(value.toWellFormed()));
  if (typeof value === 'number' && Number.isSafeInteger(value)) {
    return value < 0 ? leaf(CBOR.negative, BigInt(-1 - value)) : leaf(CBOR.unsigned, BigInt(value));
  }
  if (typeof value === 'object' && value !== null) {
    const items = Array.isArray(value) ? value : Object.entries(value).flat();
    const kind = Array.isArray(value) ? CBOR.array : CBOR.map;
    return { kind, value: 0n, content: NOTHING, children: items.map(fromJson) };
  }
  return leaf(CBOR.simple, value === true ? 21n : value === false ? 20n : 22n);
}

function toJson(tree: Tree): string {
  const children = (tree.children ?? []).map(toJson);
  const text = (): string => JSON.stringify(Buffer.from(tree.content).toString('utf8'));
  switch (tree.kind & 7) {
    case CBOR.unsigned:
      return String(tree.value);
    case CBOR.negative:
      return String(-1n - tree.value);
    case CBOR.bytes:
    case CBOR.text:
      return text();
    case CBOR.array:
      return `[${children.join(',')}]`;
    case CBOR.map: {
      const pairs: string[] = [];
      for (let i = 0; i + 1 < children.length; i += 2) {
        const key = children[i] ?? '';
        pairs.push(`${key.startsWith('"') ? key : JSON.stringify(key)}:${children[i + 1]}`);
      }
      return `{${pairs.join(',')}}`;
    }
    case CBOR.tag:
      return children[0] ?? 'null';
    default:
      return tree.value === 20n ? 'false' : tree.value === 21n ? 'true' : tree.value === 27n ? '1.5' : 'null';
  }
}

function sample(
  kind: number,
  value: bigint,
  content: Uint8Array | null = null,
  children: Tree[] | null = null,
) {
  return { kind, value, content: content ?? NOTHING, children };
}

const CBOR_SAMPLES: readonly Tree[] = [
  ...[0n, 1n, 255n, 0x1_0000_0000n, 2n ** 53n, 2n ** 64n - 1n].map((value) => sample(CBOR.unsigned, value)),
  ...[0n, 2n ** 53n, 2n ** 64n - 1n].map((value) => sample(CBOR.negative, value)),
  ...[20n, 21n, 22n, 23n, 27n].map((value) => sample(CBOR.simple, value)),
  ...[0, 1, 20, 32, 64, 300].map((length) => sample(CBOR.bytes, 0n, new Uint8Array(length))),
  ...['', 'a', '__proto__', 'constructor', '0', '\u0000', '\ud7ff'].map((text) =>
    sample(CBOR.text, 0n, fromUtf8(text)),
  ),
  sample(CBOR.text, 0n, Uint8Array.of(0xff)),
  sample(CBOR.array, 0n, null, []),
  sample(CBOR.map, 0n, null, []),
  sample(CBOR.tag, 42n, null, [sample(CBOR.bytes, 0n, Uint8Array.of(0, 1, 0x55, 0))]),
];
const DER_SAMPLES: readonly Tree[] = [
  sample(0x01, 0n, Uint8Array.of(0xff)),
  sample(0x02, 0n, Uint8Array.of(0)),
  sample(0x02, 0n, new Uint8Array(300).fill(0x7f)),
  sample(0x03, 0n, Uint8Array.of(8)),
  sample(0x04, 0n, NOTHING),
  sample(0x05, 0n, NOTHING),
  sample(0x06, 0n, Uint8Array.of(0x80)),
  sample(0x06, 0n, Uint8Array.of(0x67, 0x81, 0x05, 0x08, 0x01)),
  sample(0x0c, 0n, Uint8Array.of(0xff)),
  sample(0x17, 0n, fromUtf8('991332996099Z')),
  sample(0x18, 0n, fromUtf8('99991231235959Z')),
  sample(0x30, 0n, null, []),
  sample(0x31, 0n, null, []),
  sample(0xa0, 0n, null, []),
];

const FORMS: Readonly<Partial<Record<Form, TreeForm>>> = {
  cbor: { read: (input) => whole(input, readCbor), write: writeCbor, samples: CBOR_SAMPLES },
  der: { read: readDer, write: writeDer, samples: DER_SAMPLES },
  json: {
    read: (input) => fromJson(JSON.parse(toUtf8(input))),
    write: (tree) => fromUtf8(toJson(tree)),
    samples: CBOR_SAMPLES,
  },
};
