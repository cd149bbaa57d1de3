import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';
import { type AnyNode, type BinaryExpression, parse, type SwitchStatement } from 'acorn';
import type { Feedback, Registry } from './feedback.ts';

/** Under this name instrumented modules find their probe. */
const PROBE = '__fuzzProbe';
/** Comparison operators and what replaces them: `a !== b` becomes `!__fe(site,a,b)`. */
const REPORTS = new Map([
  ['===', '__fe'],
  ['!==', '!__fe'],
  ['<', '__fl'],
  ['<=', '__fle'],
  ['>', '__fg'],
  ['>=', '__fge'],
]);
const PROBES =
  'counters:__fc,equal:__fe,less:__fl,lessOrEqual:__fle,greater:__fg,greaterOrEqual:__fge,select:__fs';

/**
 * From here on this thread's modules under `folders` are loaded with counters in every block and a report of every
 * comparison. Modules that are already loaded stay as they are.
 */
export function instrumentModules({ probe, registry }: Feedback, folders: readonly string[]): void {
  Object.defineProperty(globalThis, PROBE, { value: probe });
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const isOurs =
        url.startsWith('file:') && folders.some((folder) => fileURLToPath(url).startsWith(folder));
      if (!isOurs || loaded.source === undefined || loaded.source === null) return loaded;
      const isTypeScript = loaded.format === 'module-typescript';
      if (!isTypeScript && loaded.format !== 'module') return loaded;
      const text =
        typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source);
      const source = instrument(isTypeScript ? stripTypeScriptTypes(text) : text, registry);
      return { format: 'module', source, shortCircuit: true };
    },
  });
}

/** The same module with probes in it; every line keeps its number. */
export function instrument(source: string, registry: Registry): string {
  const edits: Edit[] = [];
  const program = parse(source, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true });
  visit(program, { source, registry, edits, depth: 0 });
  return `const{${PROBES}}=globalThis.${PROBE};${apply(source, edits)}`;
}

interface Edit {
  /** Replaces `source` from `start` to `end`. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** At one place: what closes goes before what opens, what is inside closes first and opens last. */
  readonly rank: number;
}

interface Visit {
  readonly source: string;
  readonly registry: Registry;
  readonly edits: Edit[];
  readonly depth: number;
}

function apply(source: string, edits: Edit[]): string {
  edits.sort((a, b) => a.start - b.start || a.rank - b.rank);
  let text = '';
  let at = 0;
  for (const edit of edits) {
    text += source.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return text + source.slice(at);
}

function visit(node: AnyNode, parent: Visit): void {
  const here: Visit = { ...parent, depth: parent.depth + 1 };
  switch (node.type) {
    case 'FunctionDeclaration':
    case 'FunctionExpression':
    case 'CatchClause':
      countBlock(here, node.body);
      break;
    case 'ArrowFunctionExpression':
      if (node.body.type === 'BlockStatement') countBlock(here, node.body);
      else countExpression(here, node.body);
      break;
    case 'IfStatement':
      countStatement(here, node.consequent);
      if (node.alternate) countStatement(here, node.alternate);
      else close(here, node.end, `else{${counter(here)}}`);
      break;
    case 'ForStatement':
    case 'ForInStatement':
    case 'ForOfStatement':
    case 'WhileStatement':
    case 'DoWhileStatement':
      countStatement(here, node.body);
      break;
    case 'ConditionalExpression':
      countExpression(here, node.consequent);
      countExpression(here, node.alternate);
      break;
    case 'LogicalExpression':
      countExpression(here, node.right);
      break;
    case 'SwitchStatement':
      reportSwitch(here, node);
      break;
    case 'BinaryExpression':
      reportComparison(here, node);
      break;
    case 'Literal':
      addLiteral(here.registry, node.value);
      break;
  }
  for (const child of childrenOf(node)) {
    // A loop's bound is compared at every turn and would bury what matters.
    const isBound = node.type === 'ForStatement' && child === node.test && child.type === 'BinaryExpression';
    if (isBound) for (const operand of childrenOf(child)) visit(operand, here);
    else visit(child, here);
  }
}

function counter({ registry }: Visit): string {
  return `__fc[${registry.blocks++}]++;`;
}

function open({ edits, depth }: Visit, at: number, text: string): void {
  edits.push({ start: at, end: at, text, rank: depth });
}

function close({ edits, depth }: Visit, at: number, text: string): void {
  edits.push({ start: at, end: at, text, rank: -depth });
}

function countBlock(here: Visit, block: AnyNode): void {
  open(here, block.start + 1, counter(here));
}

function countStatement(here: Visit, statement: AnyNode): void {
  if (statement.type === 'BlockStatement') {
    countBlock(here, statement);
  } else {
    open(here, statement.start, `{${counter(here)}`);
    close(here, statement.end, '}');
  }
}

function countExpression(here: Visit, expression: AnyNode): void {
  open(here, expression.start, `(${counter(here).slice(0, -1)},`);
  close(here, expression.end, ')');
}

function reportComparison(here: Visit, node: BinaryExpression): void {
  const report = REPORTS.get(node.operator);
  if (report === undefined || isTrivial(node.left) || isTrivial(node.right)) return;
  const at = operatorAt(here.source, node);
  open(here, node.start, `${report}(${here.registry.sites++},`);
  here.edits.push({ start: at, end: at + node.operator.length, text: ',', rank: 0 });
  close(here, node.end, ')');
}

/** Between the operands there are also parentheses and comments. */
function operatorAt(source: string, { left, right, operator }: BinaryExpression): number {
  const between = source.slice(left.end, right.start);
  const bare = between.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, (comment) => ' '.repeat(comment.length));
  return left.end + bare.indexOf(operator);
}

/** Tests for presence and for a type say nothing about values. */
function isTrivial(node: AnyNode): boolean {
  if (node.type === 'Identifier') return node.name === 'undefined';
  if (node.type === 'UnaryExpression') return node.operator === 'typeof';
  return node.type === 'Literal' && (node.value === null || typeof node.value === 'boolean');
}

/** `switch (value)` compares with every case; the cases are names and literals, so that asking twice is harmless. */
function reportSwitch(here: Visit, node: SwitchStatement): void {
  for (const { consequent } of node.cases) {
    if (consequent[0] !== undefined) open(here, consequent[0].start, counter(here));
  }
  const tests = node.cases.flatMap(({ test }) => (test ? [test] : []));
  if (!tests.every(({ type }) => ['Literal', 'Identifier', 'MemberExpression'].includes(type))) return;
  const values = tests.map((test) => here.source.slice(test.start, test.end));
  open(here, node.discriminant.start, `__fs(${here.registry.sites},`);
  close(here, node.discriminant.end, `,[${values.join(',')}])`);
  here.registry.sites += tests.length;
}

function addLiteral({ literals }: Registry, value: unknown): void {
  if (typeof value === 'string' && value.length >= 2 && value.length <= 64) literals.add(value);
  if (typeof value === 'number' && value > 0xff) literals.add(value);
  if (typeof value === 'bigint' && value > 0xffn) literals.add(value);
}

function childrenOf(node: AnyNode): AnyNode[] {
  const children: AnyNode[] = [];
  for (const value of Object.values(node)) {
    if (Array.isArray(value)) children.push(...value.filter(isNode));
    else if (isNode(value)) children.push(value);
  }
  return children;
}

function isNode(value: unknown): value is AnyNode {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value;
}
