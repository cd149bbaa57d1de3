/**
 * Policy rules as expressions of CEL, the Common Expression Language (ADR 0010). An expression only reads the facts that
 * it is given: there is no clock, no I/O, no loop but over a list of facts, and none of those inside another.
 */
import { type ASTNode, Environment, type ParseResult } from '@marcbachmann/cel-js';
import { BoundedCache } from './bounded-cache.ts';
import { AttestationError } from './errors.ts';

/** What a rule may read. */
export type Fact = null | boolean | bigint | string | readonly Fact[] | { readonly [name: string]: Fact };

/** What the quote and the logs that replay to it established. Text and lists are those of the logs. */
export interface Facts {
  readonly level: bigint;
  readonly clock: { readonly [name: string]: Fact };
  /** `sha256:7` -> lower-case hex. */
  readonly pcrs: { readonly [bankAndNumber: string]: string };
  readonly boot: { readonly [name: string]: Fact };
  readonly ima: { readonly [name: string]: Fact };
  /** Digests that the node's own log names, hex. */
  readonly releases: readonly string[];
  readonly images: readonly string[];
}

/** The longest rule. */
export const RULE_CHARACTERS_MAX = 1024;

const environment = new Environment({
  unlistedVariablesAreDyn: false,
  enableOptionalTypes: false,
  limits: { maxAstNodes: 256, maxDepth: 32, maxListElements: 256, maxMapEntries: 16, maxCallArguments: 4 },
})
  .registerVariable('level', 'int')
  .registerVariable('clock', 'map')
  .registerVariable('pcrs', 'map')
  .registerVariable('boot', 'map')
  .registerVariable('ima', 'map')
  .registerVariable('releases', 'list')
  .registerVariable('images', 'list');

const COMPREHENSIONS = new Set(['all', 'exists', 'exists_one', 'filter', 'map']);
/** No `matches`, whose regular expressions may backtrack for ever, and no `cel.bind`, which doubles text by nesting. */
const FUNCTIONS = new Set([
  'contains',
  'endsWith',
  'has',
  'int',
  'size',
  'startsWith',
  'string',
  ...COMPREHENSIONS,
]);

const compiled = new BoundedCache<ParseResult>(256);

/** Throws `POLICY_INVALID` for what does not parse, is not of type bool, or could take long. */
export function compileRule(expression: string): ParseResult {
  const known = compiled.get(expression);
  if (known !== undefined) return known;
  if (expression.length > RULE_CHARACTERS_MAX) throw invalid(`got ${expression.length} characters`);
  let rule: ParseResult;
  try {
    rule = environment.parse(expression);
  } catch (cause) {
    throw invalid(firstLine(cause), cause);
  }
  checkBounded(rule.ast, 0);
  const { valid, type, error } = rule.check();
  if (!valid) throw invalid(firstLine(error), error);
  if (type !== 'bool' && type !== 'dyn') throw invalid(`is of type ${type}, want bool`);
  compiled.set(expression, rule);
  return rule;
}

/** What a rule says of the facts: true, false, or why it has no answer. Never throws for a rule that compiles. */
export function evaluateRule(expression: string, facts: Facts): boolean | { readonly failed: string } {
  const rule = compileRule(expression);
  try {
    const value: unknown = rule({ ...facts });
    return typeof value === 'boolean' ? value : { failed: `gives ${typeof value}, want bool` };
  } catch (error) {
    // The engine reports a missing fact or a wrong type only by throwing.
    return { failed: firstLine(error) };
  }
}

function checkBounded(node: ASTNode, loops: number): void {
  const name = node.op === 'call' || node.op === 'rcall' ? node.args[0] : undefined;
  const isLoop = name !== undefined && node.op === 'rcall' && COMPREHENSIONS.has(name);
  if (name !== undefined && !FUNCTIONS.has(name)) throw invalid(`function ${name} is not allowed`);
  if (isLoop && loops > 0) throw invalid(`${name} stands inside another loop`);
  for (const child of childrenOf(node.args)) checkBounded(child, isLoop ? loops + 1 : loops);
}

/** Operands are a node, or nodes, names and lists of them in an array. */
function childrenOf(operands: unknown): ASTNode[] {
  if (Array.isArray(operands)) return operands.flatMap(childrenOf);
  return isNode(operands) ? [operands] : [];
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}

function invalid(message: string, cause?: unknown): AttestationError {
  return new AttestationError('POLICY_INVALID', `rule: ${message}`, { cause });
}
